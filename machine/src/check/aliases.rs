//! One table under two entries, without a list of all tables.
//!
//! A tree may have any number of tables, and nothing here allocates. So the tables are looked
//! at by ascending frame, as many as there is room for in each pass over the tree.

use crate::{Level, PhysAddr, Step, VirtAddr};

/// How many frames one pass remembers. A kernel has a few hundred.
const ROOM: usize = 128;

/// A table, as it was met first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NamedTable {
    /// Its frame.
    pub at: PhysAddr,
    /// Its level.
    pub level: Level,
    /// The first address that leads through it.
    pub va: VirtAddr,
    /// The physical address of the entry that references it.
    pub entry: PhysAddr,
}

/// What a pass makes of a table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Met {
    /// It has not been met before.
    New,
    /// It has, through the same entry: a table above it has two names.
    Again,
    /// It has, through another entry, and was this.
    Alias(NamedTable),
    /// It belongs to another pass.
    Elsewhere,
}

/// One pass: the tables with the lowest frames of those that no pass before had.
#[derive(Clone, Debug)]
pub struct TableNames {
    after: Option<PhysAddr>,
    known: [Option<NamedTable>; ROOM],
    count: usize,
    is_full: bool,
}

impl TableNames {
    /// The first pass.
    pub const fn new() -> TableNames {
        TableNames {
            after: None,
            known: [None; ROOM],
            count: 0,
            is_full: false,
        }
    }

    /// Takes notice of a table that the entry `by` references.
    pub fn meet(&mut self, at: PhysAddr, level: Level, va: VirtAddr, by: &Step) -> Met {
        if self.after.is_some_and(|after| at <= after) {
            return Met::Elsewhere;
        }
        let new = NamedTable {
            at,
            level,
            va,
            entry: by.entry_address(),
        };
        let known = self.known.get(..self.count).unwrap_or_default();
        let key = |known: &Option<NamedTable>| known.map(|known| known.at);
        let place = match known.binary_search_by_key(&Some(at), key) {
            Ok(place) => {
                return match known.get(place).copied().flatten() {
                    Some(known) if known.entry != new.entry => Met::Alias(known),
                    _ => Met::Again,
                };
            }
            Err(place) => place,
        };
        if self.count == ROOM {
            self.is_full = true;
            if place == ROOM {
                return Met::Elsewhere;
            }
        } else {
            self.count += 1;
        }
        if let Some(tail) = self.known.get_mut(place..self.count) {
            tail.rotate_right(1);
        }
        if let Some(slot) = self.known.get_mut(place) {
            *slot = Some(new);
        }
        Met::New
    }

    /// Makes it the next pass; false if there is none.
    pub fn next_pass(&mut self) -> bool {
        let last = self.count.checked_sub(1);
        let last = last.and_then(|last| self.known.get(last).copied().flatten());
        let is_more = core::mem::take(&mut self.is_full);
        self.after = last.map(|table| table.at).or(self.after);
        self.count = 0;
        is_more
    }
}

impl Default for TableNames {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Entry, Kind};
    use std::vec::Vec;

    fn by(entry: u64) -> Step {
        Step {
            table: PhysAddr(entry & !0xfff),
            index: (entry & 0xfff) as u16 / 8,
            entry: Entry {
                raw: 0,
                level: Level::Pd,
                kind: Kind::Absent,
            },
        }
    }

    #[test]
    fn a_table_under_two_entries_is_told_from_one_that_comes_up_twice() {
        let mut names = TableNames::new();
        let mut meet = |at, entry| names.meet(PhysAddr(at), Level::Pt, VirtAddr(0), &by(entry));
        assert_eq!(meet(0x5000, 0x1000), Met::New);
        assert_eq!(meet(0x4000, 0x1008), Met::New);
        assert_eq!(meet(0x5000, 0x1000), Met::Again);
        let Met::Alias(first) = meet(0x5000, 0x1010) else {
            panic!("0x5000 has another entry");
        };
        assert_eq!(first.entry, PhysAddr(0x1000));
        assert!(!names.next_pass());
    }

    // In any order, and however many there are, each frame is new in exactly one pass.
    #[test]
    fn every_frame_has_its_pass() {
        let frames: Vec<u64> = (0..1000).map(|n| (n * 617 % 1000 + 1) << 12).collect();
        let mut names = TableNames::new();
        let mut met = Vec::new();
        let mut passes = 0;
        loop {
            let mut kept = std::collections::BTreeSet::new();
            for frame in &frames {
                let new = names.meet(PhysAddr(*frame), Level::Pt, VirtAddr(0), &by(*frame + 8));
                if new == Met::New {
                    kept.insert(*frame);
                }
            }
            // What was pushed out belongs to a later pass.
            met.extend(kept.into_iter().take(ROOM));
            passes += 1;
            if !names.next_pass() {
                break;
            }
        }
        assert_eq!(passes, 8);
        assert_eq!(met, (1..=1000).map(|n| n << 12).collect::<Vec<u64>>());
    }
}
