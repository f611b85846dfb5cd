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

    /// Where the kernel's beacon may be, if somebody knows.
    fn hint(&mut self) -> Hint;

    /// The pages of a range that begin with these bytes, where that can be said faster than page by page.
    fn search(&mut self, _range: PhysRange, _mark: &[u8]) -> Option<Vec<u64>> {
        None
    }

    /// It is on this physical page: for who asks again.
    fn found(&mut self, page: u64);
}

/// Where the kernel's beacon may be.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Hint {
    /// By the tables in use.
    pub(crate) virt: Option<u64>,
    /// The page, which needs no tables.
    pub(crate) page: Option<u64>,
}
