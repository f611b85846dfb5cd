//! What is wrong, in words that name the bit.

use core::fmt;

use machine::check::{Flaw, reserved_bits};
use machine::{Compared, End, Entry, Kind, Level, PageSize, Paging, PhysAddr, VirtAddr, VirtError};

use super::report::{Row, spreads};
use super::scope::{Scope, Who};
use crate::commands::frames;
use crate::render::Count;

/// What is wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum What {
    /// An entry by itself.
    Flaw(Flaw),
    /// A slot of the kernel's half is not the master's.
    Slot {
        is: Slot,
        /// The master's entry.
        theirs: Option<u64>,
        /// In how many more rows the two differ.
        more: u64,
    },
    /// A table that another entry of the space references, too.
    TwoNames {
        at: PhysAddr,
        level: Level,
        /// The other entry, the first address that goes through it, and the level of the table
        /// there.
        entry: PhysAddr,
        va: VirtAddr,
        other: Level,
    },
    /// A page that can be written here and executed elsewhere.
    WritableCode {
        at: PhysAddr,
        va: VirtAddr,
        who: Who,
    },
    /// What the books about frames and the page tables do not agree in.
    Frame(frames::Finding),
    /// A page of a stack, or below one: what is wrong, and where a walk of it ends.
    Stack(&'static str, End),
    /// Something that has to be mapped in some way and is not: what, and where a walk ends.
    Mapped(&'static str, End),
    /// What was to be read could not be.
    Unreadable(VirtError),
    /// A selector that goes past the end of the table.
    BeyondLimit(u64),
    /// A number that is too small: what it has to be at least.
    TooSmall(&'static str, u64),
    /// The gate has the stack of this vector.
    SharesStack(u8),
    /// The gate asks for this stack, and none is set.
    NoStack(u8),
    /// The gate's selector: it, and what is wrong with it.
    Selector(u16, &'static str),
    /// Anything that needs no values to be said.
    Said(&'static str),
}

/// How a slot is not the master's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Slot {
    /// It has a table of its own with the same content.
    Copy,
    /// The entries of the top table, or some below, are not the same.
    Differs(Compared),
    /// The same, in a table that is a copy.
    Stale(Compared),
}

impl What {
    /// Whether the same is said, so that neighbours can share a row.
    pub(super) fn is_like(&self, other: &What) -> bool {
        match (self, other) {
            (What::Stack(one, End::Mapped { .. }), What::Stack(two, End::Mapped { .. }))
            | (What::Mapped(one, End::Mapped { .. }), What::Mapped(two, End::Mapped { .. })) => {
                one == two
            }
            _ => self == other,
        }
    }

    /// Whether neighbours share a row.
    pub(super) fn may_spread(&self) -> bool {
        match self {
            What::Flaw(flaw) => spreads(flaw),
            What::Stack(..) | What::Mapped(..) | What::Selector(..) | What::Said(_) => true,
            _ => false,
        }
    }

    /// Whether the words say how many entries there are.
    pub(super) fn counts(&self) -> bool {
        matches!(
            self,
            What::Flaw(Flaw::WriteLost | Flaw::ExecuteLost | Flaw::UserLost)
        )
    }

    pub(super) fn shown<'a>(&'a self, scope: &'a Scope, paging: Paging, row: &'a Row) -> Shown<'a> {
        Shown {
            what: self,
            scope,
            paging,
            row,
        }
    }
}

/// What is wrong, for a reader.
pub(super) struct Shown<'a> {
    what: &'a What,
    scope: &'a Scope,
    paging: Paging,
    row: &'a Row,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.what {
            What::Flaw(flaw) => self.flaw(f, flaw),
            What::Slot { is, theirs, more } => {
                match is {
                    Slot::Copy => f.write_str("a private copy, alike for now")?,
                    Slot::Differs(how) => compared(f, how)?,
                    Slot::Stale(how) => {
                        f.write_str("a private copy that is stale: ")?;
                        compared(f, how)?;
                    }
                }
                if let Some(raw) = theirs.filter(|raw| *raw != 0) {
                    write!(f, "; the master's entry is {raw:016x}")?;
                }
                match more {
                    0 => Ok(()),
                    1 => write!(f, "; 1 more row differs"),
                    _ => write!(f, "; {more} more rows differ"),
                }
            }
            What::TwoNames {
                at,
                level,
                entry,
                va,
                other,
            } => {
                write!(f, "the table {at} is that of {va}, too (entry {entry})")?;
                match level == other {
                    true => Ok(()),
                    false => write!(f, ": a {level} here and a {other} there"),
                }
            }
            What::WritableCode { at, va, who } => {
                let who = self.scope.name(*who);
                write!(
                    f,
                    "R/W set: {at} is code that can be executed at {va} in {who}"
                )
            }
            What::Frame(finding) => write!(f, "{finding}"),
            What::Stack(what, end) | What::Mapped(what, end) => write!(f, "{what}: {end}"),
            What::Unreadable(why) => write!(f, "unreadable: {why}"),
            What::BeyondLimit(limit) => write!(f, "is beyond the limit {limit:#x} of the GDT"),
            What::TooSmall(what, least) => write!(f, "{what} is less than {least:#x}"),
            What::SharesStack(vector) => write!(f, "has the stack of vector {vector}"),
            What::NoStack(ist) => write!(f, "asks for IST{ist}, which is zero"),
            What::Selector(selector, what) => write!(f, "selector {selector:#06x} {what}"),
            What::Said(text) => f.write_str(text),
        }
    }
}

