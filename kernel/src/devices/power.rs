//! Leaving: turning the machine off, or starting it again.
//!
//! Off is the ACPI sleep register of the machines we run on, at the ports where QEMU, Bochs
//! and VirtualBox have it; a machine that has it elsewhere stays on and the shell says so.

use crate::arch::{cpu, port};

/// SLP_EN, with SLP_TYP 0: S5 on QEMU and Bochs.
const SLEEP_ENABLE: u16 = 1 << 13;

/// Turns the machine off; returns if it is still on.
pub(crate) fn off() {
    for (at, value) in [
        (0x604, SLEEP_ENABLE),
        (0xb004, SLEEP_ENABLE),
        (0x4004, 0x3400),
    ] {
        // SAFETY: PM1a_CNT of QEMU (q35 and pc), of Bochs and older QEMU, and of VirtualBox;
        // no other device decodes these ports on the machines we support.
        unsafe { port::write_u16(at, value) };
    }
    wait();
    for &letter in b"Shutdown" {
        // SAFETY: Bochs's own shutdown port; undecoded elsewhere.
        unsafe { port::write_u8(0x8900, letter) };
    }
    wait();
}

/// Resets the machine; returns if it is still running.
pub(crate) fn reset() {
    // SAFETY: asks the i8042 to pulse the reset line, which is what is wanted.
    unsafe { port::write_u8(0x64, 0xfe) };
    wait();
    for value in [0x02, 0x06] {
        // SAFETY: the reset control register: a hard reset, which is what is wanted.
        unsafe { port::write_u8(0xcf9, value) };
    }
    wait();
}

/// Gives the machine a moment: a few million cycles.
fn wait() {
    let start = cpu::cycles();
    for _ in 0..1_000_000 {
        if cpu::cycles().wrapping_sub(start) > 50_000_000 {
            return;
        }
        core::hint::spin_loop();
    }
}
