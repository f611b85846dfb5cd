//! `fault-long`: #GP at `fault_here`, error code 0: 15 prefixes and a NOP are an instruction of
//! 16 bytes.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

programs::bare!(main);

extern "C" fn main() -> ! {
    programs::fault! {
        before: [],
        at: [".fill 15, 1, 0x66", ".byte 0x90"],
    }
}
