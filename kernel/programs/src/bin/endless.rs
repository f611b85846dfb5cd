//! `endless`: does nothing, for ever, in one instruction at `fault_here`; no system call, no
//! memory.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

programs::bare!(main);

extern "C" fn main() -> ! {
    programs::fault! {
        before: [],
        at: ["jmp fault_here"],
    }
}
