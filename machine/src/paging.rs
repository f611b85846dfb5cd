//! What the CPU's mode says about entries and addresses.
//!
//! The same 64 bits are a page on one CPU and a fault on the next, depending on the number
//! of physical address bits, EFER.NXE and 1 GiB pages. All that is in [`Paging`].

use crate::{Entry, Kind, Level, MemoryType, PageSize, PhysAddr, VirtAddr};

/// How this CPU, in its present mode, reads paging structures. Plain data: every value has a
/// meaning, also those no CPU has.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Paging {
    /// The number of levels, 4 or 5 (CR4.LA57). Anything but 5 is taken as 4.
    pub levels: u8,
    /// MAXPHYADDR, the number of physical address bits (CPUID 8000_0008H). More than 52 is
    /// taken as 52.
    pub phys_bits: u8,
    /// EFER.NXE: bit 63 forbids instruction fetches. Otherwise it is reserved.
    pub nxe: bool,
    /// The CPU has 1 GiB pages (CPUID 8000_0001H, EDX bit 26).
    pub gib_pages: bool,
    /// The value of the IA32_PAT register.
    pub pat: u64,
}

/// Bit 51, the highest an address in an entry can have, and all below.
const ADDRESS_BITS: u64 = (1 << 52) - 1;

impl Paging {
    /// Four levels, as most machines run: NXE on, 1 GiB pages, the PAT as after power-on.
    pub const fn four_level(phys_bits: u8) -> Paging {
        Paging {
            levels: 4,
            phys_bits,
            nxe: true,
            gib_pages: true,
            pat: MemoryType::POWER_ON_PAT,
        }
    }

    /// As [`four_level`](Self::four_level), with five.
    pub const fn five_level(phys_bits: u8) -> Paging {
        Paging {
            levels: 5,
            ..Paging::four_level(phys_bits)
        }
    }

    /// The level of the table that CR3 references.
    pub const fn top(&self) -> Level {
        match self.levels {
            5 => Level::Pml5,
            _ => Level::Pml4,
        }
    }

    /// The number of address bits that are translated: 48 or 57.
    pub const fn virt_bits(&self) -> u32 {
        self.top().shift() + 9
    }

    /// Whether all bits above the translated ones are copies of the highest of them.
    pub const fn is_canonical(&self, va: VirtAddr) -> bool {
        self.sign_extend(va.0).0 == va.0
    }

    /// The canonical address with the same translated bits as `number`.
    pub const fn sign_extend(&self, number: u64) -> VirtAddr {
        let unused = 64 - self.virt_bits();
        VirtAddr(((number << unused) as i64 >> unused) as u64)
    }

    /// The table that a value of CR3 references. Bits 11:0 (flags or PCID) and 63:61 (no
    /// flush, LAM) are ignored; all others are kept, even those no address can have, so that
    /// a wrong root is reported as it was given.
    pub const fn root(&self, cr3: PhysAddr) -> PhysAddr {
        PhysAddr(cr3.0 & !0xfff & !(0b111 << 61))
    }

    /// The bits of an entry that can hold a page's or table's address: `phys_bits`-1..12.
    const fn address_mask(&self) -> u64 {
        match 1u64.checked_shl(self.phys_bits as u32) {
            Some(limit) if self.phys_bits < 52 => (limit - 1) & !0xfff,
            _ => ADDRESS_BITS & !0xfff,
        }
    }

    /// What the CPU makes of `raw` in a table of this level. There is an answer for each of
    /// the 2^64 values.
    ///
    /// Reserved bits are those of Intel SDM volume 3A, "4-Level Paging and 5-Level Paging":
    /// 51..`phys_bits` everywhere; 63 without NXE; 7 in a PML5E or PML4E, and in a PDPTE
    /// where there are no 1 GiB pages; 29:13 of a 1 GiB and 20:13 of a 2 MiB page. (AMD
    /// reserves bit 8 of a PML5E and PML4E as well; that is not reported.)
    pub const fn decode(&self, raw: u64, level: Level) -> Entry {
        Entry {
            raw,
            level,
            kind: self.kind(raw, level),
        }
    }

    /// The memory type that `entry` chooses through the PAT, for the page or the next table.
    /// `Invalid` if the entry leads nowhere, or the PAT holds a reserved encoding.
    pub const fn memory_type(&self, entry: &Entry) -> MemoryType {
        match entry.pat_index() {
            Some(index) => MemoryType::from_pat(self.pat, index),
            None => MemoryType::Invalid,
        }
    }

    const fn kind(&self, raw: u64, level: Level) -> Kind {
        if raw & Entry::PRESENT == 0 {
            return Kind::Absent;
        }
        let address = self.address_mask();
        let mut reserved = ADDRESS_BITS & !address & !0xfff;
        if !self.nxe {
            reserved |= Entry::NO_EXECUTE;
        }
        let page = match level {
            Level::Pml5 | Level::Pml4 => {
                reserved |= Entry::HUGE;
                None
            }
            Level::Pdpt if !self.gib_pages => {
                reserved |= Entry::HUGE;
                None
            }
            Level::Pt => Some(PageSize::Size4K),
            Level::Pdpt | Level::Pd if raw & Entry::HUGE != 0 => level.page_size(),
            Level::Pdpt | Level::Pd => None,
        };
        // The address of a large page has fewer bits. Those in between are reserved, but for
        // the lowest, which is the PAT bit.
        let mut page_mask = address;
        if let Some(size) = page {
            let inside = size.bytes() - 1;
            reserved |= inside & !0x1fff;
            page_mask &= !inside;
        }
        if raw & reserved != 0 {
            return Kind::Reserved {
                bits: raw & reserved,
            };
        }
        match page {
            Some(size) => Kind::Page {
                at: PhysAddr(raw & page_mask),
                size,
            },
            None => Kind::Table {
                at: PhysAddr(raw & address),
            },
        }
    }
}

#[cfg(test)]
mod tests;
