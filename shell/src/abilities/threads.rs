//! Threads, and what it takes to walk up their stacks.

use unwinder::{Images, Registers};

use super::Pid;

/// Access to the threads of the target: one for each process, and the kernel's own, which has pid 0.
pub trait Threads {
    /// Where a thread goes on that does not run; `None` if nobody knows, or if it is the one that runs
    /// or is stopped.
    fn resting(&mut self, pid: Pid) -> Option<Resting>;

    /// The unwind tables of the kernel and of the program that a process runs.
    fn unwind_tables(&mut self, pid: Pid) -> Images<'static>;
}

/// Where a thread goes on that does not run.
#[derive(Clone, Copy, Debug)]
pub struct Resting {
    /// Its registers, as far as they are known.
    pub registers: Registers,
    /// It was interrupted there, or has not begun; otherwise it has called who keeps it.
    pub is_interrupted: bool,
}
