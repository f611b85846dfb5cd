//! What `cargo xtask` calls: builds `xtask`, and becomes it.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args_os().skip(1).collect();
    match builder::first::become_xtask(&words) {
        Ok(()) => ExitCode::from(2),
        Err(why) => {
            eprintln!("xtask: {why:#}");
            ExitCode::from(2)
        }
    }
}
