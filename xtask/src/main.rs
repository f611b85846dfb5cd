//! `cargo xtask`: the one command a person or a CI calls.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use xtask::exec::Outcome;

fn main() -> ExitCode {
    let outcome = xtask::call::called(lexopt::Parser::from_env()).unwrap_or_else(|error| {
        eprintln!("xtask: {error:#}");
        Outcome::Broken
    });
    ExitCode::from(outcome.code())
}
