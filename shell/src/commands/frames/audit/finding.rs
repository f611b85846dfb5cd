//! One disagreement: the frame, what the books say, what was found, and the entry that says so.

use core::fmt;

use machine::{Level, PhysAddr, Present, VirtAddr};

use crate::abilities::{FrameOwner, Place};
use crate::commands::roots::Tree;
use crate::output::Output;
use crate::record::{Row, hex, text};
use crate::render::{Count, Layout};

/// A disagreement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::commands) struct Finding {
    /// The frame, and who has it by the books.
    pub(super) frame: Option<(PhysAddr, Option<FrameOwner>)>,
    pub(super) what: What,
    pub(super) entry: Option<Named>,
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// An entry names a frame as a table that is none.
    NoTable,
    /// Two entries of different places name one table.
    TwiceNamed,
    /// A table is named from below.
    Loop,
    /// A table of the kernel's half that the master does not have there.
    NotMasters,
    /// A table of the kernel's half that a process does not have.
    MissingIn(Tree),
    /// The entries of a table cannot be read.
    Unreadable,
    /// An entry maps it where frames of somebody else belong.
    MappedAs(Place),
    /// A process maps it.
    MappedByProcess,
    /// No tree reaches a table.
    Unreached,
    /// Mapped so often, and how often it should be.
    Mapped { found: u16, expected: Expected },
    /// No page that can be shared, but so many share it by the books.
    Shares(u16),
    /// RAM that is not in the books.
    NoOwner,
    /// It is the root of this tree.
    Root(Tree),
    /// It is the root of this tree and of another, or a table elsewhere.
    RootTwice(Tree),
    /// CR3 names it, and it is nobody's root.
    Cr3,
    /// The saved CR3 of a process that has another root.
    SavedCr3(Tree, PhysAddr),
    /// The owner's frames as the books count them, and as there are.
    OwnerSum(&'static str, u64, u64),
    /// One of the allocator's totals, and what there is.
    Total(&'static str, u64, u64),
    /// Frames that the mapping of all RAM has, of all there are.
    Physmap(u64, u64),
    /// Frames of stacks, and pages that stacks in use have.
    Stacks(FrameOwner, u64, u64),
}

/// How often a frame should be mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    /// As the books count sharers.
    Books(u32),
    /// By the layout.
    Once,
    AtLeastOnce,
}

/// The entry that names a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) tree: Tree,
    pub(super) level: Level,
    pub(super) at: PhysAddr,
    pub(super) raw: u64,
    pub(super) va: VirtAddr,
}

impl Named {
    pub(super) fn by(tree: Tree, present: &Present) -> Self {
        Named {
            tree,
            level: present.entry.level,
            at: present.entry_address(),
            raw: present.entry.raw,
            va: present.va,
        }
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Named {
            tree,
            level,
            at,
            raw,
            va,
        } = self;
        write!(f, "{tree} {level} {at} {raw:016x} for {va}")
    }
}

/// What a finding is with `--json`.
pub(in crate::commands) const ROW: Row = Row {
    name: "disagreement",
    about: "what does not agree",
    fields: &[
        hex("frame", "the frame").or_null(),
        text("owner", "who has it by the books").or_null(),
        text("what", "what was found, in words"),
        text("space", "the space of the entry that says so").or_null(),
        text("level", "its level").or_null(),
        hex("entry", "its physical address").or_null(),
        hex("raw", "its value").or_null(),
        hex("va", "the address that it is for").or_null(),
    ],
};

impl Finding {
    pub(super) fn record(&self, out: &mut Output<'_>) -> fmt::Result {
        let entry = self.entry;
        out.record(ROW.name)
            .hex("frame", self.frame.map(|(at, _)| at))
            .maybe_text("owner", self.frame.and_then(|(_, owner)| owner))
            .text("what", self.what)
            .maybe_text("space", entry.map(|entry| entry.tree))
            .maybe_text("level", entry.map(|entry| entry.level))
            .hex("entry", entry.map(|entry| entry.at))
            .hex("raw", entry.map(|entry| entry.raw))
            .hex("va", entry.map(|entry| entry.va))
            .end()
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.frame {
            Some((at, Some(owner))) => write!(f, "{at} {owner}: ")?,
            Some((at, None)) => write!(f, "{at} not in the books: ")?,
            None => {}
        }
        write!(f, "{}", self.what)?;
        match self.entry {
            Some(entry) => write!(f, "; {entry}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            What::NoTable => write!(f, "an entry names it as a table"),
            What::TwiceNamed => write!(f, "another entry names the same table"),
            What::Loop => write!(f, "an entry below it names it"),
            What::NotMasters => write!(f, "in the kernel's half, but not the master's"),
            What::MissingIn(tree) => write!(f, "the master's, but {tree} does not have it"),
            What::Unreadable => write!(f, "its entries cannot be read"),
            What::MappedAs(place) => write!(f, "mapped where the layout has {}", Layout(*place)),
            What::MappedByProcess => write!(f, "mapped for a process"),
            What::Unreached => write!(f, "no root leads to it"),
            What::Mapped { found, expected } => {
                write!(f, "mapped {}, ", Count((*found).into(), "time"))?;
                match expected {
                    Expected::Books(count) => write!(f, "the books say {count}"),
                    Expected::Once => write!(f, "the layout says once"),
                    Expected::AtLeastOnce => write!(f, "the layout says at least once"),
                }
            }
            What::Shares(count) => {
                write!(f, "not to be shared, but {count} beside the first have it")
            }
            What::NoOwner => write!(f, "there is RAM"),
            What::Root(tree) => write!(f, "the root of {tree}"),
            What::RootTwice(tree) => write!(f, "the root of {tree}, and a table elsewhere"),
            What::Cr3 => write!(f, "CR3 names it, and it is nobody's root"),
            What::SavedCr3(tree, root) => {
                write!(f, "the saved CR3 of {tree} names it, whose root is {root}")
            }
            What::OwnerSum(owner, books, found) => {
                write!(f, "{owner}: the books count {books}, there are {found}")
            }
            What::Total(what, books, found) => {
                write!(f, "the allocator counts {books} {what}, there are {found}")
            }
            What::Physmap(found, expected) => {
                write!(f, "the physmap has {found} of {expected} frames of RAM")
            }
            What::Stacks(owner, found, expected) => write!(
                f,
                "{owner}: {}, but those in use have {expected} pages",
                Count(*found, "frame")
            ),
        }
    }
}
