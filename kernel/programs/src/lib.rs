//! What the programs in the ramdisk share: a start, arguments, system calls, printing.
//!
//! These programs exist to use the kernel, and to misuse it: each is a real ELF file that
//! runs in ring 3 and knows nothing of the kernel but `docs/abi.md`, whose numbers are in
//! [`abi`]. There is no heap, and no program needs one. The target has no SSE, so vector
//! registers hold only what a program's assembly put there.
#![no_std]
#![deny(unsafe_code)]

pub mod abi;
mod arguments;
#[expect(unsafe_code, reason = "system calls and CPUID are instructions")]
pub mod calls;
mod child;
pub mod fault;
mod panic;
mod print;
#[expect(
    unsafe_code,
    reason = "reads the arguments where the kernel put them on the stack"
)]
pub mod start;

pub use arguments::Arguments;
pub use child::{Ended, in_child};
pub use print::{Lines, say};
