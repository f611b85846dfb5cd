//! What a part has found, in bounded room, and how it is shown.

use core::fmt::{self, Write};

use heapless::{String, Vec};
use machine::check::{Finding, Flaw};
use machine::{Level, PhysAddr, Range, Step, VirtAddr};

use super::scope::{Scope, Who};
use super::what::What;
use crate::Error;
use crate::command::Context;

/// As many findings as a part keeps to show; the others are counted.
const ROWS: usize = 16;

/// How a part ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    Pass,
    Fail,
    /// Nothing wrong was found, and not everything could be looked at.
    Unknown,
}

impl Verdict {
    pub(super) fn word(self) -> &'static str {
        match self {
            Verdict::Pass => "pass",
            Verdict::Fail => "fail",
            Verdict::Unknown => "unknown",
        }
    }
}

/// What a finding is about, where that is not a range of addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// Addresses, both included.
    Range(VirtAddr, VirtAddr),
    /// An entry of the top table, by the first address that goes through it.
    Slot(VirtAddr),
    /// A descriptor, by its offset in the table.
    Gdt(u32),
    /// Gates, both included.
    Idt(u8, u8),
    /// A stack in the task state segment: `RSP0`, `IST3`.
    Stack(&'static str, u8),
    /// A register, or a field of the task state segment.
    Named(&'static str),
    /// The books about frames; what is wrong says which.
    Books,
}

/// A finding.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Row {
    /// The space it is in, if it is in one.
    pub(super) who: Option<Who>,
    pub(super) place: Place,
    /// The entry of a page table that is at fault: level, address, value.
    pub(super) entry: Option<(Level, PhysAddr, u64)>,
    /// The value at fault of anything else.
    pub(super) value: Option<u64>,
    pub(super) what: What,
    /// How many entries in a row have the same flaw.
    pub(super) count: u64,
}

impl Row {
    pub(super) fn new(place: Place, what: What) -> Row {
        Row {
            who: None,
            place,
            entry: None,
            value: None,
            what,
            count: 1,
        }
    }

    /// A finding about an entry of a tree.
    pub(super) fn entry(who: Who, finding: &Finding) -> Row {
        let place = Place::Range(finding.first, finding.last);
        Row::new(place, What::Flaw(finding.flaw))
            .of(who)
            .through(&finding.entry)
    }

    pub(super) fn of(self, who: Who) -> Row {
        Row {
            who: Some(who),
            ..self
        }
    }

    pub(super) fn through(self, step: &Step) -> Row {
        let entry = Some((step.entry.level, step.entry_address(), step.entry.raw));
        Row { entry, ..self }
    }

    pub(super) fn holding(self, value: u64) -> Row {
        Row {
            value: Some(value),
            ..self
        }
    }

    /// Takes in a finding that is the same one: about the same entry, or about its neighbour.
    fn take(&mut self, next: &Row) -> bool {
        let (both, is_next) = match (self.place, next.place) {
            (Place::Range(start, last), Place::Range(first, end)) => {
                let is_next = last.checked_add(1) == Some(first);
                (Place::Range(start, end), is_next)
            }
            (Place::Idt(start, last), Place::Idt(first, end)) => {
                (Place::Idt(start, end), last.checked_add(1) == Some(first))
            }
            _ => return false,
        };
        let level = |row: &Row| row.entry.map(|(level, ..)| level);
        let is_same = self.entry.is_some() && self.entry == next.entry;
        let joins = self.who == next.who
            && self.what.is_like(&next.what)
            && level(self) == level(next)
            && (is_same || (is_next && self.what.may_spread()));
        if joins {
            self.place = both;
            self.count = self.count.saturating_add(next.count);
        }
        joins
    }
}

/// What one part has to say.
#[derive(Default)]
pub(super) struct Report {
    rows: Vec<Row, ROWS>,
    pub(super) found: u64,
    /// How many entries could not be followed.
    unknown: u64,
    /// Whether there was more to look at than anybody waits for.
    is_cut: bool,
    /// What was looked at.
    pub(super) extent: String<80>,
}

impl Report {
    pub(super) fn add(&mut self, row: Row) {
        // The last one may have been counted without being kept.
        let is_kept = self.found == self.rows.len() as u64;
        if is_kept
            && let Some(last) = self.rows.last_mut()
            && last.take(&row)
        {
            return;
        }
        self.found = self.found.saturating_add(1);
        // One that has no room is counted.
        let _ = self.rows.push(row);
    }

    pub(super) fn finding(&mut self, who: Who, finding: &Finding) {
        self.add(Row::entry(who, finding));
    }

    /// Something that could not be looked at.
    pub(super) fn unknown(&mut self) {
        self.unknown = self.unknown.saturating_add(1);
    }

    /// The rest was not looked at: there is too much of it.
    pub(super) fn cut(&mut self) {
        self.is_cut = true;
    }

    /// Says what was looked at.
    pub(super) fn extent(&mut self, text: fmt::Arguments<'_>) {
        // What does not fit is cut off; nothing but words is lost.
        let _ = self.extent.write_fmt(text);
    }

