//! The five levels of paging structures, and the three sizes of page.
//!
//! Which bits of an address choose the entry at each level, and how much one entry maps:
//! Intel SDM volume 3A, "4-Level Paging and 5-Level Paging".

use core::fmt;

use crate::VirtAddr;

/// A level of the paging structures, named after the table. Ordered top to bottom:
/// `Level::Pml5 < Level::Pt`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Level {
    /// The page map level 5, there only with five levels.
    Pml5,
    /// The page map level 4.
    Pml4,
    /// The page-directory-pointer table; an entry may map a 1 GiB page.
    Pdpt,
    /// The page directory; an entry may map a 2 MiB page.
    Pd,
    /// The page table; every entry maps a 4 KiB page.
    Pt,
}

impl Level {
    /// Every level, top to bottom.
    pub const ALL: [Level; 5] = [Level::Pml5, Level::Pml4, Level::Pdpt, Level::Pd, Level::Pt];

    /// The table's name in the manual: `PML5`, `PML4`, `PDPT`, `PD` or `PT`.
    pub const fn name(self) -> &'static str {
        match self {
            Level::Pml5 => "PML5",
            Level::Pml4 => "PML4",
            Level::Pdpt => "PDPT",
            Level::Pd => "PD",
            Level::Pt => "PT",
        }
    }

    /// The lowest of the nine address bits that choose the entry: 48, 39, 30, 21 or 12.
    pub const fn shift(self) -> u32 {
        match self {
            Level::Pml5 => 48,
            Level::Pml4 => 39,
            Level::Pdpt => 30,
            Level::Pd => 21,
            Level::Pt => 12,
        }
    }

    /// How much address space one entry of this level stands for, in bytes.
    pub const fn span(self) -> u64 {
        1 << self.shift()
    }

    /// Which entry of a table at this level the address goes through, 0..512.
    pub const fn index(self, va: VirtAddr) -> usize {
        (va.0 >> self.shift() & 0x1ff) as usize
    }

    /// The level below, or `None` below a page table.
    pub const fn next(self) -> Option<Level> {
        match self {
            Level::Pml5 => Some(Level::Pml4),
            Level::Pml4 => Some(Level::Pdpt),
            Level::Pdpt => Some(Level::Pd),
            Level::Pd => Some(Level::Pt),
            Level::Pt => None,
        }
    }

    /// The size of the page an entry of this level may map, if it may map one at all.
    pub const fn page_size(self) -> Option<PageSize> {
        match self {
            Level::Pml5 | Level::Pml4 => None,
            Level::Pdpt => Some(PageSize::Size1G),
            Level::Pd => Some(PageSize::Size2M),
            Level::Pt => Some(PageSize::Size4K),
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The size of a page. Ordered by size.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum PageSize {
    /// 4 KiB, mapped by a page-table entry.
    Size4K,
    /// 2 MiB, mapped by a page-directory entry.
    Size2M,
    /// 1 GiB, mapped by a page-directory-pointer-table entry.
    Size1G,
}

impl PageSize {
    /// Every size, the smallest first.
    pub const ALL: [PageSize; 3] = [PageSize::Size4K, PageSize::Size2M, PageSize::Size1G];

    /// The size in bytes.
    pub const fn bytes(self) -> u64 {
        self.level().span()
    }

    /// The level whose entries map pages of this size.
    pub const fn level(self) -> Level {
        match self {
            PageSize::Size4K => Level::Pt,
            PageSize::Size2M => Level::Pd,
            PageSize::Size1G => Level::Pdpt,
        }
    }
}

impl fmt::Display for PageSize {
    /// `4K`, `2M` or `1G`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            PageSize::Size4K => "4K",
            PageSize::Size2M => "2M",
            PageSize::Size1G => "1G",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;

    // SDM volume 3A: a PML5E is chosen by bits 56:48, a PML4E by 47:39, a PDPTE by 38:30,
    // a PDE by 29:21 and a PTE by 20:12.
    #[test]
    fn each_level_reads_nine_bits_of_the_address() {
        for (level, low) in Level::ALL.into_iter().zip([48, 39, 30, 21, 12]) {
            for bit in 0..64 {
                let index = level.index(VirtAddr(1 << bit));
                let expected = if (low..low + 9).contains(&bit) {
                    1 << (bit - low)
                } else {
                    0
                };
                assert_eq!(index, expected, "{level} bit {bit}");
            }
            assert_eq!(level.index(VirtAddr(u64::MAX)), 511);
        }
    }

    #[test]
    fn an_entry_spans_a_whole_table_of_the_next_level() {
        for level in Level::ALL {
            if let Some(next) = level.next() {
                assert_eq!(level.span(), next.span() * 512);
                assert!(level < next, "top to bottom");
            }
        }
    }

    #[test]
    fn only_the_lower_three_levels_map_pages() {
        let sizes = Level::ALL.map(|level| level.page_size().map(PageSize::bytes));
        assert_eq!(
            sizes,
            [None, None, Some(1 << 30), Some(1 << 21), Some(1 << 12)]
        );
        assert!(PageSize::Size4K < PageSize::Size2M && PageSize::Size2M < PageSize::Size1G);
    }

    #[test]
    fn names_can_be_lined_up() {
        assert_eq!(
            format!("{:4}|{:>3}", Level::Pt, PageSize::Size2M),
            "PT  | 2M"
        );
    }
}
