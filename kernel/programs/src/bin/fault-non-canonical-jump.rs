//! `fault-non-canonical-jump`: #GP, error code 0, at `fault_here`, which is the call; an
//! emulator may say at its target, bit 63 alone.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

programs::bare!(main);

extern "C" fn main() -> ! {
    programs::fault! {
        before: ["movabs rax, 0x8000000000000000"],
        at: ["call rax"],
    }
}
