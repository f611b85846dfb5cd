//! `fault-stack-overflow`: #PF at `fault_here`, error code 6, CR2 the last 8 bytes of the page
//! below the stack.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

programs::bare!(main);

extern "C" fn main() -> ! {
    programs::fault! {
        before: [],
        at: ["push rax", "jmp fault_here"],
    }
}
