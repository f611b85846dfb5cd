//! Switches: what the kernel touches on the way from its own thread into a process, said
//! beforehand; and ways to break that on purpose.

use machine::transition::Need;
use machine::{Level, Raised, VirtAddr};

use super::{Pid, ProcessError};

/// Access to what a switch needs.
pub trait Switches {
    /// What a switch to this process touches, from the load of CR3 on: the need with this
    /// index, those on the way in the order in which they come; `None` past the last one, and
    /// for a process that is not there.
    fn need(&mut self, pid: Pid, index: usize) -> Option<Need>;

    /// RSP0 as it will be while the process runs, and as it should be: the top of its kernel
    /// stack.
    fn rsp0(&mut self, pid: Pid) -> Option<Rsp0>;

    /// Breaks a process that does not run, until it ends. What it shares with others stays as
    /// it is: tables on the way that are shared are copied first.
    ///
    /// # Errors
    ///
    /// No such process, it is dead, there is no such entry, or not the means.
    fn spoil(&mut self, pid: Pid, spoil: Spoil) -> Result<(), ProcessError>;

    /// Lets a process run that [`spoil`](Switches::spoil) has kept from running.
    fn release(&mut self, pid: Pid);

    /// What the kernel is to expect next of the CPU, for its report to say whether it was so.
    fn expect(&mut self, raised: Option<Raised>) {
        let _ = raised;
    }
}

/// The stack for entries from ring 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rsp0 {
    /// What the task state segment will hold.
    pub value: VirtAddr,
    /// What it should.
    pub should_be: VirtAddr,
}

/// A way to break a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spoil {
    /// Changes the entry of this level that maps the address, in its space alone.
    Entry {
        /// The address.
        va: VirtAddr,
        /// The level of the entry.
        level: Level,
        /// Bits to clear.
        clear: u64,
        /// Bits to set.
        set: u64,
    },
    /// Sets RSP0 to something else than the top of its kernel stack.
    Rsp0(VirtAddr),
}
