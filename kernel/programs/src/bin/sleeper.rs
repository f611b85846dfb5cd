//! `sleeper [MS]`: sleeps that many milliseconds, 100 without an argument, and says so.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

use programs::{Arguments, calls, println};

programs::program!(main);

fn main(arguments: Arguments) -> u8 {
    let milliseconds = arguments.number(1, 100);
    if let Err(error) = calls::sleep(milliseconds) {
        println!("sleeper: {error}");
        return 1;
    }
    println!("slept {milliseconds} ms");
    0
}
