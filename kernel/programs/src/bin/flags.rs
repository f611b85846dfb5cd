//! `flags`: enters the kernel with DF, AC, NT, ID and the arithmetic flags set in every combination,
//! through both doors, and checks that they come back.
//!
//! The kernel must run with DF, AC and NT clear, whatever they are here, and give them back.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

use programs::calls::Door;
use programs::{Arguments, abi, println};

programs::program!(main);

const FIXED: u64 = abi::START_FLAGS;
/// CF, PF, AF, ZF, SF, OF.
const ARITHMETIC: u64 = 0x8d5;
const DF: u64 = 1 << 10;
const NT: u64 = 1 << 14;
const AC: u64 = 1 << 18;
const ID: u64 = 1 << 21;

const GROUPS: [u64; 5] = [ARITHMETIC, DF, NT, AC, ID];

fn main(_: Arguments) -> u8 {
    let mut count = 0;
    for combination in 0..1 << GROUPS.len() {
        let chosen = GROUPS.iter().enumerate();
        let flags = chosen
            .filter(|(bit, _)| combination >> bit & 1 != 0)
            .fold(FIXED, |flags, (_, group)| flags | group);
        for call in [abi::GETPID, abi::YIELD, u64::MAX] {
            for door in Door::ALL {
                let (after, r11) = knock::enter(door, call, flags);
                count += 1;
                if after != flags {
                    println!("flags: call {call}, by {door}: {flags:#x} became {after:#x}");
                    return 1;
                }
                if door == Door::Syscall && r11 != flags {
                    println!("flags: call {call}: R11 is {r11:#x}, and RFLAGS was {flags:#x}");
                    return 1;
                }
            }
        }
    }
    println!("flags: {count} calls, every flag as it was");
    0
}

#[expect(unsafe_code, reason = "sets flags that compilers do not expect")]
mod knock {
    use core::arch::asm;

    use programs::calls::Door;

    /// Makes a call with these flags; RFLAGS and R11 right behind it.
    pub(super) fn enter(door: Door, call: u64, flags: u64) -> (u64, u64) {
        let (after, r11);
        match door {
            // SAFETY: the calls have nothing to do with memory, the flags are as Rust wants them
            // before the block ends, and the stack is aligned for what is pushed while AC is set.
            Door::Gate => unsafe {
                asm!(
                    "push {flags}", "popfq",
                    "int 0x80",
                    "pushfq", "push {usual}", "popfq", "pop {after}",
                    flags = in(reg) flags, usual = in(reg) super::FIXED, after = lateout(reg) after,
                    inlateout("rax") call => _, in("rdi") 0, lateout("r11") r11,
                );
            },
            // SAFETY: as above.
            Door::Syscall => unsafe {
                asm!(
                    "push {flags}", "popfq",
                    "syscall",
                    "pushfq", "push {usual}", "popfq", "pop {after}",
                    flags = in(reg) flags, usual = in(reg) super::FIXED, after = lateout(reg) after,
                    inlateout("rax") call => _, in("rdi") 0, lateout("rcx") _, lateout("r11") r11,
                );
            },
        }
        (after, r11)
    }
}
