//! What a page shall be like.

use crate::{Entry, PageSize, Paging, PhysAddr, Rights};

/// A page to be mapped.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Mapping {
    /// The page's first byte, aligned to its size.
    pub at: PhysAddr,
    /// Its size.
    pub size: PageSize,
    /// What it shall allow.
    pub rights: Rights,
    /// Which of the eight fields of the PAT types it: 0 is write-back from power-on on.
    pub pat_index: u8,
}

impl Mapping {
    const fn kernel(at: PhysAddr, size: PageSize, write: bool, execute: bool) -> Mapping {
        Mapping {
            at,
            size,
            rights: Rights {
                user: false,
                write,
                execute,
            },
            pat_index: 0,
        }
    }

    /// The kernel's data: writable, not executable.
    pub const fn data(at: PhysAddr, size: PageSize) -> Mapping {
        Mapping::kernel(at, size, true, false)
    }

    /// The kernel's constants: neither writable nor executable.
    pub const fn read_only(at: PhysAddr, size: PageSize) -> Mapping {
        Mapping::kernel(at, size, false, false)
    }

    /// The kernel's code: executable, not writable.
    pub const fn code(at: PhysAddr, size: PageSize) -> Mapping {
        Mapping::kernel(at, size, false, true)
    }

    /// The leaf entry: never GLOBAL. NX is left out where the CPU would call it reserved.
    pub fn entry(&self, paging: &Paging) -> u64 {
        let pat_bit = if self.size == PageSize::Size4K {
            Entry::PAT
        } else {
            Entry::PAT_HUGE
        };
        let huge = if self.size == PageSize::Size4K {
            0
        } else {
            Entry::HUGE
        };
        let bit = |set: bool, bit: u64| if set { bit } else { 0 };
        self.at.0
            | Entry::PRESENT
            | huge
            | bit(self.rights.write, Entry::WRITABLE)
            | bit(self.rights.user, Entry::USER)
            | bit(!self.rights.execute && paging.nxe, Entry::NO_EXECUTE)
            | bit(self.pat_index & 1 != 0, Entry::WRITE_THROUGH)
            | bit(self.pat_index & 2 != 0, Entry::CACHE_DISABLE)
            | bit(self.pat_index & 4 != 0, pat_bit)
    }
}
