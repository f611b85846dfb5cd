//! The debug registers: where the CPU stops by itself, and why it did.

use core::arch::asm;

/// DR7: nothing enabled; bit 10 is always set.
pub(crate) const OFF: u64 = 0x400;
/// DR6 as after reset: nothing reported.
const NOTHING: u64 = 0xffff_0ff0;

/// Puts four addresses into DR0 to DR3. They do nothing until DR7 enables them; call this with
/// DR7 off.
pub(crate) fn load_addresses([a, b, c, d]: [u64; 4]) {
    // SAFETY: an address in these does nothing until DR7 enables it.
    unsafe {
        asm!("mov dr0, {}", "mov dr1, {}", "mov dr2, {}", "mov dr3, {}",
            in(reg) a, in(reg) b, in(reg) c, in(reg) d, options(nomem, nostack, preserves_flags));
    }
}

/// Loads DR7.
pub(crate) fn load_control(dr7: u64) {
    // SAFETY: #DB has a gate and a stack. The value is made by `debugger::breakpoints`, which sets
    // no reserved bit and does not set GD.
    unsafe { asm!("mov dr7, {}", in(reg) dr7, options(nomem, nostack, preserves_flags)) };
}

/// What DR6 reports; afterwards it reports nothing.
pub(crate) fn take_status() -> u64 {
    let status: u64;
    // SAFETY: DR6 only reports.
    unsafe { asm!("mov {}, dr6", out(reg) status, options(nomem, nostack, preserves_flags)) };
    put_status(NOTHING);
    status
}

/// Lets DR6 report this, for whoever looks at it next.
pub(crate) fn put_status(status: u64) {
    // SAFETY: DR6 only reports.
    unsafe { asm!("mov dr6, {}", in(reg) status, options(nomem, nostack, preserves_flags)) };
}
