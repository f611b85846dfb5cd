//! One row: where, what is in both entries, and what that comes to.

use core::fmt;

use machine::{Compared, DiffRow, Differences, Entry, HoleWhy, Kind, PageCounts, Paging, Place};

use super::Name;
use crate::output::Output;
use crate::record::{Row, hex, number, text};
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
    /// This row with `--json`.
    pub(super) const ROW: Row = Row {
        name: "difference",
        about: "neighbours about which the same is to be said",
        fields: &[
            hex("first", "the first address"),
            hex("last", "the last one"),
            text(
                "kind",
                "shared, equal, differs, only_left, only_right, unknown",
            ),
            text("what", "what differs, such as W, frame").or_null(),
            text("level", "the level of the first entry"),
            hex("left_entry", "its physical address on the left").or_null(),
            hex("left_raw", "its value there").or_null(),
            text("left_rights", "what it alone leaves").or_null(),
            text("left_type", "the memory type that it selects").or_null(),
            text("left_unknown", "why it could not be followed").or_null(),
            hex("right_entry", "the same on the right").or_null(),
            hex("right_raw", "the same").or_null(),
            text("right_rights", "the same").or_null(),
            text("right_type", "the same").or_null(),
            text("right_unknown", "the same").or_null(),
            number("entries", "how many entries it is about"),
            number(
                "left_pages_4k",
                "pages on the left, as far as they were counted",
            ),
            number("left_pages_2m", "the same"),
            number("left_pages_1g", "the same"),
            number("right_pages_4k", "pages on the right"),
            number("right_pages_2m", "the same"),
            number("right_pages_1g", "the same"),
            number("uncounted", "shared tables whose pages were not counted"),
            number("holes", "what the counting could not follow"),
        ],
    };

    pub(super) fn record(&self, out: &mut Output<'_>) -> fmt::Result {
        const SIDES: [[&str; 8]; 2] = [
            [
                "left_entry",
                "left_raw",
                "left_rights",
                "left_type",
                "left_unknown",
                "left_pages_4k",
                "left_pages_2m",
                "left_pages_1g",
            ],
            [
                "right_entry",
                "right_raw",
                "right_rights",
                "right_type",
                "right_unknown",
                "right_pages_4k",
                "right_pages_2m",
                "right_pages_1g",
            ],
        ];
        let row = self.row;
        let (mut what, mut unknown) = (None, [None, None]);
        let kind = match row.kind {
            Compared::Shared => "shared",
            Compared::Equal => "equal",
            Compared::Differs(differences) => {
                what = Some(differences);
                "differs"
            }
            Compared::OnlyLeft => "only_left",
            Compared::OnlyRight => "only_right",
            Compared::Unknown(left, right) => {
                unknown = [left, right];
                "unknown"
            }
        };
        let mut record = out
            .record(Self::ROW.name)
            .hex("first", row.first)
            .hex("last", row.last)
            .text("kind", kind)
            .maybe_text("what", what)
            .text("level", row.level);
        let places = [row.left, row.right].into_iter().zip(unknown);
        for ([entry, raw, rights, memory_type, why, ..], (place, unknown)) in
            SIDES.into_iter().zip(places)
        {
            let value = place.and_then(|place| place.raw);
            let decoded = value.map(|raw| self.paging.decode(raw, row.level));
            let leads = decoded
                .filter(|entry| matches!(entry.kind, Kind::Table { .. } | Kind::Page { .. }));
            record = record
                .hex(entry, place.map(|place| place.entry_address()))
                .hex(raw, value)
                .maybe_text(rights, leads.map(|entry| entry.rights()))
                .maybe_text(
                    memory_type,
                    leads.map(|entry| self.paging.memory_type(&entry)),
                )
                .maybe_text(why, unknown.map(Why));
        }
        record = record.number("entries", row.entries);
        let pages = [row.left_pages, row.right_pages];
        for ([.., small, middle, large], pages) in SIDES.into_iter().zip(pages) {
            record = record
                .number(small, pages.of_4k)
                .number(middle, pages.of_2m)
                .number(large, pages.of_1g);
        }
        record
            .number("uncounted", row.uncounted)
            .number("holes", row.holes)
            .end()
    }

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
        let is_table = |entry: &Entry| matches!(entry.kind, Kind::Table { .. });
        let other_table = what.contains(Differences::FRAME) && is_table(&left);
        if what.contains(Differences::SIZE) || other_table {
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
