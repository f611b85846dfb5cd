//! `sleeper [MS] [PAGES]`: sleeps that many milliseconds, 100 without an argument, and says so.
//!
//! With a second number it first maps so many pages, for whoever wants to look at them.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

use programs::{Arguments, abi, calls, println};

programs::program!(main);

/// What one call of `map` gives at most.
const MOST: u64 = 1 << 30;

fn main(arguments: Arguments) -> u8 {
    let milliseconds = arguments.number(1, 100);
    let mut bytes = arguments.number(2, 0).saturating_mul(abi::PAGE);
    while bytes > 0 {
        let part = bytes.min(MOST);
        if let Err(error) = calls::map(part, abi::MAP_WRITE) {
            println!("sleeper: map of {part} bytes: {error}");
            return 1;
        }
        bytes -= part;
    }
    if let Err(error) = calls::sleep(milliseconds) {
        println!("sleeper: {error}");
        return 1;
    }
    println!("slept {milliseconds} ms");
    0
}
