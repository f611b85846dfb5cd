//! `fault-kernel-write`: #PF at `fault_here`, error code 7, CR2 the start of the kernel's heap.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

programs::bare!(main);

extern "C" fn main() -> ! {
    programs::fault! {
        before: ["movabs rax, 0xffffc80000000000"],
        at: ["mov [rax], rax"],
    }
}
