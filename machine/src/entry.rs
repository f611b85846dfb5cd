//! One page-table entry, with the level that gives it its meaning.
//!
//! Bit 7 is a page size in a PD, a memory type in a PT, and illegal in a PML4, so an entry
//! alone means nothing. [`Paging::decode`](crate::Paging::decode) is the one way to make an
//! [`Entry`] from a raw value. Formats: Intel SDM volume 3A, "4-Level Paging and 5-Level
//! Paging", the tables named "Format of a ... Entry".

use crate::{Level, PageSize, PhysAddr, Rights};

/// A raw value, the level it was found at, and what that makes of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Entry {
    /// All 64 bits, as they were read.
    pub raw: u64,
    /// The level of the table the entry is in.
    pub level: Level,
    /// What the CPU would make of it.
    pub kind: Kind,
}

/// What the CPU makes of an entry.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// P is clear; the CPU ignores all other bits.
    Absent,
    /// It references the next table.
    Table {
        /// The physical address of that table, 4 KiB aligned.
        at: PhysAddr,
    },
    /// It maps a page.
    Page {
        /// The physical address of the page, aligned to its size.
        at: PhysAddr,
        /// The size of the page.
        size: PageSize,
    },
    /// It is present and has reserved bits set; using it raises #PF with RSVD.
    Reserved {
        /// The offending bits, in their places.
        bits: u64,
    },
}

impl Entry {
    /// P: the entry is in use.
    pub const PRESENT: u64 = 1 << 0;
    /// R/W: writes are allowed.
    pub const WRITABLE: u64 = 1 << 1;
    /// U/S: user-mode access is allowed.
    pub const USER: u64 = 1 << 2;
    /// PWT: the lowest bit of the index into the PAT.
    pub const WRITE_THROUGH: u64 = 1 << 3;
    /// PCD: the middle bit of the index into the PAT.
    pub const CACHE_DISABLE: u64 = 1 << 4;
    /// A: the CPU has used the entry.
    pub const ACCESSED: u64 = 1 << 5;
    /// D: the CPU has written the page. Ignored where a table is referenced.
    pub const DIRTY: u64 = 1 << 6;
    /// PS: the entry of a PD or PDPT maps a page. The same bit as [`PAT`](Self::PAT).
    pub const HUGE: u64 = 1 << 7;
    /// PAT, in a PT: the highest bit of the index into the PAT.
    pub const PAT: u64 = 1 << 7;
    /// G: the translation survives a load of CR3. Ignored where a table is referenced.
    pub const GLOBAL: u64 = 1 << 8;
    /// PAT, in the entry of a 2 MiB or 1 GiB page.
    pub const PAT_HUGE: u64 = 1 << 12;
    /// XD: no instruction may be fetched. Reserved unless EFER.NXE is set.
    pub const NO_EXECUTE: u64 = 1 << 63;

    /// Whether P is set. An entry with reserved bits set is present.
    pub const fn is_present(&self) -> bool {
        self.raw & Self::PRESENT != 0
    }

    /// Whether the CPU looks at `bit` and finds it set: never in an absent entry.
    const fn has(&self, bit: u64) -> bool {
        self.is_present() && self.raw & bit != 0
    }

    /// Whether the entry maps a page.
    const fn is_page(&self) -> bool {
        matches!(self.kind, Kind::Page { .. })
    }

    /// R/W. Like all that follow, `false` for an absent entry.
    pub const fn writable(&self) -> bool {
        self.has(Self::WRITABLE)
    }

    /// U/S.
    pub const fn user(&self) -> bool {
        self.has(Self::USER)
    }

    /// XD.
    pub const fn no_execute(&self) -> bool {
        self.has(Self::NO_EXECUTE)
    }

    /// G, of a page; the bit is ignored where a table is referenced, so that is `false`.
    pub const fn global(&self) -> bool {
        self.is_page() && self.has(Self::GLOBAL)
    }

    /// A.
    pub const fn accessed(&self) -> bool {
        self.has(Self::ACCESSED)
    }

    /// D, of a page; the bit is ignored where a table is referenced, so that is `false`.
    pub const fn dirty(&self) -> bool {
        self.is_page() && self.has(Self::DIRTY)
    }

    /// PWT.
    pub const fn write_through(&self) -> bool {
        self.has(Self::WRITE_THROUGH)
    }

    /// PCD.
    pub const fn cache_disable(&self) -> bool {
        self.has(Self::CACHE_DISABLE)
    }

