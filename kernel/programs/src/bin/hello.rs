//! `hello`: the first program to try. Says which ring it runs in.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

use programs::{Arguments, println, start};

programs::program!(main);

fn main(_: Arguments) -> u8 {
    let cs = start::code_selector();
    println!("hello from ring {} (CS {cs:#06x})", cs & 3);
    0
}
