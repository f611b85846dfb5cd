//! Following one address through the tables, entry by entry, as the CPU does.
//!
//! The first thing to ask after a page fault. Costs one 8-byte read a level.

use core::fmt;

use crate::{
    Entry, Kind, Level, MemoryType, PageSize, Paging, PhysAddr, PhysMemory, ReadError, Right,
    Rights, VirtAddr,
};

/// The most steps a walk can have: one a level.
const MOST: usize = 5;

/// One entry the CPU would have read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Step {
    /// The physical address of the table.
    pub table: PhysAddr,
    /// Which of its entries, 0..512.
    pub index: u16,
    /// The entry, with its level.
    pub entry: Entry,
}

impl Step {
    /// The physical address of the entry itself.
    pub const fn entry_address(&self) -> PhysAddr {
        PhysAddr(self.table.0.wrapping_add(self.index as u64 * 8))
    }
}

/// Where a walk ended, and why there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// The address is mapped.
    Mapped {
        /// The physical address of the very byte asked about.
        at: PhysAddr,
        /// The size of the page it is in.
        size: PageSize,
        /// The effective rights, over all levels.
        rights: Rights,
        /// The memory type the tables choose through the PAT.
        memory_type: MemoryType,
    },
    /// The entry at this level is not present: the address is not mapped.
    Absent {
        /// The level of the table that has the entry.
        level: Level,
    },
    /// The entry at this level is present and malformed: an access raises #PF with RSVD.
    Reserved {
        /// The level of the table that has the entry.
        level: Level,
        /// The offending bits, in their places.
        bits: u64,
    },
    /// The entry could not be read. This says nothing about the mapping.
    Unreadable {
        /// The level of the table that has the entry.
        level: Level,
        /// Why it could not be read.
        why: ReadError,
    },
    /// The address is not canonical: no table is consulted, and an access raises #GP or #SS.
    NonCanonical,
}

impl fmt::Display for End {
    /// What follows the address in an answer: `0x0000_0007_3123 ur-x (4K page)`, or why there
    /// is nothing: `PDPT entry not present`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::Mapped {
                at, size, rights, ..
            } => write!(f, "{at} {rights} ({size} page)"),
            End::Absent { level } => write!(f, "{level} entry not present"),
            End::Reserved { level, bits } => {
                write!(f, "{level} entry has reserved bits set, {bits:#x}")
            }
            End::Unreadable { level, why } => write!(f, "{level} entry unreadable, {why}"),
            End::NonCanonical => write!(f, "the address is not canonical"),
        }
    }
}

/// The steps of one walk and where they ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Walk {
    /// The address that was followed.
    pub va: VirtAddr,
    steps: [Step; MOST],
    taken: usize,
    end: End,
}

impl Walk {
    /// The entries that were read, top to bottom; the last one is where the walk ended,
    /// unless that one could not be read.
    pub fn steps(&self) -> &[Step] {
        self.steps.get(..self.taken).unwrap_or(&self.steps)
    }

    /// Where it ended.
    pub const fn end(&self) -> End {
        self.end
    }

    /// What all the present entries met allow together. Of a walk that ended at a page these
    /// are the effective rights; otherwise, the most anything further down could still have.
    pub fn rights(&self) -> Rights {
        self.steps()
            .iter()
            .filter(|step| step.entry.is_present())
            .fold(Rights::ALL, |rights, step| rights.and(step.entry.rights()))
    }

    /// The highest level whose entry forbids `right`, or `None` if no entry met does.
    /// An entry that is absent forbids no right in particular.
    pub fn decided_by(&self, right: Right) -> Option<Level> {
        self.steps()
            .iter()
            .map(|step| step.entry)
            .find(|entry| entry.is_present() && !entry.rights().has(right))
            .map(|entry| entry.level)
    }
}

/// Follows `va` from the table at `root`, which may be a value of CR3 as it is: see
/// [`Paging::root`]. Any address and any content of memory has an answer.
pub fn walk(memory: &mut dyn PhysMemory, paging: &Paging, root: PhysAddr, va: VirtAddr) -> Walk {
    let unused = Step {
        table: PhysAddr(0),
        index: 0,
        entry: Entry {
            raw: 0,
            level: Level::Pml5,
            kind: Kind::Absent,
        },
    };
    let mut walk = Walk {
        va,
        steps: [unused; MOST],
        taken: 0,
        end: End::NonCanonical,
    };
    if !paging.is_canonical(va) {
        return walk;
    }
    let mut table = paging.root(root);
    let mut level = paging.top();
    let mut rights = Rights::ALL;
    for slot in &mut walk.steps {
        let mut step = Step {
            table,
            index: level.index(va) as u16,
            ..unused
        };
        let raw = match memory.read_u64(step.entry_address()) {
            Ok(raw) => raw,
            Err(why) => {
                walk.end = End::Unreadable { level, why };
                break;
            }
        };
        step.entry = paging.decode(raw, level);
        *slot = step;
        walk.taken += 1;
        walk.end = match (step.entry.kind, level.next()) {
            (Kind::Table { at }, Some(next)) => {
                rights = rights.and(step.entry.rights());
                (table, level) = (at, next);
                continue;
            }
            // `decode` calls nothing in a PT a table. If it did, this would be the truth.
            (Kind::Table { .. }, None) | (Kind::Absent, _) => End::Absent { level },
            (Kind::Reserved { bits }, _) => End::Reserved { level, bits },
            (Kind::Page { at, size }, _) => End::Mapped {
                at: PhysAddr(at.0 | va.0 & (size.bytes() - 1)),
                size,
                rights: rights.and(step.entry.rights()),
                memory_type: paging.memory_type(&step.entry),
            },
        };
        break;
    }
    walk
}

#[cfg(test)]
mod tests;
