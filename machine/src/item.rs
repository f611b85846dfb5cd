//! What a look through a whole set of tables finds: pages, and holes.

use crate::{Entry, Level, MemoryType, PageSize, PhysAddr, ReadError, Rights, VirtAddr};

/// One page that is mapped.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Leaf {
    /// The first address of the page.
    pub va: VirtAddr,
    /// The physical address of the page.
    pub at: PhysAddr,
    /// The size of the page.
    pub size: PageSize,
    /// The effective rights, over all levels.
    pub rights: Rights,
    /// The memory type the tables choose through the PAT.
    pub memory_type: MemoryType,
    /// The entry that maps it.
    pub entry: Entry,
    /// The physical address of the table that entry is in.
    pub table: PhysAddr,
    /// Which entry of that table it is, 0..512.
    pub index: u16,
}

impl Leaf {
    /// The last address of the page.
    pub const fn last(&self) -> VirtAddr {
        VirtAddr(self.va.0 | (self.size.bytes() - 1))
    }
}

/// Addresses about which the tables say nothing that can be followed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Hole {
    /// The first address.
    pub va: VirtAddr,
    /// How many bytes of address space it covers: that of one entry, or of several in a row
    /// that could not be read for the same reason.
    pub span: u64,
    /// The level of the table with the entry, or the first of the entries.
    pub level: Level,
    /// The physical address of that table.
    pub table: PhysAddr,
    /// Which entry of that table it is, 0..512.
    pub index: u16,
    /// What the matter is.
    pub why: HoleWhy,
}

impl Hole {
    /// The last address.
    pub const fn last(&self) -> VirtAddr {
        VirtAddr(self.va.0.wrapping_add(self.span.wrapping_sub(1)))
    }

    /// The physical address of the entry, or the first of the entries.
    pub const fn entry_address(&self) -> PhysAddr {
        PhysAddr(self.table.0.wrapping_add(self.index as u64 * 8))
    }
}

/// Why there is a hole.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum HoleWhy {
    /// The entry is present and malformed.
    Reserved {
        /// The offending bits, in their places.
        bits: u64,
    },
    /// The entry could not be read. This says nothing about the mapping. A table without
    /// memory is one such hole (a top table two: one for each canonical half).
    Unreadable(ReadError),
    /// The entry references a table that is already on the path to it. A recursive mapping
    /// does that on purpose. The CPU would go on; here the entry is one row.
    Loop,
}

/// One row of the answer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Item {
    /// A page that is mapped.
    Leaf(Leaf),
    /// What could not be followed.
    Hole(Hole),
}

/// What a bounded amount of work came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress<T> {
    /// The next row.
    Row(T),
    /// No row yet; ask again. Tables can be many and hold nothing.
    Working,
    /// There are no more rows.
    Done,
}
