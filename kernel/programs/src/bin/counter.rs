//! `counter [N]`: counts from 1 to its argument, a line each; to 10 without one.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

use programs::{Arguments, println};

programs::program!(main);

fn main(arguments: Arguments) -> u8 {
    for number in 1..=arguments.number(1, 10) {
        println!("{number}");
    }
    0
}
