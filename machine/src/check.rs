//! What may be wrong with an entry in its place: rules over [`Path`]s, each a plain function.
//!
//! Come here to ask of every entry of a tree whether it should be as it is. A rule looks at one
//! path and says what is wrong and at which entry, or nothing; it reads no table. What an address
//! is for, and so what its pages should allow, is told by whoever asks, in a [`Site`].

use crate::{
    Entry, HoleWhy, Kind, Node, Path, PhysMemory, ReadError, Right, Rights, Step, VirtAddr,
};

mod aliases;
mod code;
mod why_reserved;

pub use aliases::{Met, NamedTable, TableNames};
pub use code::{CodePage, CodePages};
pub use why_reserved::{ReservedBits, reserved_bits};

/// What an address is for, as far as that is known.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Site {
    /// Whose half of the address space it is in.
    pub half: Half,
    /// What its pages should allow. Whether user code may use them follows from the half.
    pub expected: Option<Rights>,
    /// Whether it is in a stack of the kernel.
    pub is_stack: bool,
}

/// A half of an address space, by whose it is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Half {
    /// The upper half of any space.
    Kernel,
    /// The lower half of the kernel's own tables.
    Master,
    /// The lower half of a process.
    Process,
    /// The lower half of tables of which nothing is known.
    Unknown,
}

/// What is wrong with an entry.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Flaw {
    /// Its page can be written and executed.
    WriteAndExecute,
    /// R/W is clear, above pages that have it set.
    WriteLost,
    /// Its page can be written and should not.
    Writable,
    /// Its page cannot be written and should.
    ReadOnly,
    /// XD is set, above pages that have it clear.
    ExecuteLost,
    /// Its page can be executed and should not.
    Executable,
    /// Its page cannot be executed and should.
    NotExecutable,
    /// U/S is clear, above pages that have it set.
    UserLost,
    /// Its page is in the kernel's half and has U/S set; whether all entries above have it, too,
    /// so that user code can use it.
    UserInKernel {
        /// They have.
        reachable: bool,
    },
    /// Its page is in the lower half of the kernel's own tables and has U/S set.
    UserInMaster,
    /// Its page is in the half of a process and has U/S clear.
    NotForUser,
    /// It references a table and has G set, which means nothing there (and is reserved on AMD).
    GlobalTable,
    /// Its page is in the user half and outlives a load of CR3 in the TLB.
    GlobalInUserHalf,
    /// Its page is part of a stack and outlives a load of CR3 in the TLB.
    GlobalStack,
    /// Bits are set that must not be.
    Reserved(u64),
    /// The table that it references cannot be read.
    NoTable(ReadError),
    /// Where its page should be is no memory.
    NoPage,
    /// It references a table that leads to it.
    Loop,
}

/// A flaw, and the entry that has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Finding {
    /// What is wrong.
    pub flaw: Flaw,
    /// The entry; not always the last of the path.
    pub entry: Step,
    /// The first address of what was looked at when it was found.
    pub first: VirtAddr,
    /// The last one.
    pub last: VirtAddr,
}

impl Finding {
    /// About the last entry of a path.
    fn here(path: &Path, flaw: Flaw) -> Finding {
        Finding::at(path, flaw, &path.last())
    }

    fn at(path: &Path, flaw: Flaw, entry: &Step) -> Finding {
        Finding {
            flaw,
            entry: *entry,
            first: path.va,
            last: path.end(),
        }
    }
}

/// W and X: no page has both, none loses W on the way, and each has W if it should.
pub fn writes(path: &Path, site: &Site) -> Option<Finding> {
    let (own, rights) = page(path)?;
    if rights.write && rights.execute {
        return Some(Finding::here(path, Flaw::WriteAndExecute));
    }
    if own.write && !rights.write {
        return lost(path, Flaw::WriteLost, Right::Write);
    }
    match (site.expected?.write, rights.write) {
        (false, true) => Some(Finding::here(path, Flaw::Writable)),
        (true, false) => Some(Finding::here(path, Flaw::ReadOnly)),
        _ => None,
    }
}

/// XD: no page loses X on the way, and each has X only if it should.
pub fn executes(path: &Path, site: &Site) -> Option<Finding> {
    let (own, rights) = page(path)?;
    if own.execute && !rights.execute {
        return lost(path, Flaw::ExecuteLost, Right::Execute);
    }
    match (site.expected?.execute, rights.execute) {
        (false, true) => Some(Finding::here(path, Flaw::Executable)),
        (true, false) => Some(Finding::here(path, Flaw::NotExecutable)),
        _ => None,
    }
}

/// U/S: only pages of processes have it, and they have it at every level.
pub fn user_bits(path: &Path, site: &Site) -> Option<Finding> {
    let (own, rights) = page(path)?;
    let reachable = rights.user;
    match (site.half, own.user) {
        (Half::Kernel, true) => Some(Finding::here(path, Flaw::UserInKernel { reachable })),
        (Half::Master, true) => Some(Finding::here(path, Flaw::UserInMaster)),
        (Half::Process, false) => Some(Finding::here(path, Flaw::NotForUser)),
        (Half::Process | Half::Unknown, true) if !reachable => {
            lost(path, Flaw::UserLost, Right::User)
        }
        _ => None,
    }
}

/// G: not where a table is referenced, not in the user half, not on stacks.
pub fn global(path: &Path, site: &Site) -> Option<Finding> {
    let entry = path.last().entry;
    match path.node {
        Node::Table { .. } if entry.raw & Entry::GLOBAL != 0 => {
            Some(Finding::here(path, Flaw::GlobalTable))
        }
        Node::Page if entry.global() && site.half != Half::Kernel => {
            Some(Finding::here(path, Flaw::GlobalInUserHalf))
        }
        Node::Page if entry.global() && site.is_stack => {
            Some(Finding::here(path, Flaw::GlobalStack))
        }
        _ => None,
    }
}

/// Reserved bits, and addresses that no memory is at: the first word of each page is read, which
/// no memory with devices in it does where they are.
pub fn reserved(path: &Path, memory: &mut dyn PhysMemory) -> Option<Finding> {
    let last = path.last();
    match (path.node, last.entry.kind) {
        (Node::Hole(HoleWhy::Reserved { bits }), _) => {
            Some(Finding::here(path, Flaw::Reserved(bits)))
        }
        (Node::Hole(HoleWhy::Unreadable(why)), _) => {
            // The entry to blame is the one that references the table.
            let above = path.above().last().copied();
            let flaw = Flaw::NoTable(why);
            let mut finding = Finding::at(path, flaw, &above.unwrap_or(last));
            if let Some(above) = above {
                finding.last = VirtAddr(path.va.0 | (above.entry.level.span() - 1));
            }
            Some(finding)
        }
        (Node::Page, Kind::Page { at, .. }) => match memory.read_u64(at) {
            Err(ReadError::NoMemory { .. }) => Some(Finding::here(path, Flaw::NoPage)),
            _ => None,
        },
        _ => None,
    }
}

/// Entries that lead back to a table above them.
pub fn loops(path: &Path) -> Option<Finding> {
    (path.node == Node::Hole(HoleWhy::Loop)).then(|| Finding::here(path, Flaw::Loop))
}

/// What a page's own entry allows, and what all of them do; `None` if it is no page.
fn page(path: &Path) -> Option<(Rights, Rights)> {
    (path.node == Node::Page).then(|| (path.last().entry.rights(), path.rights()))
}

fn lost(path: &Path, flaw: Flaw, right: Right) -> Option<Finding> {
    path.taken_by(right)
        .map(|step| Finding::at(path, flaw, step))
}

#[cfg(test)]
mod tests;
