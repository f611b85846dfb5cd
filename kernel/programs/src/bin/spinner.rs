//! `spinner`: busy for ever, in Rust; for watching the scheduler take turns, and for `kill`.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

use core::hint;

use programs::Arguments;

programs::program!(main);

fn main(_: Arguments) -> u8 {
    loop {
        hint::spin_loop();
    }
}
