//! `rw`: the shell's commands, on a kernel that is looked at from outside.
//!
//! The kernel may be stopped in GDB, or dead, or be a dump of its memory. What it prints is what the
//! kernel's own shell prints, because it is the same code; what it reads is what the kernel
//! exports (`exported`). Nothing is ever written.
#![forbid(unsafe_code)]

mod conversation;
mod dump;
mod find;
mod memory;
mod monitor;
mod options;
mod outside;
mod run;
mod source;

use std::process::ExitCode;

fn main() -> ExitCode {
    match options::parse(lexopt::Parser::from_env()).and_then(run::run) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("rw: {why:#}");
            ExitCode::from(2)
        }
    }
}
