//! `fault-null-write`: #PF at `fault_here`, error code 6, CR2 0: a write through a null
//! pointer.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

programs::bare!(main);

extern "C" fn main() -> ! {
    programs::fault! {
        before: ["xor eax, eax"],
        at: ["mov [rax], rax"],
    }
}
