//! `storm [N]`: makes system calls as fast as it can, half through each door; 100,000 of them.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

use programs::calls::{self, Door};
use programs::{Arguments, abi, println};

programs::program!(main);

fn main(arguments: Arguments) -> u8 {
    let count = arguments.number(1, 100_000);
    let pid = calls::pid();
    for number in 0..count {
        let door = if number % 2 == 0 {
            Door::Gate
        } else {
            Door::Syscall
        };
        // SAFETY: `getpid` has nothing to do with memory.
        #[expect(unsafe_code, reason = "chooses the door itself")]
        let answer = unsafe { calls::raw(door, abi::GETPID, [0; 4]) };
        if answer != pid {
            println!("storm: call {number}, by {door}: pid {answer:#x}, and it was {pid:#x}");
            return 1;
        }
    }
    println!("storm: {count} system calls");
    0
}
