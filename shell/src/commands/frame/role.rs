//! What a frame is, in a few words: from the books, and from who names it.

use core::fmt;

use machine::{Level, PhysAddr, ReadError, VirtAddr};

use super::look::{By, Hit, look};
use crate::abilities::{FrameInfo, FrameOwner, Place, StackKind};
use crate::command::Context;
use crate::commands::roots::Tree;
use crate::render::{Count, StackName};
use crate::{Error, Pid};

/// What is known about a frame.
#[derive(Clone, Copy, Debug)]
pub(in crate::commands) struct Role {
    /// What the books say; nothing, if there are none or it is beyond them.
    pub(super) info: Option<FrameInfo>,
    /// Why it cannot be read.
    pub(super) unreadable: Option<ReadError>,
    /// Mappings, those where all of RAM is mapped aside.
    pub(super) mappings: u64,
    /// Mappings where all of RAM is.
    pub(super) physmap: u64,
    /// Entries that name it as a table.
    pub(super) references: u64,
    /// Roots, CR3 and saved CR3s.
    pub(super) registers: u64,
    /// As a table: its level, whose it is first of all, and how many spaces have it.
    table: Option<(Level, Tree, u64)>,
    /// The first place in the kernel's half that has it, and where that is.
    place: Option<(VirtAddr, Place)>,
    /// The first process that has it as a page, and what for.
    user: Option<(Pid, Use)>,
    /// Processes beside the first.
    others: u64,
    /// The last process that was counted.
    last: Option<Pid>,
}

/// What a process has a page for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    Code,
    Stack,
    Data,
}

impl Role {
    pub(super) fn new(context: &mut Context<'_>, frame: PhysAddr) -> Self {
        let info = context
            .target
            .frames()
            .and_then(|frames| frames.frame(frame));
        let read = context.target.memory().read_u64(frame);
        Role {
            info,
            unreadable: read.err(),
            mappings: 0,
            physmap: 0,
            references: 0,
            registers: 0,
            table: None,
            place: None,
            user: None,
            others: 0,
            last: None,
        }
    }

    /// Takes in one of those who name it.
    pub(super) fn add(&mut self, context: &mut Context<'_>, hit: &Hit) {
        match hit {
            Hit::Page(by) => self.page(context, by),
            Hit::Table(by) => {
                self.references = self.references.saturating_add(1);
                if let Some(level) = by.present.entry.level.next() {
                    self.is_table(level, by.tree, by.others.saturating_add(1));
                }
            }
            Hit::Root(tree) => {
                self.registers = self.registers.saturating_add(1);
                self.is_table(context.target.paging().top(), *tree, 1);
            }
            Hit::Cr3 | Hit::SavedCr3(_) => self.registers = self.registers.saturating_add(1),
        }
    }

    fn is_table(&mut self, level: Level, tree: Tree, spaces: u64) {
        match &mut self.table {
            Some((_, _, sum)) => *sum = sum.saturating_add(spaces),
            None => self.table = Some((level, tree, spaces)),
        }
    }

    fn page(&mut self, context: &mut Context<'_>, by: &By) {
        let va = by.present.va;
        if va.0 >> 63 != 0 {
            let place = place(context, va);
            if let Some(Place::Physmap(_)) = place {
                self.physmap = self.physmap.saturating_add(1);
                return;
            }
            if let Some(place) = place {
                self.place.get_or_insert((va, place));
            }
        } else if let Tree::Process(pid) = by.tree {
            if self.user.is_none() {
                self.user = Some((pid, what_for(context, pid, by)));
            } else if self.last != Some(pid) {
                self.others = self.others.saturating_add(1);
            }
            self.last = Some(pid);
        }
        self.mappings = self.mappings.saturating_add(1);
    }
}

/// Looks who names a frame, and says what it is.
pub(in crate::commands) fn role(context: &mut Context<'_>, at: PhysAddr) -> Result<Role, Error> {
    let frame = PhysAddr(at.0 & !0xfff);
    let mut role = Role::new(context, frame);
    look(context, frame, &mut |context, hit| {
        role.add(context, &hit);
        Ok(())
    })?;
    Ok(role)
}

/// What the layout has at an address.
pub(in crate::commands) fn place(context: &mut Context<'_>, va: VirtAddr) -> Option<Place> {
    Some(context.target.frames()?.place(va))
}

fn what_for(context: &mut Context<'_>, pid: Pid, by: &By) -> Use {
    let is_stack = || {
        for index in 0.. {
            let stack = context.target.stacks()?.stack(index)?;
            let is_ours = stack.kind == StackKind::User && stack.owner == Some(pid);
            if is_ours && stack.bottom <= by.present.va && by.present.va < stack.top {
                return Some(());
            }
        }
        None
    };
    match by.present.rights.execute {
        true => Use::Code,
        false if { is_stack }().is_some() => Use::Stack,
        false => Use::Data,
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let owner = self.info.map(|info| info.owner);
        match (owner, self.unreadable) {
            (None | Some(FrameOwner::Hole), Some(ReadError::Device { .. })) => {
                f.write_str("device memory")
            }
            (None | Some(FrameOwner::Hole), Some(ReadError::NoMemory { .. })) => {
                f.write_str("no memory")
            }
            (_, Some(why)) => write!(f, "unknown, {why}"),
            (None, None) => self.by_use(f),
            (Some(FrameOwner::Hole), None) => f.write_str("RAM that the books do not know"),
            (Some(FrameOwner::Free), None) => f.write_str("free"),
            (Some(FrameOwner::PageTable), None) => self.table(f),
            (Some(FrameOwner::User), None) => self.user(f),
            (Some(FrameOwner::KernelStack | FrameOwner::IstStack), None) => self.stack(f),
            (Some(owner), None) => {
                f.write_str(owner.name())?;
                match self.place {
                    Some((va, _)) => write!(f, " at {va}"),
                    None => Ok(()),
                }
            }
        }
    }
}

impl Role {
    /// Where there are no books.
    fn by_use(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.table, self.user) {
            (Some(_), _) => self.table(f),
            (None, Some(_)) => self.user(f),
            (None, None) => f.write_str("RAM"),
        }
    }

    fn table(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.table {
            Some((level, tree, 0 | 1)) => write!(f, "{level} of {tree}"),
            Some((level, tree, spaces)) => {
                let others = spaces.saturating_sub(1);
                write!(f, "{level} of {tree} and {} more", Count(others, "space"))
            }
            None => f.write_str("page table that nothing names"),
        }
    }

    fn user(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((pid, what)) = self.user else {
            return f.write_str("user page that no process maps");
        };
        let what = match what {
            Use::Code => "code",
            Use::Stack => "stack",
            Use::Data => "data",
        };
        write!(f, "{what} of pid {pid}")?;
        match self.others {
            0 => Ok(()),
            1 => write!(f, " and 1 more process"),
            others => write!(f, " and {others} more processes"),
        }
    }

    fn stack(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Some((va, Place::Stack(place))) => write!(f, "{} at {va}", StackName(&place)),
            _ => f.write_str("page of a stack that is mapped nowhere"),
        }
    }
}
