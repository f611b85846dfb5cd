//! `fault-ud2`: #UD at `fault_here`.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

programs::fault! {
    before: [],
    at: ["ud2"],
}
