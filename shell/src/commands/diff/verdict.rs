//! The last line: what it all comes to, one part for each half.

use core::fmt;

use machine::{Compared, DiffRow, Slots};

use super::Name;
use super::line::Entries;
use crate::output::Output;
use crate::record::{Row, number, text};
use crate::render::Count;

/// The sums over the rows of one half.
#[derive(Clone, Copy, Default)]
pub(super) struct Tally {
    shared: u64,
    equal: u64,
    differing: u64,
    left: Only,
    right: Only,
    unknown: u64,
    /// What could not be followed below the entries on one side only.
    holes: u64,
}

/// Entries on one side only, and the pages below them.
#[derive(Clone, Copy, Default)]
struct Only {
    entries: u64,
    pages: u64,
}

impl Tally {
    pub(super) fn add(&mut self, row: &DiffRow) {
        let sum = |to: &mut u64, more: u64| *to = to.saturating_add(more);
        sum(&mut self.holes, row.holes);
        match row.kind {
            Compared::Shared => sum(&mut self.shared, row.entries),
            Compared::Equal => {
                sum(&mut self.equal, row.left_pages.total());
                sum(&mut self.shared, row.uncounted);
            }
            Compared::Differs(_) => sum(&mut self.differing, row.entries),
            Compared::OnlyLeft => {
                sum(&mut self.left.entries, row.entries);
                sum(&mut self.left.pages, row.left_pages.total());
            }
            Compared::OnlyRight => {
                sum(&mut self.right.entries, row.entries);
                sum(&mut self.right.pages, row.right_pages.total());
            }
            Compared::Unknown(..) => sum(&mut self.unknown, 1),
        }
    }
}

/// `256 of 256 kernel slots shared; user half: 5 pages only in pid 3`.
pub(super) struct Verdict<'a> {
    /// The lower half, and the upper one.
    pub(super) slots: [Slots; 2],
    pub(super) tallies: [Tally; 2],
    pub(super) names: [&'a Name; 2],
}

impl fmt::Display for Verdict<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [user, kernel] = &self.tallies;
        let [user_slots, kernel_slots] = &self.slots;
        if kernel_slots.total > 0 {
            let Slots { shared, total, .. } = kernel_slots;
            write!(f, "{shared} of {total} kernel slots shared")?;
            if kernel_slots.equal > 0 {
                write!(f, ", {} equal", kernel_slots.equal)?;
            }
            self.parts(f, kernel, ", ")?;
        }
        let gap = if kernel_slots.total > 0 { "; " } else { "" };
        if user_slots.total > 0 {
            write!(f, "{gap}user half: ")?;
            if self.parts_are_none(user) {
                return match (user_slots.shared == user_slots.total, user.shared) {
                    (true, 0) => write!(f, "empty on both sides"),
                    (true, _) => write!(f, "shared"),
                    _ => write!(f, "equal, {}", Count(user.equal, "page")),
                };
            }
            if user.equal > 0 {
                write!(f, "{} equal, ", Count(user.equal, "page"))?;
            }
            self.parts(f, user, "")?;
        } else if kernel_slots.total == 0 {
            write!(f, "no canonical address in the range")?;
        }
        Ok(())
    }
}

impl Verdict<'_> {
    /// What it is with `--json`: one for each half that was looked at.
    pub(super) const ROW: Row = Row {
        name: "half",
        about: "what one half of the address space comes to",
        fields: &[
            text("half", "kernel, user"),
            number("slots", "how many entries of the top table were looked at"),
            number(
                "slots_shared",
                "how many lead to the same table, or are empty on both sides",
            ),
            number(
                "slots_equal",
                "how many lead to tables with the same content",
            ),
            number("slots_differing", "how many differ, somewhere"),
            number("slots_unknown", "how many could not be compared to the end"),
            number("differing", "entries that differ"),
            number("equal_pages", "pages that are the same in other tables"),
            number("left_entries", "entries only on the left"),
            number("left_pages", "the pages below them"),
            number("right_entries", "entries only on the right"),
            number("right_pages", "the pages below them"),
            number("unknown", "rows that are unknown"),
            number("holes", "what could not be followed"),
        ],
    };

    pub(super) fn record(&self, out: &mut Output<'_>) -> fmt::Result {
        let halves = ["user", "kernel"].into_iter();
        for (half, (slots, tally)) in halves.zip(self.slots.iter().zip(&self.tallies)).rev() {
            if slots.total == 0 {
                continue;
            }
            out.record(Self::ROW.name)
                .text("half", half)
                .number("slots", slots.total)
                .number("slots_shared", slots.shared)
                .number("slots_equal", slots.equal)
                .number("slots_differing", slots.differing)
                .number("slots_unknown", slots.unknown)
                .number("differing", tally.differing)
                .number("equal_pages", tally.equal)
                .number("left_entries", tally.left.entries)
                .number("left_pages", tally.left.pages)
                .number("right_entries", tally.right.entries)
                .number("right_pages", tally.right.pages)
                .number("unknown", tally.unknown)
                .number("holes", tally.holes)
                .end()?;
        }
        Ok(())
    }

    fn parts_are_none(&self, tally: &Tally) -> bool {
        tally.differing == 0
            && tally.left.entries == 0
            && tally.right.entries == 0
            && tally.unknown == 0
            && tally.holes == 0
    }

    /// What is not the same; `gap` comes before the first of it.
    fn parts(&self, f: &mut fmt::Formatter<'_>, tally: &Tally, gap: &str) -> fmt::Result {
        let mut gap = gap;
        if tally.differing > 0 {
            let verb = if tally.differing == 1 {
                "differs"
            } else {
                "differ"
            };
            write!(f, "{gap}{} {verb}", Entries(tally.differing))?;
            gap = ", ";
        }
        for (only, name) in [(tally.left, self.names[0]), (tally.right, self.names[1])] {
            match only {
                Only { entries: 0, .. } => continue,
                Only { entries, pages: 0 } => {
                    write!(f, "{gap}{} only in {name}", Entries(entries))?
                }
                Only { pages, .. } => write!(f, "{gap}{} only in {name}", Count(pages, "page"))?,
            }
            gap = ", ";
        }
        if tally.unknown > 0 {
            write!(f, "{gap}{} unknown", Count(tally.unknown, "row"))?;
            gap = ", ";
        }
        if tally.holes > 0 {
            write!(f, "{gap}{} not followed", Entries(tally.holes))?;
        }
        Ok(())
    }
}
