//! What a table has, a line each: an entry, a run of pages, a leaf, a hole.

use core::fmt::{self, Write as _};

use machine::{Hole, HoleWhy, Kind, Leaf, Run, Step};

use super::{Pages, Size};
use crate::output::Output;
use crate::record::{Row, hex, number, text};

/// An entry that a walk met: where, raw, and what it is.
///
/// `PML4 0x0000_0000_1000 [  0] 0000000000002007 table 0x0000_0000_2000 urwx`
pub(crate) struct EntryLine<'a>(pub(crate) &'a Step);

impl fmt::Display for EntryLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Step {
            table,
            index,
            entry,
        } = self.0;
        let level = entry.level.name();
        write!(f, "{level:<4} {table} [{index:>3}] {:016x} ", entry.raw)?;
        match entry.kind {
            Kind::Absent => write!(f, "absent"),
            Kind::Table { at } => write!(f, "table {at} {}", entry.rights()),
            Kind::Page { at, .. } => write!(f, "page  {at} {}", entry.rights()),
            Kind::Reserved { bits } => write!(f, "malformed: reserved bits {bits:#x} are set"),
        }
    }
}

impl EntryLine<'_> {
    /// This row with `--json`.
    pub(crate) const ROW: Row = Row {
        name: "entry",
        about: "an entry that the CPU would read",
        fields: &[
            text("level", "the table's level: PML5, PML4, PDPT, PD, PT"),
            hex("table", "physical address of the table"),
            number("index", "which entry of it"),
            hex("raw", "its value"),
            text("kind", "absent, table, page, malformed"),
            hex("at", "the table or page it leads to").or_null(),
            text("rights", "those that it alone leaves, such as ur-x").or_null(),
            hex("reserved", "the reserved bits that are set").or_null(),
        ],
    };

    /// Shows it in the form that is wanted.
    pub(crate) fn show(&self, out: &mut Output<'_>) -> fmt::Result {
        if !out.is_json() {
            return writeln!(out, "{self}");
        }
        let Step {
            table,
            index,
            entry,
        } = self.0;
        let (kind, at, reserved) = match entry.kind {
            Kind::Absent => ("absent", None, None),
            Kind::Table { at } => ("table", Some(at), None),
            Kind::Page { at, .. } => ("page", Some(at), None),
            Kind::Reserved { bits } => ("malformed", None, Some(bits)),
        };
        out.record(Self::ROW.name)
            .text("level", entry.level)
            .hex("table", *table)
            .number("index", *index)
            .hex("raw", entry.raw)
            .text("kind", kind)
            .hex("at", at)
            .maybe_text("rights", at.map(|_| entry.rights()))
            .hex("reserved", reserved)
            .end()
    }
}

/// A run of pages: range, length, effective rights, memory type, pages, region.
pub(crate) struct RunLine<'a> {
    pub(crate) run: &'a Run,
    pub(crate) region: Option<&'a str>,
    /// Whether to say where it is physically.
    pub(crate) physical: bool,
}

impl fmt::Display for RunLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Run {
            first,
            last,
            rights,
            memory_type,
            ..
        } = self.run;
        write!(f, "{first}..{last} ")?;
        if self.physical {
            match self.run.at {
                Some(at) => write!(f, "{at} ")?,
                None => write!(f, "{:<16} ", "scattered")?,
            }
        }
        let size = Size(self.run.bytes());
        write!(f, "{size:>7} {rights} {memory_type:<3} ")?;
        let pages = Pages::of(self.run);
        match self.region {
            Some(region) => {
                // Padding needs the text as a whole; three counts of 20 digits fit.
                let mut text = heapless::String::<80>::new();
                write!(text, "{pages}")?;
                write!(f, "{text:<9} {region}")
            }
            None => write!(f, "{pages}"),
        }
    }
}

impl RunLine<'_> {
    /// This row with `--json`.
    pub(crate) const ROW: Row = Row {
        name: "run",
        about: "neighbouring pages about which the same is to be said",
        fields: &[
            hex("first", "the first address"),
            hex("last", "the last one"),
            hex(
                "at",
                "the physical address of the first, if all follow one another",
            )
            .or_null(),
            number("bytes", "the length"),
            text("rights", "the effective rights, such as ur-x"),
            text("memory_type", "UC, WC, WT, WP, WB, UC-"),
            number("pages_4k", "how many pages there are of 4K"),
            number("pages_2m", "of 2M"),
            number("pages_1g", "of 1G"),
            text("region", "the name of the region").or_null(),
        ],
    };

    /// Shows it in the form that is wanted.
    pub(crate) fn show(&self, out: &mut Output<'_>) -> fmt::Result {
        let run = self.run;
        if !out.is_json() {
            return writeln!(out, "{self}");
        }
        let record = out
            .record(Self::ROW.name)
            .hex("first", run.first)
            .hex("last", run.last)
            .hex("at", run.at)
            .number("bytes", run.bytes())
            .text("rights", run.rights)
            .text("memory_type", run.memory_type);
        Pages::of(run)
            .fields(record)
            .maybe_text("region", self.region)
            .end()
    }
}

/// One page: `VA PA SIZE ENTRY RIGHTS TYPE`.
pub(crate) struct LeafLine<'a>(pub(crate) &'a Leaf);

