//! Addresses into names: function, the calls inlined around it, file, line and column.
//!
//! There are two ways to the same answer. On the host, [`dwarf`] reads the debug information of
//! any linked ELF file. In the kernel, [`Index`] is a table of bytes made from it at build time by
//! [`build`]: looked up without an allocator, without a lock, and in bounded steps, so
//! that a fault report can name where it happened whatever else is broken.
//!
//! Nothing here panics, however damaged the file or the index is.
#![cfg_attr(not(any(feature = "std", test)), no_std)]
#![forbid(unsafe_code)]

#[cfg(feature = "std")]
pub mod build;
mod build_id;
#[cfg(feature = "std")]
pub mod dwarf;
pub mod index;
mod section;
#[cfg(feature = "tool")]
pub mod tool;

pub use build_id::build_id;
pub use index::Index;
pub use section::{Section, section_at};
