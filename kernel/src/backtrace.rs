//! Walks up the stacks of this kernel: from any trap frame up to the outermost function, through the
//! entry stubs into the code that was interrupted, and on into the program.
//!
//! Nothing here allocates or takes a lock that waits.

use machine::PhysAddr;
use shell::Backtrace;
use unwinder::{Images, Walk};

use crate::arch::entry::TrapFrame;
use crate::memory::physmap::LiveMemory;
use crate::{image, process, target};

/// From the registers that a trap saved; stacks are read in the space of `root`.
pub(crate) fn of_trap(frame: &TrapFrame, root: PhysAddr) -> Backtrace {
    let images = Images {
        kernel: image::unwind_tables(),
        program: process::unwind_tables(),
    };
    let walk = Walk::new(images, frame.unwound(), true);
    Backtrace::follow(walk, &mut LiveMemory, &target::paging(), root)
}
