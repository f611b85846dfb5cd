//! `fault-lock`: #UD at `fault_here`: nothing to lock in a sum of registers. LOCK ADD EAX, EAX.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

programs::bare!(main);

extern "C" fn main() -> ! {
    programs::fault! {
        before: [],
        at: [".byte 0xf0, 0x01, 0xc0"],
    }
}