    /// Which field of the PAT (0..8) types the access through this entry: to the page, or to
    /// the next table, which has no PAT bit. `None` if the entry leads nowhere.
    pub const fn pat_index(&self) -> Option<u8> {
        let low = self.write_through() as u8 | (self.cache_disable() as u8) << 1;
        match self.kind {
            Kind::Absent | Kind::Reserved { .. } => None,
            Kind::Table { .. } => Some(low),
            Kind::Page {
                size: PageSize::Size4K,
                ..
            } => Some(low | (self.has(Self::PAT) as u8) << 2),
            Kind::Page { .. } => Some(low | (self.has(Self::PAT_HUGE) as u8) << 2),
        }
    }

    /// What this one entry allows; the levels above it may forbid more. An absent entry
    /// allows nothing. Of an entry with reserved bits set this is what its bits say, though
    /// every use of it faults.
    pub const fn rights(&self) -> Rights {
        if !self.is_present() {
            return Rights::NONE;
        }
        Rights {
            user: self.user(),
            write: self.writable(),
            execute: !self.no_execute(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Paging;

    const PAGING: Paging = Paging::four_level(40);

    #[test]
    fn an_absent_entry_has_no_flags_whatever_its_bits() {
        let entry = PAGING.decode(!Entry::PRESENT, Level::Pt);
        assert_eq!(entry.kind, Kind::Absent);
        assert!(!entry.writable() && !entry.user() && !entry.no_execute() && !entry.global());
        assert!(!entry.accessed() && !entry.dirty());
        assert_eq!((entry.rights(), entry.pat_index()), (Rights::NONE, None));
        assert_eq!(entry.raw, !1);
    }

    #[test]
    fn dirty_and_global_mean_nothing_in_an_entry_that_references_a_table() {
        let raw = 0x5000 | Entry::PRESENT | Entry::DIRTY | Entry::GLOBAL | Entry::ACCESSED;
        let table = PAGING.decode(raw, Level::Pd);
        assert!(!table.dirty() && !table.global() && table.accessed());
        let page = PAGING.decode(raw, Level::Pt);
        assert!(page.dirty() && page.global() && page.accessed());
    }

    // SDM volume 3A, "Paging and Memory Typing When the PAT is Supported": the index is
    // 4*PAT + 2*PCD + PWT.
    #[test]
    fn the_pat_bit_is_bit_7_of_a_small_page_and_bit_12_of_a_large_one() {
        let both = Entry::PRESENT | Entry::WRITE_THROUGH | Entry::CACHE_DISABLE;
        let index = |raw, level| PAGING.decode(raw, level).pat_index();
        assert_eq!(index(both, Level::Pt), Some(3));
        assert_eq!(index(both | 1 << 7, Level::Pt), Some(7));
        assert_eq!(
            index(both | 1 << 12, Level::Pt),
            Some(3),
            "an address bit in a PT"
        );
        for level in [Level::Pd, Level::Pdpt] {
            assert_eq!(index(both | 1 << 7, level), Some(3));
            assert_eq!(index(both | 1 << 7 | 1 << 12, level), Some(7));
            assert_eq!(index(both | 1 << 12, level), Some(3), "a table at 0x1000");
        }
        assert_eq!(
            index(Entry::PRESENT | Entry::WRITE_THROUGH, Level::Pml4),
            Some(1)
        );
        assert_eq!(
            index(Entry::PRESENT | Entry::CACHE_DISABLE, Level::Pml5),
            Some(2)
        );
    }

    #[test]
    fn an_entry_with_reserved_bits_types_nothing() {
        let entry = PAGING.decode(Entry::PRESENT | 1 << 7 | Entry::USER, Level::Pml4);
        assert_eq!(entry.kind, Kind::Reserved { bits: 1 << 7 });
        assert_eq!(entry.pat_index(), None);
        assert!(entry.is_present() && entry.rights().user);
    }

    #[test]
    fn rights_are_the_three_bits() {
        let entry = |raw| PAGING.decode(raw | Entry::PRESENT, Level::Pt).rights();
        assert_eq!(
            entry(0),
            Rights {
                execute: true,
                ..Rights::NONE
            }
        );
        assert_eq!(entry(Entry::WRITABLE | Entry::USER), Rights::ALL);
        assert_eq!(entry(Entry::NO_EXECUTE), Rights::NONE);
    }
}
