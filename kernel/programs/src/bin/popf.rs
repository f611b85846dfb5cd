//! `popf`: tries to change the flags that are not ring 3's to change: IF, IOPL, VIF, VIP, VM.
//! The CPU keeps them as they are, and so must every way through the kernel.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

use core::arch::asm;

use programs::{Arguments, abi, calls, println};

programs::program!(main);

const INTERRUPTS: u64 = 1 << 9;
const IOPL: u64 = 3 << 12;
const VM: u64 = 1 << 17;
const VIF: u64 = 1 << 19;
const VIP: u64 = 1 << 20;

/// The bits that must be the same afterwards.
const NOT_OURS: u64 = INTERRUPTS | IOPL | VM | VIF | VIP;

fn main(_: Arguments) -> u8 {
    let tries = [
        0,
        IOPL,
        INTERRUPTS,
        INTERRUPTS | IOPL,
        INTERRUPTS | 1 << 12,
        INTERRUPTS | 2 << 12,
        INTERRUPTS | VM | VIF,
        IOPL | VM | VIF,
    ];
    for tried in tries {
        let at_once = popf(tried);
        calls::give_way();
        let later = flags();
        for (when, found) in [("at once", at_once), ("after a call", later)] {
            if found & NOT_OURS != abi::START_FLAGS & NOT_OURS {
                println!("popf: POPF of {tried:#x}, {when}: {found:#x}");
                return 1;
            }
        }
    }
    println!("popf: IF, IOPL, VM, VIF and VIP cannot be changed");
    0
}

#[expect(unsafe_code, reason = "loads RFLAGS")]
fn popf(flags: u64) -> u64 {
    let found;
    // SAFETY: none of the flags that are tried matters to Rust code, should they change.
    unsafe {
        asm!("push {0}", "popfq", "pushfq", "pop {1}", in(reg) flags, lateout(reg) found);
    }
    found
}

#[expect(unsafe_code, reason = "reads RFLAGS")]
fn flags() -> u64 {
    let found;
    // SAFETY: changes nothing.
    unsafe {
        asm!("pushfq", "pop {0}", out(reg) found, options(preserves_flags));
    }
    found
}
