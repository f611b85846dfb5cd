//! `fault-null-jump`: #PF at RIP 0, error code 0x14, CR2 0: `fault_here` is the call to where
//! no code is.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

programs::bare!(main);

extern "C" fn main() -> ! {
    programs::fault! {
        before: ["xor eax, eax"],
        at: ["call rax"],
    }
}