impl Shown<'_> {
    fn flaw(&self, f: &mut fmt::Formatter<'_>, flaw: &Flaw) -> fmt::Result {
        let lost = match flaw {
            Flaw::WriteLost => Some("R/W clear"),
            Flaw::ExecuteLost => Some("XD set"),
            Flaw::UserLost => Some("U/S clear"),
            _ => None,
        };
        if let Some(bit) = lost {
            let pages = Count(self.row.count, "page");
            let (have, other) = match (self.row.count, flaw) {
                (1, Flaw::ExecuteLost) => ("has", "clear"),
                (_, Flaw::ExecuteLost) => ("have", "clear"),
                (1, _) => ("has", "set"),
                _ => ("have", "set"),
            };
            return write!(f, "{bit} above {pages} that {have} it {other}");
        }
        f.write_str(match flaw {
            Flaw::WriteAndExecute => "R/W set, XD clear: both writable and executable",
            Flaw::Writable => "R/W set: writable and should not be",
            Flaw::ReadOnly => "R/W clear: not writable and should be",
            Flaw::Executable => "XD clear: executable and should not be",
            Flaw::NotExecutable => "XD set: not executable and should be",
            Flaw::UserInKernel { reachable: true } => "U/S set: user code can use it",
            Flaw::UserInKernel { reachable: false } => {
                "U/S set: only an entry above keeps user code out"
            }
            Flaw::UserInMaster => "U/S set, in the master",
            Flaw::NotForUser => "U/S clear, in the half of a process",
            Flaw::GlobalTable => "G set where a table is referenced",
            Flaw::GlobalInUserHalf => "G set, in the user half",
            Flaw::GlobalStack => "G set, on a stack",
            Flaw::Loop => "references a table that leads to it",
            Flaw::WriteLost | Flaw::ExecuteLost | Flaw::UserLost => "forbids",
            Flaw::Reserved(bits) => {
                let level = self.row.entry.map_or(Level::Pml4, |(level, ..)| level);
                return write!(
                    f,
                    "malformed: {}",
                    reserved_bits(*bits, level, &self.paging)
                );
            }
            Flaw::NoTable(why) => return write!(f, "its table cannot be read: {why}"),
            Flaw::NoPage => {
                f.write_str("no memory is where its page should be")?;
                return match self.page() {
                    Some((at, size)) => write!(f, ": {at} ({size} page)"),
                    None => Ok(()),
                };
            }
        })
    }

    /// The page that the entry maps.
    fn page(&self) -> Option<(PhysAddr, PageSize)> {
        let (level, _, raw) = self.row.entry?;
        let entry: Entry = self.paging.decode(raw, level);
        match entry.kind {
            Kind::Page { at, size } => Some((at, size)),
            _ => None,
        }
    }
}

fn compared(f: &mut fmt::Formatter<'_>, how: &Compared) -> fmt::Result {
    match how {
        Compared::OnlyLeft => f.write_str("missing"),
        Compared::OnlyRight => f.write_str("not in the master"),
        Compared::Differs(what) => write!(f, "differs in {what}"),
        Compared::Shared | Compared::Equal => f.write_str("the same"),
        Compared::Unknown(..) => f.write_str("cannot be compared"),
    }
}
