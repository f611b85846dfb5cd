//! Abilities for targets on a [`Simulated`](machine::Simulated) machine, so that tests of the
//! shell and transcripts need not each have their own.
//!
//! Uses `std`; compiled for tests and with the feature `simulated` only.

mod album;
mod pencil;

pub use album::Album;
pub use pencil::Pencil;
