//! From the first instruction to `main`.
//!
//! [`program!`](crate::program) puts a `_start` into a program. The kernel entered it with RSP at
//! argc, and with no return address: there is nowhere to return to.

use core::ffi::{CStr, c_char};

use crate::arguments::Arguments;
use crate::calls;

/// Makes `fn main(arguments: Arguments) -> u8` the program; what it returns is the exit code.
#[macro_export]
macro_rules! program {
    ($main:path) => {
        #[expect(unsafe_code, reason = "the entry, and the stack as the kernel left it")]
        const _: () = {
            $crate::entry!(["mov rdi, rsp"], begin);

            extern "C" fn begin(stack: *const u64) -> ! {
                // SAFETY: `_start` passed on the RSP that the kernel set.
                unsafe { $crate::start::begin(stack, $main) }
            }
        };
    };
}

/// The first instructions of a program: after those that are given, a call that does not return.
#[macro_export]
macro_rules! entry {
    ([$($instruction:literal),*], $to:path) => {
        #[unsafe(no_mangle)]
        #[unsafe(naked)]
        extern "C" fn _start() -> ! {
            core::arch::naked_asm!(
                // The end of the chain of frames, for whoever walks it: nobody called this.
                ".cfi_startproc",
                ".cfi_undefined rip",
                "xor ebp, ebp",
                $($instruction,)*
                // RSP is a multiple of 16; the call makes it what a function expects.
                "call {to}",
                "ud2",
                ".cfi_endproc",
                to = sym $to,
            )
        }
    };
}

/// Reads the arguments, runs `main`, exits with what it returns.
///
/// # Safety
///
/// `stack` must point at argc, argv as `docs/abi.md` describes them, untouched for as long as the
/// process lives.
pub unsafe fn begin(stack: *const u64, main: fn(Arguments) -> u8) -> ! {
    // SAFETY: the caller says that argc is here.
    let count = unsafe { stack.read() };
    // SAFETY: argv follows argc: `count` pointers and a null one.
    let first = unsafe { stack.add(1) }.cast::<*const c_char>();
    // SAFETY: that many pointers are there, and nobody writes to them.
    let pointers = unsafe { core::slice::from_raw_parts(first, count as usize) };
    calls::exit(main(Arguments::new(pointers, word)))
}

/// The bytes of one argument.
fn word(pointer: *const c_char) -> &'static [u8] {
    // SAFETY: only pointers out of argv get here: `Arguments` keeps them to itself, and `begin`
    // made it from what the kernel wrote, each ended by a NUL.
    unsafe { CStr::from_ptr(pointer) }.to_bytes()
}

/// CS, whose low two bits are the ring.
#[must_use]
pub fn code_selector() -> u16 {
    let selector;
    // SAFETY: reading a selector changes nothing.
    unsafe {
        core::arch::asm!("mov {0:x}, cs", out(reg) selector, options(nomem, nostack, preserves_flags));
    }
    selector
}
