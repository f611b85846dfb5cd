//! `exhaust`: asks for memory until it is refused, a mebibyte and then a page at a time, and checks
//! that it can go on without.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

use programs::{Arguments, Ended, abi, calls, in_child, println};

programs::program!(main);

fn main(_: Arguments) -> u8 {
    for piece in [1 << 20, abi::PAGE] {
        loop {
            match calls::map(piece, abi::MAP_WRITE) {
                Ok(_) => {}
                Err(calls::Errno(abi::ENOMEM)) => break,
                Err(error) => {
                    println!("exhaust: map of {piece} bytes: {error}");
                    return 1;
                }
            }
        }
    }
    // Nothing is left for a child; should there be one all the same, it must be a good one.
    match in_child(|| 7) {
        Ok(Ended::Exit(7)) | Err(calls::Errno(abi::ENOMEM)) => {}
        Ok(ended) => {
            println!("exhaust: a child: {ended}");
            return 1;
        }
        Err(error) => {
            println!("exhaust: fork: {error}");
            return 1;
        }
    }
    println!("exhaust: refused, and still running");
    0
}
