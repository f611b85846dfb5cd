//! `fault-int-gate`: #GP at `fault_here`, error code 0x72: the gate of vector 14 is for the CPU
//! alone.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

programs::bare!(main);

extern "C" fn main() -> ! {
    programs::fault! {
        before: [],
        at: ["int 14"],
    }
}
