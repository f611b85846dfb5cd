//! `symbolize`: names addresses, or the addresses in a log.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    match symbolizer::tool::run(lexopt::Parser::from_env(), None) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("symbolize: {why}");
            ExitCode::from(2)
        }
    }
}
