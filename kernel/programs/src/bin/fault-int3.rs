//! `fault-int3`: #BP, reported one byte behind `fault_here`, as traps are.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

programs::bare!(main);

extern "C" fn main() -> ! {
    programs::fault! {
        before: [],
        at: ["int3"],
    }
}
