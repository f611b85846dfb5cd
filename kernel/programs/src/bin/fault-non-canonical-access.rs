//! `fault-non-canonical-access`: #GP at `fault_here`, error code 0: bit 63 of the address is
//! set and bit 47 is not.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

programs::bare!(main);

extern "C" fn main() -> ! {
    programs::fault! {
        before: ["movabs rax, 0x8000000000000000"],
        at: ["mov rax, [rax]"],
    }
}
