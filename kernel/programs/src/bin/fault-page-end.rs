//! `fault-page-end`: #PF at `fault_here`, error code 0x14: the instruction begins on the last
//! page of code, and CR2 is the page behind.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

programs::bare!(main);

extern "C" fn main() -> ! {
    programs::fault! {
        at_end_of: ".page_end",
        before: [".balign 4096", ".skip 4092, 0x90"],
        // The first 4 of the 10 bytes of a MOVABS.
        at: [".byte 0x48, 0xb8, 0, 0"],
    }
}
