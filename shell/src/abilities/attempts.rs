//! Attempts: accesses made for real, to see what the CPU does with them.

use core::fmt;

use machine::{Access, Controls, PageSize, PhysAddr, VirtAddr};

/// A way to make accesses for real, through entries and under control bits as wanted.
///
/// Between [`begin`](Attempts::begin) and [`end`](Attempts::end) the target keeps tables and a
/// page for it. Nothing else notices: whatever is changed for an access is put back after it.
pub trait Attempts {
    /// Makes ready, and says where the tables are.
    ///
    /// # Errors
    ///
    /// There is not enough memory, or it cannot be done here. Then nothing is kept.
    fn begin(&mut self) -> Result<Bench, AttemptError>;

    /// Sets the entries on the way to the [bench](Bench)'s address and makes one access to it.
    ///
    /// # Errors
    ///
    /// It could not be made. What the CPU did about it is no error.
    fn attempt(
        &mut self,
        chain: &Chain,
        access: Access,
        controls: Controls,
    ) -> Result<Attempt, AttemptError>;

    /// Gives back what `begin` took, if anything.
    fn end(&mut self);
}

/// What attempts are made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bench {
    /// The PML4 of the tables.
    pub root: PhysAddr,
    /// The address that is read, written and fetched from.
    pub va: VirtAddr,
    /// Whether the CPU has CR4.SMEP.
    pub smep: bool,
    /// Whether the CPU has CR4.SMAP.
    pub smap: bool,
}

/// The entries on the way to a page, top to bottom, but for the addresses in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chain {
    entries: [u64; 4],
    len: usize,
    size: PageSize,
}

impl Chain {
    /// The way to a page of this size. A way that does not get there is shorter.
    pub const fn new(size: PageSize) -> Chain {
        Chain {
            entries: [0; 4],
            len: 0,
            size,
        }
    }

    /// Adds the next entry. False if it would be one below the page.
    #[must_use]
    pub fn push(&mut self, bits: u64) -> bool {
        let most = match self.size {
            PageSize::Size4K => 4,
            PageSize::Size2M => 3,
            PageSize::Size1G => 2,
        };
        let free = self.entries.get_mut(self.len).filter(|_| self.len < most);
        let Some(entry) = free else {
            return false;
        };
        *entry = bits;
        self.len = self.len.saturating_add(1);
        true
    }

    /// The bits of each entry. The target adds the address: of its next table, or its page.
    pub fn entries(&self) -> &[u64] {
        self.entries.get(..self.len).unwrap_or(&self.entries)
    }

    /// The size of the page at the end.
    pub const fn size(&self) -> PageSize {
        self.size
    }
}

/// What came of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// What the CPU did.
    pub outcome: Outcome,
    /// Where the instruction is that made the access.
    pub instruction: VirtAddr,
}

/// What the CPU did with an access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It made it, and went on.
    Done,
    /// It raised an exception.
    Trap {
        /// Which one; 14 is #PF.
        vector: u8,
        /// The error code that it pushed.
        code: u64,
        /// CR2 afterwards.
        cr2: VirtAddr,
        /// RIP as pushed.
        rip: VirtAddr,
        /// CS as pushed.
        cs: u16,
    },
}

/// Why no access could be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptError {
    /// Not enough free frames.
    NoMemory,
    /// Anything else.
    Refused(&'static str),
}

impl fmt::Display for AttemptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AttemptError::NoMemory => f.write_str("not enough free frames"),
            AttemptError::Refused(why) => f.write_str(why),
        }
    }
}
