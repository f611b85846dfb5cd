//! `fault-kernel-read`: #PF at `fault_here`, error code 5, CR2 the start of the kernel's heap:
//! it is mapped, and not for us.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

programs::bare!(main);

extern "C" fn main() -> ! {
    programs::fault! {
        before: ["movabs rax, 0xffffc80000000000"],
        at: ["mov rax, [rax]"],
    }
}
