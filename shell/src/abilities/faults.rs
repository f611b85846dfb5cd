//! Faults: the last exceptions that ended something, with all that was known right then.

use core::fmt;

use heapless::String;
use machine::{Code, Named, PhysAddr, Registers, VirtAddr, Walk};

use super::{Pid, ProcessName};
use crate::Backtrace;

/// Access to the faults that were written down.
pub trait Faults {
    /// The number of the oldest fault that is still there. The first one ever is 1, so
    /// `oldest() - 1` have been overwritten.
    fn oldest(&mut self) -> u64;

    /// The number of the newest; below [`oldest`](Faults::oldest) if there is none.
    fn newest(&mut self) -> u64;

    /// The fault with this number; `None` if it has been overwritten.
    fn get(&mut self, seq: u64) -> Option<FaultRecord>;
}

/// An exception, and what was known when it came: the tables may have changed since, and the
/// process may be gone.
#[derive(Clone, Debug)]
pub struct FaultRecord {
    /// Its number, counted from 1.
    pub seq: u64,
    /// The time-stamp counter.
    pub cycles: u64,
    /// The vector.
    pub vector: u8,
    /// What a panic said, and where in the source; then there is no vector.
    pub panic: Option<String<200>>,
    /// What the CPU pushed; 0 where it pushes none.
    pub error: u64,
    /// The registers as they were.
    pub registers: Registers,
    /// The process that ran; 0 is the kernel.
    pub pid: Pid,
    /// The name of its program; empty for the kernel.
    pub name: ProcessName,
    /// The root that CR3 named, with a name of its own if it is the master.
    pub is_master: bool,
    /// What stood at RIP.
    pub code: Code,
    /// The walk of CR2, of a page fault.
    pub walk: Option<Walk>,
    /// The descriptor that the error code names, if it names one.
    pub named: Option<Named>,
    /// The stack that RSP is on.
    pub stack: Option<OnStack>,
    /// The stack whose guard page CR2 is in.
    pub guard: Option<OnStack>,
    /// Who called whom.
    pub backtrace: Backtrace,
    /// How many cycles it took to write all this down.
    pub took: u64,
}

/// A stack, as a report names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OnStack {
    /// `kernel stack`, `#DF stack`, `stack of the program`.
    pub name: &'static str,
    /// Which of those, where there are several.
    pub number: Option<u64>,
    /// The lowest byte.
    pub bottom: VirtAddr,
    /// The address just above the highest byte.
    pub top: VirtAddr,
}

const PAGE: u64 = 4096;

/// Why a fault or a panic came, in one sentence.
#[derive(Clone, Copy, Debug)]
pub struct Sentence<'a>(&'a FaultRecord);

impl fmt::Display for Sentence<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.panic {
            Some(message) => write!(f, "panic: {message}"),
            None => write!(f, "{}", self.0.cause()),
        }
    }
}

impl FaultRecord {
    /// Why it came, in one sentence.
    pub fn sentence(&self) -> Sentence<'_> {
        Sentence(self)
    }

    /// The root that CR3 named.
    pub fn root(&self) -> PhysAddr {
        PhysAddr(self.registers.cr3)
    }

    /// Why an exception came.
    pub fn cause(&self) -> machine::Cause {
        machine::cause(&machine::Fault {
            vector: self.vector,
            error: self.error,
            registers: &self.registers,
            walk: self.walk.as_ref(),
            code: self.code,
            // A push below the stack, not a stray pointer: RSP is there, too.
            in_guard: self.guard.is_some()
                && self.registers.rsp.abs_diff(self.registers.cr2) <= 2 * PAGE,
        })
    }
}
