//! `fault-divide`: #DE at `fault_here`: a division by zero.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

programs::bare!(main);

extern "C" fn main() -> ! {
    programs::fault! {
        before: ["xor edx, edx", "mov eax, 1", "xor ecx, ecx"],
        at: ["div rcx"],
    }
}
