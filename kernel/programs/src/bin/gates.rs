//! `gates`: `int n` for every vector, each in a child: #GP, but for what ring 3 may call.
//!
//! Vectors 3 and 4 have gates for ring 3 and report themselves; 0x80 is the door to the kernel.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

use programs::{Arguments, Ended, abi, in_child, println};

programs::program!(main);

const GENERAL_PROTECTION: u8 = 13;

fn main(_: Arguments) -> u8 {
    let mut wrong = 0;
    for vector in 0..=255 {
        let expected = match vector {
            3 | 4 => Ended::Fault(vector),
            0x80 => Ended::Exit(0),
            _ => Ended::Fault(GENERAL_PROTECTION),
        };
        let ended = match in_child(|| call(vector)) {
            Ok(ended) => ended,
            Err(error) => {
                println!("gates: no child for vector {vector}: {error}");
                return 1;
            }
        };
        if ended != expected {
            println!("gates: int {vector:#x}: {ended}, and it should be {expected}");
            wrong += 1;
        }
    }
    if wrong > 0 {
        return 1;
    }
    println!("gates: 256 vectors, 3 of them open to ring 3");
    0
}

#[expect(unsafe_code, reason = "knocks at every gate")]
fn call(vector: u8) -> u8 {
    // SAFETY: the child dies of it, or comes back with nothing changed but RAX: the number is that
    // of `getpid`.
    unsafe {
        table::knock(
            table::doors as *const () as u64 + 4 * u64::from(vector),
            abi::GETPID,
        )
    };
    0
}

#[expect(unsafe_code, reason = "256 instructions in a row")]
mod table {
    use core::arch::naked_asm;

    /// 256 pieces of 4 bytes: `int n; ret; nop`.
    #[unsafe(naked)]
    pub(super) extern "C" fn doors() {
        naked_asm!(
            ".set vector, 0",
            ".rept 256",
            ".byte 0xcd, vector, 0xc3, 0x90",
            ".set vector, vector + 1",
            ".endr",
        )
    }

    /// Goes to one of the pieces, with a call's number in RAX.
    ///
    /// # Safety
    ///
    /// `piece` must be the address of one.
    #[unsafe(naked)]
    pub(super) unsafe extern "C" fn knock(piece: u64, number: u64) {
        naked_asm!("mov rax, rsi", "jmp rdi")
    }
}
