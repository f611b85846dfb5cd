//! `hello`: the first program to try. Says which ring it runs in.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

use programs::calls::{Door, pid_by};
use programs::{Arguments, println, start};

programs::program!(main);

fn main(_: Arguments) -> u8 {
    // Through the gate: there the CPU itself pushes CS, and the kernel's event ring keeps it.
    let _ = pid_by(Door::Gate);
    let cs = start::code_selector();
    println!("hello from ring {} (CS {cs:#06x})", cs & 3);
    0
}
