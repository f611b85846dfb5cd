//! One row: where, what is in both entries, and what that comes to.

use core::fmt;

use machine::{Compared, DiffRow, Differences, Entry, HoleWhy, PageCounts, Paging, Place};

use super::Name;
use crate::render::{Count, Pages};

/// `FIRST..LAST LEVEL ADDRESS ENTRY | ADDRESS ENTRY WORDS`.
pub(super) struct DiffLine<'a> {
    pub(super) row: &'a DiffRow,
    pub(super) paging: &'a Paging,
    pub(super) names: [&'a Name; 2],
}

impl fmt::Display for DiffLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let row = self.row;
        write!(f, "{}..{} ", row.first, row.last)?;
        if let (Some(left), Some(right)) = (row.left, row.right) {
            let (left, right) = (Raw(left), Raw(right));
            write!(f, "{:<4} {left} | {right} ", row.level)?;
        }
        let [left, right] = self.names;
        match row.kind {
            Compared::Shared => {
                write!(f, "shared: {}", Entries(row.entries))?;
                // Of all or of none of them.
                if row.uncounted == 0 {
                    write!(f, ", pages {}", pages(row.left_pages))?;
                }
            }
            Compared::Equal => {
                write!(f, "equal: pages {}", pages(row.left_pages))?;
                if row.uncounted > 0 {
                    write!(f, ", and {}", Count(row.uncounted, "shared table"))?;
                }
            }
            Compared::Differs(what) => self.differs(f, what)?,
            Compared::OnlyLeft => write!(f, "only in {left}: pages {}", pages(row.left_pages))?,
            Compared::OnlyRight => write!(f, "only in {right}: pages {}", pages(row.right_pages))?,
            Compared::Unknown(on_left, on_right) => {
                write!(f, "unknown")?;
                let mut gap = ": ";
                for (name, why) in [(left, on_left), (right, on_right)] {
                    if let Some(why) = why {
                        write!(f, "{gap}{} in {name}", Why(why))?;
                        gap = ", ";
                    }
                }
            }
        }
        if row.holes > 0 {
            write!(f, "; {} could not be followed", Entries(row.holes))?;
        }
        Ok(())
    }
}

impl DiffLine<'_> {
    fn differs(&self, f: &mut fmt::Formatter<'_>, what: Differences) -> fmt::Result {
        let row = self.row;
        write!(f, "differs in {what}")?;
        if row.entries > 1 {
            write!(f, ": {}", Entries(row.entries))?;
        }
        let raws = [row.left, row.right].map(|place| place.and_then(|place| place.raw));
        let [Some(left), Some(right)] = raws else {
            return Ok(());
        };
        let [left, right] = [left, right].map(|raw| self.paging.decode(raw, row.level));
        let rights = |entry: &Entry| entry.rights();
        if rights(&left) != rights(&right) && !what.contains(Differences::RESERVED) {
            write!(f, ", {} | {}", rights(&left), rights(&right))?;
        }
        if what.contains(Differences::MEMORY_TYPE) {
            let [left, right] = [left, right].map(|entry| self.paging.memory_type(&entry));
            write!(f, ", {left} | {right}")?;
        }
        if what.contains(Differences::SIZE) {
            let (left, right) = (pages(row.left_pages), pages(row.right_pages));
            write!(f, ", pages {left} | {right}")?;
        }
        Ok(())
    }
}

/// The address of an entry, and its value.
struct Raw(Place);

impl fmt::Display for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.0.entry_address())?;
        match self.0.raw {
            Some(raw) => write!(f, "{raw:016x}"),
            None => write!(f, "????????????????"),
        }
    }
}

struct Why(HoleWhy);

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            HoleWhy::Reserved { bits } => write!(f, "malformed (reserved bits {bits:#x})"),
            HoleWhy::Unreadable(why) => write!(f, "unreadable ({why})"),
            HoleWhy::Loop => write!(f, "leads back to a table above it"),
        }
    }
}

/// `1 entry`, `2 entries`.
pub(super) struct Entries(pub(super) u64);

impl fmt::Display for Entries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.0 == 1 { "entry" } else { "entries" };
        write!(f, "{} {word}", self.0)
    }
}

fn pages(counts: PageCounts) -> Pages {
    Pages {
        of_4k: counts.of_4k,
        of_2m: counts.of_2m,
        of_1g: counts.of_1g,
    }
}
