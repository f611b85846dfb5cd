//! Programs that fault, on purpose and at a known place.

use crate::calls;
use crate::print::say;

/// Makes `fn main() -> !` the program, without arguments: `_start` calls it.
#[macro_export]
macro_rules! bare {
    ($main:path) => {
        #[expect(unsafe_code, reason = "the entry")]
        const _: () = {
            $crate::entry!([], $main);
        };
    };
}

/// What comes before, then the instruction that faults. The symbol `fault_here` is that instruction's
/// address, and its line is the macro's.
///
/// With `at_end_of`, the instruction, or a part of one, is the last of a section of its own, which no
/// line is known of; that of its caller is.
#[macro_export]
#[collapse_debuginfo(yes)]
macro_rules! fault {
    (before: [$($before:literal),* $(,)?], at: [$($at:literal),+ $(,)?] $(,)?) => {{
        #[expect(unsafe_code, reason = "the program is there to fault")]
        // SAFETY: it ends the program. Nothing that is Rust's comes behind it.
        unsafe {
            core::arch::asm!(
                $($before,)*
                ".globl fault_here",
                "fault_here:",
                $($at,)+
                "call {survived}",
                survived = sym $crate::fault::survived,
                options(noreturn),
            )
        }
    }};
    (at_end_of: $section:literal, before: [$($before:literal),* $(,)?], at: [$($at:literal),+ $(,)?] $(,)?) => {{
        #[expect(unsafe_code, reason = "a section of its own")]
        const _: () = {
            #[unsafe(no_mangle)]
            #[unsafe(naked)]
            #[unsafe(link_section = $section)]
            extern "C" fn end_of_section() {
                core::arch::naked_asm!(
                    ".cfi_startproc",
                    $($before,)*
                    ".globl fault_here",
                    "fault_here:",
                    $($at,)+
                    ".cfi_endproc",
                )
            }
        };

        #[expect(unsafe_code, reason = "the program is there to fault")]
        // SAFETY: it ends the program. Nothing that is Rust's comes behind it.
        unsafe {
            core::arch::asm!(
                "call fault_here",
                "call {survived}",
                survived = sym $crate::fault::survived,
                options(noreturn),
            )
        }
    }};
}

/// Where a program ends up that should have died.
pub extern "C" fn survived() -> ! {
    say("still running after what should have been a fault\n");
    calls::exit(1)
}
