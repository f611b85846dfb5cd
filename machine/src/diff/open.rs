//! The row that may still grow: which entries become one row, and what it is called.

use super::{Compared, DiffRow, Place};
use crate::{HoleWhy, Level};

/// An entry above the first one of a row, under which nothing came before that first one: if
/// the row turns out to hold all there is under it, the row is about this entry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Name {
    pub(super) level: Level,
    pub(super) base: u64,
    pub(super) places: [Place; 2],
}

/// A row, and what decides whether the next entry joins it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Open {
    pub(super) row: DiffRow,
    /// The top-level entry it is under.
    pub(super) slot: u16,
    /// Whether it is about top-level entries themselves.
    pub(super) is_top: bool,
    pub(super) names: [Option<Name>; 4],
}

impl Open {
    /// Takes in the entry that comes next, if the same is to be said about it.
    pub(super) fn take(&mut self, next: &Open) -> bool {
        let (ours, theirs) = (&mut self.row, &next.row);
        let joins = if ours.kind.is_same() && theirs.kind.is_same() {
            let both_shared = ours.kind == Compared::Shared && theirs.kind == Compared::Shared;
            let same_half = (self.slot < 256) == (next.slot < 256);
            self.slot == next.slot || (self.is_top && next.is_top && both_shared && same_half)
        } else {
            is_alike(&ours.kind, &theirs.kind)
                && ours.level == theirs.level
                && ours.last.checked_add(1) == Some(theirs.first)
        };
        if !joins {
            return false;
        }
        if theirs.kind == Compared::Equal {
            ours.kind = Compared::Equal;
        }
        ours.last = theirs.last;
        ours.entries += theirs.entries;
        ours.left_pages = ours.left_pages.and(theirs.left_pages);
        ours.right_pages = ours.right_pages.and(theirs.right_pages);
        ours.uncounted += theirs.uncounted;
        ours.holes += theirs.holes;
        self.slot = next.slot;
        true
    }

    /// The row, now that it is whole. `is_open` says whether there is more to come under the
    /// entry with this name.
    pub(super) fn close(self, is_open: impl Fn(&Name) -> bool) -> DiffRow {
        let mut row = self.row;
        let mut names = self.names.iter().flatten();
        if row.kind.is_same()
            && let Some(name) = names.find(|name| !is_open(name))
        {
            // Its two tables are not the same memory, else they had not been entered.
            row.kind = Compared::Equal;
            row.level = name.level;
            let [left, right] = name.places;
            (row.left, row.right) = (Some(left), Some(right));
        }
        row
    }
}

/// Whether the same is said, but for the address at which reading failed.
fn is_alike(one: &Compared, other: &Compared) -> bool {
    let alike = |one: &Option<HoleWhy>, other: &Option<HoleWhy>| match (one, other) {
        (Some(HoleWhy::Unreadable(one)), Some(HoleWhy::Unreadable(other))) => one.is_like(*other),
        _ => one == other,
    };
    match (one, other) {
        (Compared::Unknown(a, b), Compared::Unknown(c, d)) => alike(a, c) && alike(b, d),
        _ => one == other,
    }
}