impl fmt::Display for LeafLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Leaf {
            va,
            at,
            size,
            entry,
            rights,
            memory_type,
            ..
        } = self.0;
        write!(
            f,
            "{va} {at} {size} {:016x} {rights} {memory_type}",
            entry.raw
        )
    }
}

impl LeafLine<'_> {
    /// This row with `--json`.
    pub(crate) const ROW: Row = Row {
        name: "page",
        about: "one page",
        fields: &[
            hex("va", "its first address"),
            hex("at", "where it is physically"),
            number("bytes", "its size"),
            hex("raw", "the entry that maps it"),
            text("rights", "the effective rights"),
            text("memory_type", "as in a run"),
        ],
    };

    /// Shows it in the form that is wanted.
    pub(crate) fn show(&self, out: &mut Output<'_>) -> fmt::Result {
        let leaf = self.0;
        if !out.is_json() {
            return writeln!(out, "{self}");
        }
        out.record(Self::ROW.name)
            .hex("va", leaf.va)
            .hex("at", leaf.at)
            .number("bytes", leaf.size.bytes())
            .hex("raw", leaf.entry.raw)
            .text("rights", leaf.rights)
            .text("memory_type", leaf.memory_type)
            .end()
    }
}

/// A part of the tables that could not be followed.
pub(crate) struct HoleLine<'a>(pub(crate) &'a Hole);

impl fmt::Display for HoleLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Hole {
            va,
            level,
            table,
            index,
            why,
            ..
        } = self.0;
        write!(f, "{va}..{} {level} {table} [{index:>3}] ", self.0.last())?;
        match why {
            HoleWhy::Reserved { bits } => write!(f, "malformed: reserved bits {bits:#x} are set"),
            HoleWhy::Unreadable(why) => write!(f, "unreadable: {why}"),
            HoleWhy::Loop => write!(f, "leads back to a table above it"),
        }
    }
}

impl HoleLine<'_> {
    /// This row with `--json`.
    pub(crate) const ROW: Row = Row {
        name: "hole",
        about: "a part of the tables that could not be followed",
        fields: &[
            hex("first", "the first address below the entry"),
            hex("last", "the last one"),
            text("level", "the table's level: PML5, PML4, PDPT, PD, PT"),
            hex("table", "physical address of the table"),
            number("index", "which entry of it"),
            text("why", "malformed, unreadable, loop"),
            hex("reserved", "the reserved bits that are set").or_null(),
            text("error", "why it could not be read").or_null(),
        ],
    };

    /// Shows it in the form that is wanted.
    pub(crate) fn show(&self, out: &mut Output<'_>) -> fmt::Result {
        let hole = self.0;
        if !out.is_json() {
            return writeln!(out, "{self}");
        }
        let (why, reserved, error) = match hole.why {
            HoleWhy::Reserved { bits } => ("malformed", Some(bits), None),
            HoleWhy::Unreadable(why) => ("unreadable", None, Some(why)),
            HoleWhy::Loop => ("loop", None, None),
        };
        out.record(Self::ROW.name)
            .hex("first", hole.va)
            .hex("last", hole.last())
            .text("level", hole.level)
            .hex("table", hole.table)
            .number("index", hole.index)
            .text("why", why)
            .hex("reserved", reserved)
            .maybe_text("error", error)
            .end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use machine::{Level, Paging, PhysAddr, ReadError, VirtAddr};

    fn entry(level: Level, raw: u64) -> String {
        let entry = Paging::four_level(40).decode(raw, level);
        let step = Step {
            table: PhysAddr(0x1000),
            index: 5,
            entry,
        };
        EntryLine(&step).to_string()
    }

    #[test]
    fn an_entry_shows_its_raw_bits_before_what_they_mean() {
        assert_eq!(
            entry(Level::Pml4, 0x2007),
            "PML4 0x0000_0000_1000 [  5] 0000000000002007 table 0x0000_0000_2000 urwx"
        );
        assert_eq!(
            entry(Level::Pt, 0x73005),
            "PT   0x0000_0000_1000 [  5] 0000000000073005 page  0x0000_0007_3000 ur-x"
        );
        assert_eq!(
            entry(Level::Pd, 0x73004),
            "PD   0x0000_0000_1000 [  5] 0000000000073004 absent"
        );
        assert_eq!(
            entry(Level::Pml4, 0x2087),
            "PML4 0x0000_0000_1000 [  5] 0000000000002087 malformed: reserved bits 0x80 are set"
        );
    }

    #[test]
    fn a_hole_says_where_the_entry_is_and_why_it_is_one() {
        let hole = Hole {
            va: VirtAddr(0x80_0000_0000),
            span: 1 << 39,
            level: Level::Pml4,
            table: PhysAddr(0x1000),
            index: 1,
            why: HoleWhy::Unreadable(ReadError::NoMemory {
                at: PhysAddr(0x9_9000),
            }),
        };
        assert_eq!(
            HoleLine(&hole).to_string(),
            "0x0000_0080_0000_0000..0x0000_00ff_ffff_ffff PML4 0x0000_0000_1000 [  1] \
             unreadable: no memory at 0x0000_0009_9000"
        );
    }
}
