//! `fault-stack-jump`: #PF at RIP and CR2 the stack pointer, error code 0x15: the stack is not
//! executable. `fault_here` is the call.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

programs::bare!(main);

extern "C" fn main() -> ! {
    programs::fault! {
        before: [],
        at: ["call rsp"],
    }
}
