//! `echo`: prints its arguments with a blank between them.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

use programs::{Arguments, print, println};

programs::program!(main);

fn main(arguments: Arguments) -> u8 {
    for index in 1..arguments.count() {
        let gap = if index > 1 { " " } else { "" };
        print!("{gap}{}", arguments.text(index).unwrap_or("(not UTF-8)"));
    }
    println!();
    0
}
