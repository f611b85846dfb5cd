//! The one place where page-table entries are written.
//!
//! What to write is planned as a value by `machine`; here it is carried out. One choke point
//! is what makes it possible to audit every write.

use core::fmt;

use machine::{Level, Mapping, Paging, PhysAddr, Plan, PlanError, TableFrames, VirtAddr};

use super::frames::{self, Owner};
use super::physmap::LiveMemory;
use crate::arch::cpu;
use crate::events::{self, Kind};
use shell::Flush;

/// Why a page could not be mapped.
#[derive(Clone, Copy, Debug)]
pub(crate) enum MapError {
    /// The plan could not be made; nothing was changed.
    Plan(PlanError),
    /// An entry lies outside RAM; nothing more was changed.
    NotRam(PhysAddr),
}

impl fmt::Display for MapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MapError::Plan(why) => write!(f, "{why}"),
            MapError::NotRam(at) => write!(f, "the table entry at {at} is not in RAM"),
        }
    }
}

/// A tree of page tables that the kernel may edit.
pub(crate) struct Tables {
    root: PhysAddr,
    paging: Paging,
}

impl Tables {
    /// The tree below the PML4 at `root`.
    pub(crate) fn at(root: PhysAddr, paging: Paging) -> Self {
        Tables { root, paging }
    }

    /// The PML4's frame.
    pub(crate) fn root(&self) -> PhysAddr {
        self.root
    }

    /// Maps one page; a table on the way that is missing is made.
    /// Says how many.
    pub(crate) fn map(&mut self, va: VirtAddr, mapping: Mapping) -> Result<u64, MapError> {
        let (paging, root) = (self.paging, self.root);
        let plan = machine::plan_map(&mut LiveMemory, &paging, root, va, mapping, &mut OurFrames)
            .map_err(MapError::Plan)?;
        carry_out(&plan)?;
        // One write is the leaf's, each of the others links a new table.
        Ok((plan.writes().len() as u64).saturating_sub(1))
    }

    /// Replaces the entry of the 4 KiB page at `va` and drops its translation; 0 unmaps it.
    ///
    /// Every address space that shares the table sees the change; the translation is dropped
    /// on this CPU, which is the only one.
    pub(crate) fn replace(&mut self, va: VirtAddr, new: u64) -> Result<(), MapError> {
        let (paging, root) = (self.paging, self.root);
        machine::plan_replace(&mut LiveMemory, &paging, root, va, new)
            .map_err(MapError::Plan)
            .and_then(|plan| carry_out(&plan))
    }

    /// What `va` leads to.
    pub(crate) fn walk(&self, va: VirtAddr) -> machine::Walk {
        machine::walk(&mut LiveMemory, &self.paging, self.root, va)
    }

    /// Writes one entry of a table of this tree that nothing has cached: a slot that was absent,
    /// or any of a tree that is not in use, since loading its root forgets what was cached.
    pub(crate) fn fill_slot(&mut self, at: PhysAddr, value: u64) -> Result<(), MapError> {
        if write_entry(at, value) {
            Ok(())
        } else {
            Err(MapError::NotRam(at))
        }
    }

    /// Makes the tables for `va` down to one of level `down_to`, and leaves its entries absent.
    pub(crate) fn prepare(&mut self, va: VirtAddr, down_to: Level) -> Result<(), MapError> {
        let (paging, root) = (self.paging, self.root);
        machine::plan_tables(&mut LiveMemory, &paging, root, va, down_to, &mut OurFrames)
            .map_err(MapError::Plan)
            .and_then(|plan| carry_out(&plan))
    }
}

/// Frames for tables, from the allocator.
struct OurFrames;

impl TableFrames for OurFrames {
    fn take(&mut self) -> Option<PhysAddr> {
        frames::take(Owner::PageTable)
    }

    fn give_back(&mut self, frame: PhysAddr) {
        let was_ours = frames::give_back(frame, Owner::PageTable);
        debug_assert!(was_ours, "a plan gives back what it took");
    }
}

/// Writes the entries of a plan, then drops the translation it names.
fn carry_out(plan: &Plan) -> Result<(), MapError> {
    for write in plan.writes() {
        if !write_entry(write.at, write.new) {
            return Err(MapError::NotRam(write.at));
        }
    }
    if let Some(va) = plan.flush() {
        cpu::flush_page(va);
        events::record(Kind::Flush, va.0, 0);
    }
    Ok(())
}

/// Writes one entry by hand, whatever it may be, and drops what is cached of the old one.
///
/// What the kernel relies on may change: whoever types `poke-entry` was shown what, and had to
/// insist. What the kernel frees by its tables, `edits` puts back first.
pub(crate) fn poke(at: PhysAddr, value: u64, flush: Flush) -> bool {
    if !write_entry(at, value) {
        return false;
    }
    events::record(Kind::Poke, at.0, value);
    match flush {
        Flush::Page(va) => {
            cpu::flush_page(va);
            events::record(Kind::Flush, va.0, 0);
        }
        Flush::All => {
            cpu::flush_all();
            events::record(Kind::FlushAll, 0, 0);
        }
    }
    true
}

/// Stores one entry.
#[expect(unsafe_code, reason = "the one write to page tables")]
fn write_entry(at: PhysAddr, value: u64) -> bool {
    // SAFETY: page tables are never behind a Rust reference, only read through the physmap.
    // A plan fills entries that were absent, or replaces a page that its owner gives up or
    // changes the rights of; nothing the kernel relies on changes. An entry written by hand
    // (`poke`) is the one exception, and the person who insisted on it answers for it.
    unsafe { super::physmap::write_u64(at, value) }
}
