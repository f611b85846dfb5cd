//! Set-up, and everything that is compiled: `xtask` itself, the kernel, the programs, the boot stages.
//!
//! This is the part of `cargo xtask` that is there within seconds, so that a first build says what it does
//! from its beginning, and compiles the kernel while `xtask` is compiled. Come here for a missing tool or a build that fails.
#![forbid(unsafe_code)]

pub mod compile;
pub mod compiler;
pub mod firmware;
pub mod first;
pub mod freestanding;
pub mod lock;
pub mod means;
pub mod project;
pub mod scratch;
pub mod setup;
pub mod signals;
pub mod stages;
pub mod steps;
pub mod toolchain;
pub mod tools;
