//! `canary [ROUNDS]`: fills every register with a pattern, spins or makes a system call, and looks
//! whether each is still what it was. 1,000 rounds without an argument.
//!
//! Patterns depend on the pid, so several canaries at once notice each other's registers too. What
//! is held: 15 general registers (RSP must only stay the same), RFLAGS, x87 and XMM registers with
//! their control words, and the bases of FS and GS where CPUID says that they may be set.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

mod pattern;
mod registers;
#[expect(
    unsafe_code,
    reason = "fills and reads all registers, which only assembly can"
)]
mod round;

use programs::{Arguments, abi, calls, println};

use crate::pattern::Random;
use crate::registers::{R11, RAX, RCX, RDI, Registers};
use crate::round::Middle;

programs::program!(main);

/// How long a spin is: about a millisecond under emulation.
const SPINS: u64 = 200_000;

/// Carry, parity, adjust, zero, sign, overflow.
const ARITHMETIC: u64 = 0x8d5;

fn main(arguments: Arguments) -> u8 {
    let rounds = arguments.number(1, 1000);
    let pid = calls::pid();
    let has_bases = calls::has_base_instructions();
    let mut random = Random::new(pid);
    for round in 0..rounds {
        let middle = Middle::ALL[round as usize % Middle::ALL.len()];
        let mut before = Registers::patterned(&mut random, has_bases);
        prepare(&mut before, middle, round);
        let after = round::run(&before, middle, SPINS, has_bases);
        let expected = expected(&before, &after, middle, pid);
        if let Some(difference) = expected.difference(&after, has_bases) {
            println!("canary: round {round}, {middle}: {difference}");
            return 1;
        }
    }
    let bases = if has_bases { "with" } else { "without" };
    println!("canary: {rounds} rounds {bases} FS and GS bases, every register as it was");
    0
}

/// Puts in place what the middle itself needs.
fn prepare(before: &mut Registers, middle: Middle, round: u64) {
    match middle {
        Middle::Gate | Middle::Syscall => {
            before.general[RAX] = match round % 32 {
                0..8 => u64::MAX,
                8..20 => abi::GETPID,
                20..31 => abi::YIELD,
                // The long way round, through the timer.
                _ => abi::SLEEP,
            };
            if before.general[RAX] == abi::SLEEP {
                before.general[RDI] = 1;
            }
        }
        Middle::Loop => before.general[RCX] = SPINS,
        Middle::Straight | Middle::Memory => {}
    }
}

/// What must be there afterwards.
fn expected(before: &Registers, after: &Registers, middle: Middle, pid: u64) -> Registers {
    let mut expected = before.clone();
    let answer = match before.general[RAX] {
        abi::GETPID => pid,
        abi::YIELD | abi::SLEEP => 0,
        _ => abi::ENOSYS.wrapping_neg(),
    };
    match middle {
        Middle::Straight => {}
        Middle::Loop => expected.general[RCX] = 0,
        // It counts with an instruction that sets these.
        Middle::Memory => {
            expected.flags = before.flags & !ARITHMETIC | after.flags & ARITHMETIC;
        }
        Middle::Gate => expected.general[RAX] = answer,
        Middle::Syscall => {
            expected.general[RAX] = answer;
            expected.general[RCX] = round::behind_syscall();
            expected.general[R11] = before.flags;
        }
    }
    expected
}
