//! Walks up the stacks of this kernel: from any trap frame up to the outermost function, through the
//! entry stubs into the code that was interrupted, and on into the program.
//!
//! Nothing here allocates or takes a lock that waits.

use exported::TrapFrame;
use machine::PhysAddr;
use shell::Backtrace;
use unwinder::{Images, Registers, Walk};

use crate::memory::physmap::LiveMemory;
use crate::{image, process, target};

/// From the registers that a trap saved; stacks are read in the space of `root`.
pub(crate) fn of_trap(frame: &TrapFrame, root: PhysAddr) -> Backtrace {
    let images = Images {
        kernel: image::unwind_tables(),
        program: process::unwind_tables(),
    };
    // The walk asks for none that a trap does not save.
    let saved = frame.registers(machine::Registers::default());
    let walk = Walk::new(images, Registers::of(&saved), true);
    Backtrace::follow(walk, &mut LiveMemory, &target::paging(), root)
}
