//! `fault-ud2`: #UD at `fault_here`.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

programs::bare!(main);

extern "C" fn main() -> ! {
    programs::fault! {
        before: [],
        at: ["ud2"],
    }
}
