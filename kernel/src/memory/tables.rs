//! The one place where page-table entries are written.
//!
//! What to write is planned as a value by `machine`; here it is carried out. One choke point
//! is what makes it possible to audit every write.

use core::fmt;

use machine::{Level, Mapping, Paging, PhysAddr, Plan, PlanError, TableFrames, VirtAddr};

use super::frames::{self, Owner};
use super::physmap::LiveMemory;

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
    pub(crate) fn map(&mut self, va: VirtAddr, mapping: Mapping) -> Result<(), MapError> {
        let (paging, root) = (self.paging, self.root);
        machine::plan_map(&mut LiveMemory, &paging, root, va, mapping, &mut OurFrames)
            .map_err(MapError::Plan)
            .and_then(|plan| carry_out(&plan))
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

/// Writes the entries of a plan.
///
/// No translation is dropped: a plan only fills absent entries, and the CPU caches none of
/// those (SDM, "Details of TLB Use").
fn carry_out(plan: &Plan) -> Result<(), MapError> {
    for write in plan.writes() {
        if !write_entry(write.at, write.new) {
            return Err(MapError::NotRam(write.at));
        }
    }
    Ok(())
}

/// Stores one entry.
#[expect(unsafe_code, reason = "the one write to page tables")]
fn write_entry(at: PhysAddr, value: u64) -> bool {
    // SAFETY: page tables are never behind a Rust reference, only read through the physmap.
    // A plan only fills entries that were absent, so nothing the kernel relies on changes.
    unsafe { super::physmap::write_u64(at, value) }
}
