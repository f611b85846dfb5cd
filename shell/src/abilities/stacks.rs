//! Stacks: each is a range of pages above a guard page that must never be mapped.

use core::fmt;

use machine::{PhysAddr, VirtAddr};

use super::Pid;

/// Access to the books about stacks.
///
/// They say where stacks should be. Whether the page tables agree is for the asker to see, by
/// walking.
pub trait Stacks {
    /// The stack with this index; `None` past the last one. Kernel stacks that have been given
    /// back are among them, and reserved ones.
    fn stack(&mut self, index: usize) -> Option<StackInfo>;

    /// Gives out places of so many more kernel stacks without backing them: their tables are
    /// made, as for a stack, but no page is mapped. So the region can be made to grow past
    /// any mark without the memory it would take.
    ///
    /// # Errors
    ///
    /// There is no room, or no frame for a table. Those reserved until then stay reserved.
    fn reserve(&mut self, count: u64) -> Result<(), StackError> {
        let _ = count;
        Err(StackError::Refused("this target reserves no stacks"))
    }

    /// Takes back all that [`reserve`](Stacks::reserve) gave out, and says how many. The tables
    /// stay: every address space has them.
    fn release(&mut self) -> u64 {
        0
    }
}

/// What the books say about a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StackInfo {
    /// What it is for, where it is not its owner's alone: `#DF double fault`, `shell`; may be
    /// empty.
    pub name: &'static str,
    /// The process whose stack it is.
    pub owner: Option<Pid>,
    /// The lowest byte. The page below is the guard.
    pub bottom: VirtAddr,
    /// The address just above the highest byte.
    pub top: VirtAddr,
    /// Who runs on it.
    pub kind: StackKind,
    /// Whether somebody has it.
    pub state: StackState,
    /// The PML4 of the space it is in: for kernel and IST stacks the master, which all share.
    pub root: PhysAddr,
    /// How many bytes of it have ever been in use, where that is known.
    pub high_water: Option<u64>,
}

/// Who runs on a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StackKind {
    /// The kernel, for a thread.
    Kernel,
    /// The kernel, for an exception with a stack of its own.
    Ist,
    /// A process in ring 3. Above it, too, is an unmapped page.
    User,
}

impl StackKind {
    /// One word for it.
    pub fn name(self) -> &'static str {
        match self {
            StackKind::Kernel => "kernel",
            StackKind::Ist => "ist",
            StackKind::User => "user",
        }
    }
}

/// Whether somebody has a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StackState {
    /// It is in use, and every page of it is mapped.
    Live,
    /// It was in use and has been given back; no page of it is mapped.
    Free,
    /// It is given out, but no page of it is mapped.
    Reserved,
}

impl StackState {
    /// One word for it.
    pub fn name(self) -> &'static str {
        match self {
            StackState::Live => "live",
            StackState::Free => "free",
            StackState::Reserved => "reserved",
        }
    }
}

/// Why there are no more stacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StackError {
    /// Not enough free frames.
    NoMemory,
    /// The region is used up.
    TooMany,
    /// Anything else.
    Refused(&'static str),
}

impl fmt::Display for StackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StackError::NoMemory => f.write_str("not enough free frames"),
            StackError::TooMany => f.write_str("the region for stacks is used up"),
            StackError::Refused(why) => f.write_str(why),
        }
    }
}
