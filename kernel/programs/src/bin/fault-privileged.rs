//! `fault-privileged`: #GP at `fault_here`, error code 0: CLI is for the kernel.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

programs::bare!(main);

extern "C" fn main() -> ! {
    programs::fault! {
        before: [],
        at: ["cli"],
    }
}
