//! `fault-trap-flag`: #DB at `fault_here`: the single-step trap comes after the instruction
//! that follows POPF.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

programs::bare!(main);

extern "C" fn main() -> ! {
    programs::fault! {
        before: ["pushfq", "or qword ptr [rsp], 0x100", "popfq", "nop"],
        at: ["nop"],
    }
}
