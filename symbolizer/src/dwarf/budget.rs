//! How much work a file may cause.
//!
//! DWARF may name the same table from many places, so that a small file asks for a quadratic amount
//! of work. Every file gets steps in proportion to its size, far more than any compiler's output
//! needs; when they are used up, the answer is an error.

use std::cell::Cell;

use super::Error;

/// Steps that every file may make for each of its bytes. The kernel's own file takes two.
const FOR_EACH_BYTE: u64 = 64;
/// Steps that even the smallest may make.
const AT_LEAST: u64 = 1 << 16;

#[derive(Debug)]
pub(super) struct Budget(Cell<u64>);

impl Budget {
    /// For a file of so many bytes, uncompressed.
    pub(super) fn new(bytes: u64) -> Self {
        Budget(Cell::new(
            bytes.saturating_mul(FOR_EACH_BYTE).saturating_add(AT_LEAST),
        ))
    }

    /// Takes so many steps.
    pub(super) fn spend(&self, steps: u64) -> Result<(), Error> {
        let left = self.0.get().checked_sub(steps).ok_or(Error::TooMuch);
        self.0.set(left.clone().unwrap_or(0));
        left.map(|_| ())
    }
}
