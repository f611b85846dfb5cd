//! `reader`: says every line it reads, until the end of input or a line `quit`.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

use programs::{Arguments, calls, println};

programs::program!(main);

fn main(_: Arguments) -> u8 {
    let mut buffer = [0; 512];
    loop {
        let length = match calls::read(&mut buffer) {
            Ok(0) => {
                println!("end of input");
                return 0;
            }
            Ok(length) => length,
            Err(error) => {
                println!("reader: {error}");
                return 1;
            }
        };
        let line = buffer.get(..length).unwrap_or_default();
        let text = str::from_utf8(line).unwrap_or("(not UTF-8)");
        let text = text.trim_end_matches(['\r', '\n']);
        println!("read: {text}");
        if text == "quit" {
            return 0;
        }
    }
}
