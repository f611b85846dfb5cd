//! The debug registers: a breakpoint on an instruction, and none.

use core::arch::asm;

/// DR7: nothing enabled; bit 10 is always set.
const NONE: u64 = 0x400;
/// DR7: L0, an instruction breakpoint at DR0.
const AT_DR0: u64 = NONE | 1;

/// Raises #DB when the instruction at `address` is about to run.
pub(crate) fn break_at(address: u64) {
    // SAFETY: an address in DR0 does nothing until DR7 enables it.
    unsafe { asm!("mov dr0, {}", in(reg) address, options(nomem, nostack, preserves_flags)) };
    set(AT_DR0);
}

/// No breakpoint any more, and none reported.
pub(crate) fn no_breakpoints() {
    set(NONE);
    // SAFETY: DR6 only reports; 0xffff0ff0 is its value after reset.
    unsafe {
        asm!("mov dr6, {}", in(reg) 0xffff_0ff0u64, options(nomem, nostack, preserves_flags))
    };
}

fn set(dr7: u64) {
    // SAFETY: one of the two values above: no reserved bit, and DR0 has been set before it is
    // enabled. #DB has a gate and a stack.
    unsafe { asm!("mov dr7, {}", in(reg) dr7, options(nomem, nostack, preserves_flags)) };
}
