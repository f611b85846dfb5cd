//! Why tables cannot be changed as wished.

use core::fmt;

use crate::{Level, ReadError};

/// Why there is no plan. Nothing has been changed, and no frame kept.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum PlanError {
    /// The address has no place in the tables.
    NonCanonical,
    /// The virtual address, or the page's, is not aligned to the page size, or the page lies
    /// beyond the CPU's physical address width.
    Misaligned,
    /// Something is there already: this entry, at this level.
    Occupied {
        /// The level it is at.
        level: Level,
        /// The entry.
        raw: u64,
    },
    /// An upper level's entry is there but forbids what the page shall allow.
    Forbidden {
        /// The level that forbids it.
        level: Level,
        /// The entry.
        raw: u64,
    },
    /// There is no page of 4 KiB to change.
    NotMapped,
    /// An entry on the way has reserved bits set.
    Reserved {
        /// The level it is at.
        level: Level,
        /// The offending bits.
        bits: u64,
    },
    /// An entry on the way could not be read.
    Unreadable {
        /// The level it is at.
        level: Level,
        /// Why.
        why: ReadError,
    },
    /// No frame is free for a table.
    NoFrame,
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PlanError::NonCanonical => f.write_str("not a canonical address"),
            PlanError::Misaligned => f.write_str("not aligned to the page size"),
            PlanError::Occupied { level, raw } => {
                write!(f, "{} entry {raw:016x} is there already", level.name())
            }
            PlanError::Forbidden { level, raw } => {
                write!(f, "{} entry {raw:016x} forbids it", level.name())
            }
            PlanError::NotMapped => f.write_str("no 4 KiB page is mapped there"),
            PlanError::Reserved { level, bits } => {
                write!(f, "{} entry has reserved bits {bits:#x}", level.name())
            }
            PlanError::Unreadable { level, why } => {
                write!(f, "{} entry unreadable, {why}", level.name())
            }
            PlanError::NoFrame => f.write_str("no free frame for a table"),
        }
    }
}
