//! Entries read in another way: the manual's format tables written out row by row, and looked
//! up one bit at a time. Slow, and meant to be held against the book.
//!
//! Intel SDM volume 3A, "Format of a PML5 Entry (PML5E) that References a PML4 Table" and the
//! tables after it.

use std::vec::Vec;

use crate::{Level, Paging};

/// What the column "Contents" says of a bit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Bit {
    Present,
    ReadWrite,
    UserSupervisor,
    WriteThrough,
    CacheDisable,
    Accessed,
    Dirty,
    Global,
    Pat,
    Size,
    Address,
    Reserved,
    Ignored,
    ExecuteDisable,
}

use Bit::*;

/// Rows of (highest bit, lowest bit, contents), which make up the 64 bits. `m` is MAXPHYADDR.
type Format = Vec<(u32, u32, Bit)>;

fn common(m: u32) -> Format {
    let mut rows = Format::from([
        (0, 0, Present),
        (1, 1, ReadWrite),
        (2, 2, UserSupervisor),
        (3, 3, WriteThrough),
        (4, 4, CacheDisable),
        (5, 5, Accessed),
        (62, 52, Ignored),
        (63, 63, ExecuteDisable),
    ]);
    if m < 52 {
        rows.push((51, m, Reserved));
    }
    rows
}

fn references_a_table(m: u32, bit_7: Bit) -> Format {
    let mut rows = common(m);
    rows.extend([
        (6, 6, Ignored),
        (7, 7, bit_7),
        (11, 8, Ignored),
        (m - 1, 12, Address),
    ]);
    rows
}

fn maps_4k(m: u32) -> Format {
    let mut rows = common(m);
    rows.extend([
        (6, 6, Dirty),
        (7, 7, Pat),
        (8, 8, Global),
        (11, 9, Ignored),
        (m - 1, 12, Address),
    ]);
    rows
}

fn maps_large(m: u32, lowest: u32) -> Format {
    let mut rows = common(m);
    rows.extend([
        (6, 6, Dirty),
        (7, 7, Size),
        (8, 8, Global),
        (11, 9, Ignored),
        (12, 12, Pat),
        (lowest - 1, 13, Reserved),
        (m - 1, lowest, Address),
    ]);
    rows
}

/// What a present entry says, one bit of meaning a field.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Reading {
    /// The bits the CPU objects to. If there are any, the rest is of no consequence.
    pub(super) reserved: u64,
    /// The lowest bit of the address of the page it maps; `None` if it references a table.
    pub(super) page_shift: Option<u32>,
    pub(super) address: u64,
    pub(super) write: bool,
    pub(super) user: bool,
    pub(super) no_execute: bool,
    pub(super) accessed: bool,
    pub(super) dirty: bool,
    pub(super) global: bool,
    pub(super) pat_index: u8,
}

/// Reads an entry; `None` if it is not present.
pub(super) fn read(raw: u64, level: Level, paging: &Paging) -> Option<Reading> {
    let is_set = |bit: u32| (raw >> bit) % 2 == 1;
    if !is_set(0) {
        return None;
    }
    let m = u32::from(paging.phys_bits).min(52);
    let (format, page_shift) = match (level, is_set(7)) {
        (Level::Pml5 | Level::Pml4, _) => (references_a_table(m, Reserved), None),
        (Level::Pdpt, true) if paging.gib_pages => (maps_large(m, 30), Some(30)),
        (Level::Pdpt, true) => (references_a_table(m, Reserved), None),
        (Level::Pd, true) => (maps_large(m, 21), Some(21)),
        (Level::Pdpt | Level::Pd, false) => (references_a_table(m, Size), None),
        (Level::Pt, _) => (maps_4k(m), Some(12)),
    };
    let mut reading = Reading {
        page_shift,
        ..Reading::default()
    };
    for bit in (0..64).filter(|&bit| is_set(bit)) {
        let rows = format
            .iter()
            .filter(|&&(high, low, _)| (low..=high).contains(&bit));
        for (_, _, contents) in rows {
            match contents {
                Present | Size | Ignored => {}
                ReadWrite => reading.write = true,
                UserSupervisor => reading.user = true,
                WriteThrough => reading.pat_index += 1,
                CacheDisable => reading.pat_index += 2,
                Pat => reading.pat_index += 4,
                Accessed => reading.accessed = true,
                Dirty => reading.dirty = true,
                Global => reading.global = true,
                Address => reading.address += 1 << bit,
                ExecuteDisable if paging.nxe => reading.no_execute = true,
                ExecuteDisable | Reserved => reading.reserved |= 1 << bit,
            }
        }
    }
    Some(reading)
}

// The second reading is only worth something if it is complete itself.
#[test]
fn the_rows_of_every_format_make_up_64_bits() {
    let formats = [
        references_a_table(40, Reserved),
        references_a_table(52, Size),
        maps_4k(36),
        maps_large(52, 21),
        maps_large(39, 30),
    ];
    for format in formats {
        for bit in 0..64 {
            let rows = format
                .iter()
                .filter(|row| (row.1..=row.0).contains(&bit))
                .count();
            assert_eq!(rows, 1, "bit {bit} of {format:?}");
        }
    }
}
