//! What a comparison of two sets of tables finds.

use crate::{Differences, HoleWhy, Level, PageSize, PhysAddr, VirtAddr};

/// What there is to say about some entries, side by side.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Compared {
    /// Both reference the very same tables, through entries that are alike. They are not
    /// looked into.
    Shared,
    /// The tables are in other frames, or were read at another time, but map the same pages in
    /// the same way all the way down; pages that are mapped alike next to ones that are not;
    /// empty tables.
    Equal,
    /// Both are present and differ in this.
    Differs(Differences),
    /// Only the left one is present.
    OnlyLeft,
    /// Only the right one is present.
    OnlyRight,
    /// Nothing can be said: what is the matter on the left, and on the right. Entries that are
    /// malformed in the same way on both sides are among these, and loops.
    Unknown(Option<HoleWhy>, Option<HoleWhy>),
}

impl Compared {
    /// Whether it says that the two sides are the same.
    pub const fn is_same(&self) -> bool {
        matches!(self, Compared::Shared | Compared::Equal)
    }

    /// Whether it says that they are not the same.
    pub const fn is_different(&self) -> bool {
        matches!(
            self,
            Compared::Differs(_) | Compared::OnlyLeft | Compared::OnlyRight
        )
    }
}

/// Where one entry is, and what is in it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Place {
    /// The physical address of its table.
    pub table: PhysAddr,
    /// Which entry of that table it is, 0..512.
    pub index: u16,
    /// All 64 bits, unless they could not be read.
    pub raw: Option<u64>,
}

impl Place {
    /// The physical address of the entry.
    pub const fn entry_address(&self) -> PhysAddr {
        PhysAddr(self.table.0.wrapping_add(self.index as u64 * 8))
    }
}

/// How many pages there are of each size.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct PageCounts {
    /// Of 4 KiB.
    pub of_4k: u64,
    /// Of 2 MiB.
    pub of_2m: u64,
    /// Of 1 GiB.
    pub of_1g: u64,
}

impl PageCounts {
    /// One page.
    pub const fn one(size: PageSize) -> PageCounts {
        let mut counts = PageCounts {
            of_4k: 0,
            of_2m: 0,
            of_1g: 0,
        };
        match size {
            PageSize::Size4K => counts.of_4k = 1,
            PageSize::Size2M => counts.of_2m = 1,
            PageSize::Size1G => counts.of_1g = 1,
        }
        counts
    }

    /// All of both.
    #[must_use]
    pub const fn and(self, other: PageCounts) -> PageCounts {
        PageCounts {
            of_4k: self.of_4k.saturating_add(other.of_4k),
            of_2m: self.of_2m.saturating_add(other.of_2m),
            of_1g: self.of_1g.saturating_add(other.of_1g),
        }
    }

    /// How many there are of all sizes.
    pub const fn total(&self) -> u64 {
        self.of_4k
            .saturating_add(self.of_2m)
            .saturating_add(self.of_1g)
    }
}

/// Neighbouring entries about which the same is to be said.
///
/// Rows that say [`Shared`](Compared::Shared) or [`Equal`](Compared::Equal) reach over
/// addresses where nothing is mapped on either side; others are of entries of one level that
/// follow one another without a gap.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct DiffRow {
    /// The first address.
    pub first: VirtAddr,
    /// The last address, included.
    pub last: VirtAddr,
    /// What is to be said.
    pub kind: Compared,
    /// The level of the first entry.
    pub level: Level,
    /// The first entry on the left. `None` only if the two roots are the same table.
    pub left: Option<Place>,
    /// The first entry on the right.
    pub right: Option<Place>,
    /// How many entries it is about; those below a table that is not looked into, or only
    /// counted, are not among them.
    pub entries: u64,
    /// The pages on the left, as far as they were counted.
    pub left_pages: PageCounts,
    /// The pages on the right, as far as they were counted.
    pub right_pages: PageCounts,
    /// How many of the entries reference the same table on both sides, the pages of which
    /// were not counted.
    pub uncounted: u64,
    /// How many times the counting met what could not be followed.
    pub holes: u64,
}

impl DiffRow {
    /// The length in bytes; it saturates where one row is the whole address space.
    pub const fn bytes(&self) -> u64 {
        self.last.0.wrapping_sub(self.first.0).saturating_add(1)
    }
}
