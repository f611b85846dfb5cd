//! `fault-privileged`: #GP at `fault_here`, error code 0: CLI is for the kernel.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

programs::fault! {
    before: [],
    at: ["cli"],
}
