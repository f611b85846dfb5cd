//! What the test programs share: transcripts, the machine made of maps they are replayed on,
//! and readers for what QEMU says about the same tables.
#![forbid(unsafe_code)]

pub mod damage;
pub mod deviations;
pub mod grid;
pub mod leaf;
pub mod monitor;
pub mod random;
pub mod readme;
pub mod remote;
pub mod sample;
mod sample_processes;
pub mod transcript;
