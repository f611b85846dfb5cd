//! Set-up, build, run, exec, test, bench, docs: what `cargo xtask` does, as a library.
//!
//! The `tests` crate boots guests through [`guest`] as the command line does. Come here when
//! something goes wrong *around* the kernel: a missing tool, a build, an image, a silent guest.
#![forbid(unsafe_code)]

pub use builder::{
    compile, compiler, freestanding, lock, means, project, scratch, setup, signals, stages, steps,
    toolchain, tools,
};

pub mod bench;
pub mod built;
pub mod call;
pub mod checks;
pub mod cli;
pub mod corpora;
pub mod count;
pub mod docs;
pub mod elf;
pub mod exec;
pub mod fuzz;
pub mod gdb;
pub mod guest;
pub mod host;
pub mod image;
pub mod kernel;
pub mod naming;
pub mod programs;
pub mod qcow2;
pub mod ramdisk;
pub mod recording;
pub mod run;
pub mod screenshot;
pub mod script;
pub mod visits;
