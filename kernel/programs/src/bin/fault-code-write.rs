//! `fault-code-write`: #PF at `fault_here`, error code 7, CR2 `fault_here` too: code is not
//! writable.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

programs::bare!(main);

extern "C" fn main() -> ! {
    programs::fault! {
        before: ["lea rax, [rip + fault_here]"],
        at: ["mov byte ptr [rax], 0x90"],
    }
}