    pub(super) fn verdict(&self) -> Verdict {
        match (self.found, self.unknown > 0 || self.is_cut) {
            (0, false) => Verdict::Pass,
            (0, true) => Verdict::Unknown,
            _ => Verdict::Fail,
        }
    }

    /// The part's line, and a row for each finding.
    pub(super) fn show(
        &self,
        context: &mut Context<'_>,
        scope: &Scope,
        part: &'static str,
    ) -> Result<(), Error> {
        let verdict = self.verdict().word();
        if context.out.is_json() {
            context
                .out
                .record("part")
                .text("part", part)
                .text("verdict", verdict)
                .number("findings", self.found)
                .number("unreadable", self.unknown)
                .flag("complete", !self.is_cut)
                .text("extent", &self.extent)
                .end()?;
        } else {
            let out = &mut context.out;
            write!(out, "{part:<11}  {verdict}  {}", self.extent)?;
            match self.unknown {
                0 => {}
                1 => write!(out, "; 1 entry could not be followed")?,
                more => write!(out, "; {more} entries could not be followed")?,
            }
            if self.is_cut {
                write!(out, "; there is more, which was not looked at")?;
            }
            writeln!(out)?;
        }
        for row in &self.rows {
            show_row(context, scope, part, row)?;
        }
        let more = self.found.saturating_sub(self.rows.len() as u64);
        if more > 0 && !context.out.is_json() {
            writeln!(context.out, "  and {more} more")?;
        }
        Ok(())
    }
}

fn show_row(
    context: &mut Context<'_>,
    scope: &Scope,
    part: &'static str,
    row: &Row,
) -> Result<(), Error> {
    let region = region(context, row.place);
    let who = row.who.map(|who| scope.name(who));
    let shown = row.what.shown(scope, context.target.paging(), row);
    let out = &mut context.out;
    if out.is_json() {
        let (first, last) = match row.place {
            Place::Range(first, last) => (Some(first), Some(last)),
            Place::Slot(first) => (Some(first), None),
            _ => (None, None),
        };
        let (level, entry, value) = match row.entry {
            Some((level, at, raw)) => (Some(level), Some(at), Some(raw)),
            None => (None, None, row.value),
        };
        let thing = !matches!(row.place, Place::Range(..));
        out.record("finding")
            .text("part", part)
            .maybe_text("space", who)
            .hex("first", first)
            .hex("last", last)
            .maybe_text("thing", thing.then_some(row.place))
            .maybe_text("level", level)
            .hex("entry", entry)
            .hex("value", value)
            .number("entries", row.count)
            .text("what", shown)
            .maybe_text("region", region)
            .end()?;
        return Ok(());
    }
    write!(out, "  ")?;
    if let Some(who) = who {
        write!(out, "{who} ")?;
    }
    if row.place == Place::Books {
        writeln!(out, "{shown}")?;
        return Ok(());
    }
    write!(out, "{}", row.place)?;
    if let (Place::Slot(_), Some(region)) = (row.place, region) {
        write!(out, " ({region})")?;
    }
    if let Some((level, at, raw)) = row.entry {
        write!(out, " {level:<4} {at} {raw:016x}")?;
    }
    if let Some(value) = row.value {
        write!(out, " {value:016x}")?;
    }
    write!(out, " {shown}")?;
    if row.count > 1 && !row.what.counts() {
        write!(out, ", {} in a row", row.count)?;
    }
    match (row.place, region) {
        (Place::Range(..), Some(region)) => writeln!(out, ", in {region}")?,
        _ => writeln!(out)?,
    }
    Ok(())
}

/// The name of what is there; of a slot, the first of the regions in it.
fn region(context: &mut Context<'_>, place: Place) -> Option<&'static str> {
    let slot = context.target.paging().top().span();
    let range = match place {
        Place::Range(first, _) => Range::new(first, first),
        Place::Slot(first) => Range::new(first, VirtAddr(first.0 | (slot - 1))),
        _ => return None,
    };
    let mut regions = context.target.regions().iter();
    let found = regions.find(|region| region.first <= range.last && range.first <= region.last);
    found.map(|region| region.name)
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Range(first, last) => write!(f, "{first}..{last}"),
            Place::Slot(first) => write!(f, "slot {}", Level::Pml4.index(*first)),
            Place::Gdt(offset) => write!(f, "gdt 0x{offset:04x}"),
            Place::Idt(first, last) if first < last => write!(f, "idt {first}..{last}"),
            Place::Idt(vector, _) => write!(f, "idt {vector} {}", machine::vectors::name(*vector)),
            Place::Stack(name, number) => write!(f, "{name}{number}"),
            Place::Named(name) => f.write_str(name),
            Place::Books => f.write_str("frames"),
        }
    }
}

/// Whether a flaw that neighbours share is said once, of the first of them.
pub(super) fn spreads(flaw: &Flaw) -> bool {
    !matches!(flaw, Flaw::NoTable(_) | Flaw::Loop | Flaw::GlobalTable)
}
