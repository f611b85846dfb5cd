//! `fault-int3`: #BP, reported one byte behind `fault_here`, as traps are.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

programs::fault! {
    before: [],
    at: ["int3"],
}
