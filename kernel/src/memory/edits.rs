//! Entries of page tables written by hand, for `poke-entry` and `undo`.
//!
//! The kernel frees what its tables name, so it must find them as it made them. An edit that
//! makes an entry lead elsewhere is therefore taken back ("settled") before the kernel itself
//! changes or frees tables that the entry is part of the way to. Edits of rights and memory
//! types stand, and are forgotten with their table.

use core::sync::atomic::{AtomicUsize, Ordering};

use machine::{Paging, PhysAddr, PhysMemory, Progress, TableItem, Tables, VirtAddr};
use shell::{Edit, EditError, EditList, Edits, Flush, Poke, Region, UndoError};

use super::frames::{self, Owner};
use super::layout;
use super::physmap::LiveMemory;
use super::stacks::{self, Place};
use super::tables;
use crate::arch::cpu;
use crate::lock::Lock;
use crate::target;

/// Taken with interrupts off, so nobody waits for it.
static EDITS: Lock<EditList> = Lock::new("the list of edits", EditList::new());
/// How many are remembered: while there are none, everybody else pays for one load.
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// The edits of this kernel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LiveEdits;

fn with<R>(body: impl FnOnce(&mut EditList) -> R) -> R {
    cpu::without_interrupts(|| {
        let mut edits = EDITS.lock();
        let result = body(&mut edits);
        COUNT.store(edits.all().len(), Ordering::Relaxed);
        result
    })
}

impl Edits for LiveEdits {
    fn edit(&mut self, index: usize) -> Option<Edit> {
        with(|edits| edits.get(index))
    }

    fn poke(&mut self, poke: &Poke) -> Result<u64, EditError> {
        let frame = PhysAddr(poke.at.0 & !0xfff);
        if !poke.at.0.is_multiple_of(8) || !frames::is_owned_by(frame, Owner::PageTable) {
            return Err(EditError::NotATable(poke.at));
        }
        with(|edits| {
            let number = edits.add(poke, LiveMemory.read_u64(poke.at))?;
            tables::poke(poke.at, poke.new, poke.flush());
            Ok(number)
        })
    }

    fn undo(&mut self) -> Result<Edit, UndoError> {
        with(|edits| {
            let edit = edits.take(|at| LiveMemory.read_u64(at))?;
            tables::poke(edit.poke.at, edit.poke.old, edit.poke.flush());
            Ok(edit)
        })
    }

    fn vital(&mut self, index: usize) -> Option<Region> {
        // What is only read at boot, or by programs' start, can be missed.
        const SPARE: [&str; 3] = ["boot information", "boot stack", "ramdisk"];
        let regions = layout::regions().iter().copied();
        let regions = regions.filter(|region| !SPARE.contains(&region.name));
        let stacks = (0..stacks::places()).filter_map(|place| match stacks::place(place) {
            Some((stack, Place::Live)) => Some(Region {
                first: VirtAddr(stack.bottom),
                last: VirtAddr(stack.top - 1),
                name: "a kernel stack",
                rights: Some(layout::DATA),
            }),
            _ => None,
        });
        regions.chain(stacks).nth(index)
    }
}

/// Takes back what makes an entry on the way to `va` lead elsewhere.
pub(crate) fn settle_path(root: PhysAddr, va: VirtAddr) {
    if COUNT.load(Ordering::Relaxed) == 0 {
        return;
    }
    let paging = target::paging();
    // Each round takes one back, and each may bring another part of the way to light.
    for _ in 0..EditList::MOST {
        let walk = machine::walk(&mut LiveMemory, &paging, root, va);
        let is_on_it = |poke: &Poke| {
            let mut steps = walk.steps().iter();
            leads_elsewhere(&paging, poke) && steps.any(|step| step.entry_address() == poke.at)
        };
        if !settle_one(is_on_it) {
            return;
        }
    }
}

/// Takes back what makes an entry of the lower half below `root` lead elsewhere.
pub(crate) fn settle_lower_half(root: PhysAddr) {
    if COUNT.load(Ordering::Relaxed) == 0 {
        return;
    }
    let paging = target::paging();
    for _ in 0..EditList::MOST {
        let mut found = false;
        let mut tables = Tables::new(paging, root);
        loop {
            match tables.advance(&mut LiveMemory) {
                Progress::Done => break,
                Progress::Row(TableItem::Table(table)) if table.va.0 < layout::UPPER_HALF => {
                    let is_lower = |at: PhysAddr| table.at != root || at.0 & 0xfff < 256 * 8;
                    let is_there = |poke: &Poke| {
                        poke.at.0 & !0xfff == table.at.0
                            && is_lower(poke.at)
                            && leads_elsewhere(&paging, poke)
                    };
                    while settle_one(is_there) {
                        found = true;
                    }
                }
                // The rest is the kernel's, in ascending order.
                Progress::Row(TableItem::Table(_)) => break,
                Progress::Row(TableItem::Hole(_)) | Progress::Working => {}
            }
        }
        if !found {
            return;
        }
    }
}

/// The table at `frame` is about to be freed.
pub(crate) fn table_freed(frame: PhysAddr) {
    if COUNT.load(Ordering::Relaxed) != 0 {
        with(|edits| edits.forget_table(frame));
    }
}

fn settle_one(is_meant: impl Fn(&Poke) -> bool) -> bool {
    with(|edits| {
        let Some(poke) = edits.settle(is_meant) else {
            return false;
        };
        let now = LiveMemory.read_u64(poke.at);
        if now.is_ok_and(|now| shell::is_like(now, poke.new)) {
            tables::poke(poke.at, poke.old, Flush::All);
        }
        true
    })
}

/// Whether the entry references another table or page with the edit than without, or none.
fn leads_elsewhere(paging: &Paging, poke: &Poke) -> bool {
    paging.decode(poke.old, poke.level).kind != paging.decode(poke.new, poke.level).kind
}
