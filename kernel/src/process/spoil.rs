//! Breaking a process's space on purpose, to see what foretells it and what the CPU does.
//!
//! Only that one space changes: tables of the upper half, which all share, are copied on the way
//! to the entry. When the process ends everything is put back, so that its frames are found.

use heapless::Vec;
use machine::{Level, PhysAddr, PhysMemory, VirtAddr};
use shell::{ProcessError, Spoil};

use super::{State, table};
use crate::memory::frames::{self, Owner};
use crate::memory::layout::UPPER_HALF;
use crate::memory::physmap::LiveMemory;
use crate::memory::tables::Tables;
use crate::target;

/// The bits of an entry that hold an address.
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

/// What was done to a process.
#[derive(Debug, Default)]
pub(super) struct Spoiled {
    changes: Vec<Change, 8>,
    /// Copies of shared tables, which are its alone.
    tables: Vec<PhysAddr, 24>,
}

#[derive(Debug)]
struct Change {
    at: PhysAddr,
    /// Bits that were set and are clear, and the other way round.
    cleared: u64,
    set: u64,
}

/// Breaks a process that does not run, and keeps it from running until it is released.
pub(super) fn spoil(pid: u32, what: Spoil) -> Result<(), ProcessError> {
    let mut table = table();
    let process = table.get(pid).ok_or(ProcessError::NoSuchProcess)?;
    if process.state == State::Running {
        return Err(ProcessError::Refused("the process is running"));
    }
    let root = process.space.as_ref().ok_or(ProcessError::Dead)?.root();
    let spoiled = process.spoiled.get_or_insert_with(Default::default);
    match what {
        Spoil::Rsp0(value) => process.rsp0 = value.0,
        Spoil::Entry {
            va,
            level,
            clear,
            set,
        } => spoiled.change(root, va, level, clear, set)?,
    }
    process.is_held = true;
    Ok(())
}

/// Lets a process run again that was kept from it.
pub(super) fn release(pid: u32) {
    if let Some(process) = table().get(pid) {
        process.is_held = false;
    }
}

impl Spoiled {
    fn change(
        &mut self,
        root: PhysAddr,
        va: VirtAddr,
        level: Level,
        clear: u64,
        set: u64,
    ) -> Result<(), ProcessError> {
        let nothing = ProcessError::Refused("no entry of this level is on the way to the address");
        let mut tables = Tables::at(root, target::paging());
        if entry(&tables, va, level).is_none() {
            return Err(nothing);
        }
        if self.changes.is_full() {
            return Err(ProcessError::Refused(
                "a process is broken in 8 places at most",
            ));
        }
        if va.0 >= UPPER_HALF {
            self.unshare(&mut tables, va, level)?;
        }
        let (at, raw) = entry(&tables, va, level).ok_or(nothing)?;
        let change = Change {
            at,
            cleared: raw & clear,
            set: set & !raw,
        };
        let new = raw & !clear | set;
        // There is room, by the test above.
        let _ = self.changes.push(change);
        write(&mut tables, at, new)
    }

    /// Copies each shared table on the way down to the one of this level.
    fn unshare(
        &mut self,
        tables: &mut Tables,
        va: VirtAddr,
        down_to: Level,
    ) -> Result<(), ProcessError> {
        let mut above = Level::Pml4;
        while let Some(level) = above.next().filter(|level| *level <= down_to) {
            let missing = ProcessError::Refused("the tables on the way have changed");
            let (parent_at, parent) = entry(tables, va, above).ok_or(missing)?;
            let shared = PhysAddr(parent & ADDRESS);
            above = level;
            if self.tables.contains(&shared) {
                continue;
            }
            let copy = frames::take(Owner::PageTable).ok_or(ProcessError::NoMemory)?;
            if self.tables.push(copy).is_err() {
                let _ = frames::give_back(copy, Owner::PageTable);
                return Err(ProcessError::Refused(
                    "too many tables are its alone already",
                ));
            }
            for offset in (0..4096).step_by(8) {
                let raw = LiveMemory
                    .read_u64(PhysAddr(shared.0 + offset))
                    .unwrap_or(0);
                write(tables, PhysAddr(copy.0 + offset), raw)?;
            }
            write(tables, parent_at, parent & !ADDRESS | copy.0)?;
        }
        Ok(())
    }

    /// Puts back what was changed below, and gives the copies of tables back. The root's upper
    /// half leads to them no more once this is done: it is about to be freed.
    pub(super) fn undo(self, root: PhysAddr) {
        let mut tables = Tables::at(root, target::paging());
        for change in self.changes.iter().rev() {
            let raw = LiveMemory.read_u64(change.at).unwrap_or(0);
            let _ = write(&mut tables, change.at, raw & !change.set | change.cleared);
        }
        for table in self.tables {
            let was_table = frames::give_back(table, Owner::PageTable);
            debug_assert!(was_table, "it was taken as one");
        }
    }
}

/// Where the entry of this level is on the way to an address, and what it holds.
fn entry(tables: &Tables, va: VirtAddr, level: Level) -> Option<(PhysAddr, u64)> {
    let walk = tables.walk(va);
    let mut steps = walk.steps().iter();
    let step = steps.find(|step| step.entry.level == level)?;
    Some((step.entry_address(), step.entry.raw))
}

fn write(tables: &mut Tables, at: PhysAddr, value: u64) -> Result<(), ProcessError> {
    let written = tables.fill_slot(at, value);
    written.map_err(|_| ProcessError::Refused("the entry is not in RAM"))
}
