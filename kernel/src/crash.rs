//! Crashing on purpose, so that people can learn to read the reports and tests can hold them
//! against what was done. Each of these is a real fault of the real kernel.

use core::arch::asm;
use core::hint::black_box;

use shell::{Crash, CrashKind};

use crate::arch::cpu;
use crate::console;
use crate::debugger::{Request, ask};
use crate::memory::layout;

/// An address in the upper half that nothing maps: the guard page of the first kernel stack.
const UNMAPPED: u64 = layout::KERNEL_STACKS + 0x10;

/// The way to crash the live kernel.
pub(crate) struct CrashKernel;

impl Crash for CrashKernel {
    fn crash(&mut self, kind: CrashKind) {
        match kind {
            CrashKind::Debugger => store(UNMAPPED),
            kind => {
                let _ = ask(Request::Crash(kind));
            }
        }
    }
}

/// Crashes the thread that runs.
pub(crate) fn crash(kind: CrashKind) {
    match kind {
        CrashKind::Panic => panic!("asked for by the command `crash panic`"),
        CrashKind::PanicLocked => {
            let _ = cpu::interrupts_off();
            console::while_locked(|| panic!("asked for with the console's locks held"));
        }
        CrashKind::PageFault | CrashKind::Debugger => store(UNMAPPED),
        CrashKind::ReadOnly => store(crate::image::base()),
        // SAFETY: UD2 does nothing but raise #UD, which never returns here.
        CrashKind::Undefined => unsafe { asm!("ud2", options(nomem, nostack)) },
        // SAFETY: INT3 raises #BP, which is noted and returns.
        CrashKind::Breakpoint => unsafe { asm!("int3", options(nomem, nostack)) },
        CrashKind::StackOverflow => {
            black_box(overflow(black_box(0)));
        }
    }
}

/// Writes a byte, with an instruction whose operands the report must show.
fn store(address: u64) {
    // SAFETY: not sound, on purpose: the address is unmapped or read-only, so the store
    // faults and changes nothing, and the fault never returns here.
    unsafe { asm!("mov byte ptr [{}], 0", in(reg) address, options(nostack)) };
}

/// Calls itself until the stack's guard page ends it.
#[expect(unconditional_recursion, reason = "that is the point")]
fn overflow(depth: u64) -> u64 {
    let frame = black_box([depth; 32]);
    black_box(overflow(black_box(depth + 1))) + frame[0]
}
