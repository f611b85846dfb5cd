//! Programs that fault, on purpose and at a known place.

use crate::calls;
use crate::print::say;

/// A program of assembly alone: what comes before, then the instruction that faults. The symbol
/// `fault_here` is that instruction's address.
#[macro_export]
macro_rules! fault {
    (before: [$($before:literal),* $(,)?], at: [$($at:literal),+ $(,)?] $(,)?) => {
        #[expect(unsafe_code, reason = "the program is there to fault")]
        const _: () = {
            #[unsafe(no_mangle)]
            #[unsafe(naked)]
            extern "C" fn _start() -> ! {
                core::arch::naked_asm!(
                    // Nobody called this.
                    ".cfi_startproc",
                    ".cfi_undefined rip",
                    $($before,)*
                    ".globl fault_here",
                    "fault_here:",
                    $($at,)+
                    "call {survived}",
                    "ud2",
                    ".cfi_endproc",
                    survived = sym $crate::fault::survived,
                )
            }
        };
    };
}

/// Where a program ends up that should have died.
pub extern "C" fn survived() -> ! {
    say("still running after what should have been a fault\n");
    calls::exit(1)
}
