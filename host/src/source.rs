//! Where bytes and registers come from: something that answers for a machine that stands still.

use exported::PhysRange;
use machine::Registers;

/// A machine that can be read while nothing in it moves.
pub(crate) trait Source {
    /// Fills `buf` from physical memory, or says why that cannot be.
    fn read(&mut self, at: u64, buf: &mut [u8]) -> anyhow::Result<()>;

    /// The registers of the processor.
    fn registers(&mut self) -> anyhow::Result<Registers>;

    /// Where there is memory that can be searched.
    fn ram(&mut self) -> anyhow::Result<Vec<PhysRange>>;

    /// The virtual address of the kernel's beacon, if somebody knows it.
    fn hint(&mut self) -> Option<u64>;
}
