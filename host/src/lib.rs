//! `cargo xtask rw`: the shell's commands, on a kernel that is looked at from outside.
//!
//! The kernel may be stopped in GDB, or dead, or be a dump of its memory. What it prints is what the
//! kernel's own shell prints, because it is the same code; what it reads is what the kernel
//! exports (`exported`). Nothing is ever written.
#![forbid(unsafe_code)]

mod complete;
mod conversation;
#[cfg(test)]
mod damage;
mod dump;
mod find;
mod framed;
mod memory;
mod monitor;
mod options;
mod outside;
mod run;
mod source;
mod stub;

pub use framed::Framed;

/// Does what a command line asks for; whether all of it went well. What cannot be looked at is an
/// error, a command that fails is not.
///
/// # Errors
///
/// The command line makes no sense, or there is no kernel to look at.
pub fn main(parser: lexopt::Parser) -> anyhow::Result<bool> {
    run::run(options::parse(parser)?)
}
