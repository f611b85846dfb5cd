//! Two memories side by side: what a comparison reads from.
//!
//! Usually both sides are the same memory. They are not where one side is a copy of what some
//! frames held earlier; then the same frame number does not mean the same content.

use crate::{PhysAddr, PhysMemory, ReadError};

/// One of two sides.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Side {
    /// The first that is named, often what ought to be.
    Left,
    /// The other.
    Right,
}

/// A way to read each of two sides.
pub trait SideBySide {
    /// The eight bytes that `side` has at `at`, as a little-endian number.
    ///
    /// # Errors
    ///
    /// Why they could not be read; see [`PhysMemory::read`].
    fn read_u64(&mut self, side: Side, at: PhysAddr) -> Result<u64, ReadError>;

    /// Whether the frame at `frame` is the very same memory on both sides. If it is, so must
    /// be every table that its content leads to.
    fn is_same_memory(&mut self, frame: PhysAddr) -> bool;
}

/// One memory, and so both sides.
impl SideBySide for &mut (dyn PhysMemory + '_) {
    fn read_u64(&mut self, _: Side, at: PhysAddr) -> Result<u64, ReadError> {
        PhysMemory::read_u64(*self, at)
    }

    fn is_same_memory(&mut self, _: PhysAddr) -> bool {
        true
    }
}
