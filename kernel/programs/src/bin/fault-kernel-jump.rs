//! `fault-kernel-jump`: #PF at RIP and CR2 the start of the kernel's heap, error code 0x15;
//! `fault_here` is the call.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

programs::bare!(main);

extern "C" fn main() -> ! {
    programs::fault! {
        before: ["movabs rax, 0xffffc80000000000"],
        at: ["call rax"],
    }
}
