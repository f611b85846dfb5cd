//! What a command may ask: the seam between the shell and whatever it looks at.
//!
//! A command never asks the CPU; it asks a [`Target`]. Every target can read physical
//! memory. The rest is optional, and a target without it leaves the default in place:
//! the command then says so in one line instead of guessing.

use core::fmt;

use machine::{Paging, PhysAddr, PhysMemory, Registers, Rights, VirtAddr};

use crate::abilities::{
    Attempts, Crash, Debugger, Edits, Events, Faults, Frames, Interrupts, Processes, Snapshots,
    Sources, Stacks, Switches, Symbols, Threads,
};

/// The machine the commands look at: a live kernel, a simulated machine, a paused QEMU.
pub trait Target {
    /// One word for it, such as `kernel` or `simulated`.
    fn name(&self) -> &str;

    /// What the CPU's mode says about page-table entries.
    fn paging(&self) -> Paging;

    /// Physical memory. A read that cannot be done is an error, never zeros.
    fn memory(&mut self) -> &mut dyn PhysMemory;

    /// The kernel's own PML4, spelled `master` where a root is expected.
    fn master(&self) -> Option<PhysAddr> {
        None
    }

    /// The bits that mark the last entry of a page which is read-only until somebody writes to
    /// it, and is copied then. The CPU ignores them.
    fn copied_on_write(&self) -> u64 {
        0
    }

    /// Named ranges of the address space, sorted by first address, not overlapping.
    fn regions(&self) -> &[Region] {
        &[]
    }

    /// The processor's registers.
    fn cpu(&mut self) -> Option<&mut dyn Cpu> {
        None
    }

    /// Who owns which physical frames.
    fn frames(&mut self) -> Option<&mut dyn Frames> {
        None
    }

    /// Time.
    fn clock(&mut self) -> Option<&mut dyn Clock> {
        None
    }

    /// The power switch.
    fn power(&mut self) -> Option<&mut dyn Power> {
        None
    }

    /// What runs in ring 3.
    fn processes(&mut self) -> Option<&mut dyn Processes> {
        None
    }

    /// The books about stacks.
    fn stacks(&mut self) -> Option<&mut dyn Stacks> {
        None
    }

    /// What switches to processes need.
    fn switches(&mut self) -> Option<&mut dyn Switches> {
        None
    }

    /// A way to stop it and to let it go on.
    fn debugger(&mut self) -> Option<&mut dyn Debugger> {
        None
    }

    /// Interrupt lines and counters.
    fn interrupts(&mut self) -> Option<&mut dyn Interrupts> {
        None
    }

    /// The ring of what the processor did.
    fn events(&mut self) -> Option<&mut dyn Events> {
        None
    }

    /// The last faults, with what was known when they came.
    fn faults(&mut self) -> Option<&mut dyn Faults> {
        None
    }

    /// The names of functions and lines.
    fn symbols(&mut self) -> Option<&mut dyn Symbols> {
        None
    }

    /// The text of source files, where it was built in.
    fn sources(&self) -> Option<&dyn Sources> {
        None
    }

    /// The threads, to walk up their stacks.
    fn threads(&mut self) -> Option<&mut dyn Threads> {
        None
    }

    /// Page tables as they were.
    fn snapshots(&mut self) -> Option<&mut dyn Snapshots> {
        None
    }

    /// A way to make accesses for real.
    fn attempts(&mut self) -> Option<&mut dyn Attempts> {
        None
    }

    /// Entries of page tables, written by hand.
    fn edits(&mut self) -> Option<&mut dyn Edits> {
        None
    }

    /// A way to fault on purpose.
    fn crash(&mut self) -> Option<&mut dyn Crash> {
        None
    }

    /// What identifies this build to the host's tools: no blanks, and never empty.
    fn build_id(&self) -> &str {
        "unknown"
    }

    /// Writes what `version` prints: whole lines, each with its line feed.
    ///
    /// # Errors
    ///
    /// Only those of `out`.
    fn identity(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        writeln!(out, "{}", self.name())
    }
}

/// Access to registers.
pub trait Cpu {
    /// The registers as they are now. For a live kernel these are its own, taken where
    /// this is called; those which are stable (CRs, descriptor tables) are exact.
    fn registers(&mut self) -> Registers;
}

/// Access to time.
pub trait Clock {
    /// The time-stamp counter.
    fn cycles(&mut self) -> u64;

    /// Nanoseconds since boot, where that is known.
    fn nanoseconds(&mut self) -> Option<u64>;
}

/// Access to the power switch. Both calls return only if they did not work.
pub trait Power {
    /// Restarts the machine.
    fn reboot(&mut self) -> PowerError;

    /// Switches the machine off.
    fn poweroff(&mut self) -> PowerError;
}

/// Why the machine is still running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PowerError {
    /// Nothing is known that would do it on this machine.
    NoWay,
    /// This was tried and had no effect.
    StillHere {
        /// What was tried, as words: `the keyboard controller, then a triple fault`.
        tried: &'static str,
    },
}

impl fmt::Display for PowerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PowerError::NoWay => f.write_str("no way to do that is known on this machine"),
            PowerError::StillHere { tried } => write!(f, "still running after {tried}"),
        }
    }
}

/// A named range of virtual addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// The first byte.
    pub first: VirtAddr,
    /// The last byte (inclusive).
    pub last: VirtAddr,
    /// What it is for: `physmap`, `kernel stack 3`.
    pub name: &'static str,
    /// What its pages must allow, where that is known. None of it is for user code.
    pub rights: Option<Rights>,
}

impl Region {
    /// The one of these that an address lies in.
    pub(crate) fn at(regions: &[Region], va: VirtAddr) -> Option<Region> {
        regions.iter().find(|region| region.contains(va)).copied()
    }

    /// Whether `va` lies in it.
    pub fn contains(&self, va: VirtAddr) -> bool {
        self.first <= va && va <= self.last
    }
}
