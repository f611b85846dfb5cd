//! Walks up a stack: from the registers of one function to those of its caller.
//!
//! Come here with the registers of a trap and the `.eh_frame` of the image that was running.
//! Nothing here allocates, loops without a bound or trusts what it reads: the tables may be
//! damaged and the stack smashed, and then the answer is the reason why the walk ends. Every
//! word of the stack is asked of whoever calls, who looks at the page tables first.
//!
//! The rules come from the DWARF standard, version 5, section 6.4 (call frame information), and
//! the x86-64 psABI, section 3.6.2 (the numbers of registers).
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod image;
mod registers;
mod step;
mod walk;

pub use image::{Image, ImageError};
pub use registers::Registers;
pub use step::{Caller, Stop, by_frame_pointer, by_tables};
pub use walk::{Images, Visit, Walk};

#[cfg(test)]
mod tests;
