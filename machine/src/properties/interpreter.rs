//! What random tables map, found out the slow way.
//!
//! The interpreter knows no iterator and no path: it keeps a list of all chains of indices,
//! lengthens those that end in a table, and reads the rest off. It decodes by `naive`.

use std::vec::Vec;

use super::world::{Found, Missing, World};
use crate::{Level, MemoryType, Rights};

/// What a path of indices comes to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum What {
    Page {
        at: u64,
        raw: u64,
        rights: Rights,
        memory_type: MemoryType,
    },
    Reserved(u64),
    Missing(Missing),
    Loop,
}

/// A row of the naive answer; `first` and `last` are addresses.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct NaiveRow {
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) path: Vec<u16>,
    pub(super) table: u64,
    pub(super) what: What,
}

/// The first address with these indices: nine bits each from the highest translated bit on,
/// and that bit repeated above. Bit by bit, on purpose.
pub(super) fn address_of(path: &[u16], levels: usize) -> u64 {
    let bits = path
        .iter()
        .flat_map(|index| (0..9).rev().map(move |bit| index >> bit & 1 == 1));
    let mut number = bits.fold(0, |number, bit| number * 2 + u64::from(bit));
    for _ in 9 * path.len()..levels * 9 + 12 {
        number *= 2;
    }
    // What no level translates is as the highest bit that one does.
    if path.first().is_some_and(|index| index >> 8 == 1) {
        number += u64::MAX - ((1 << (levels * 9 + 12)) - 1);
    }
    number
}

fn memory_type(pat: u64, index: u8) -> MemoryType {
    match pat.to_le_bytes()[usize::from(index)] {
        0 => MemoryType::UC,
        1 => MemoryType::WC,
        4 => MemoryType::WT,
        5 => MemoryType::WP,
        6 => MemoryType::WB,
        7 => MemoryType::UCMinus,
        _ => MemoryType::Invalid,
    }
}

/// Each entry that comes to something, one row an entry, in ascending order.
pub(super) fn interpret(world: &World) -> Vec<NaiveRow> {
    let levels = usize::from(world.paging.levels);
    // A path, the tables it goes through, and what its entries allow so far.
    let mut open = std::vec![(Vec::new(), std::vec![0x1000u64], Rights::ALL)];
    let mut rows = Vec::new();
    while let Some((path, tables, allowed)) = open.pop() {
        let level = Level::ALL[5 - levels + path.len()];
        let table = *tables.last().unwrap();
        for index in world.indices(table) {
            let mut path: Vec<u16> = path.clone();
            path.push(index);
            let what = match world.find(table, index, level) {
                Found::Absent => continue,
                Found::Missing(missing) => What::Missing(missing),
                Found::Entry(_, reading) if reading.reserved != 0 => {
                    What::Reserved(reading.reserved)
                }
                Found::Entry(raw, reading) => {
                    let rights = Rights {
                        user: allowed.user & reading.user,
                        write: allowed.write & reading.write,
                        execute: allowed.execute & !reading.no_execute,
                    };
                    let memory_type = memory_type(world.paging.pat, reading.pat_index);
                    if reading.page_shift.is_some() {
                        What::Page {
                            at: reading.address,
                            raw,
                            rights,
                            memory_type,
                        }
                    } else if tables.contains(&reading.address) {
                        What::Loop
                    } else {
                        let tables = tables.iter().copied().chain([reading.address]).collect();
                        open.push((path, tables, rights));
                        continue;
                    }
                }
            };
            let first = address_of(&path, levels);
            let bytes = 1u64 << (12 + 9 * (levels - path.len()));
            rows.push(NaiveRow {
                first,
                last: first + (bytes - 1),
                path,
                table,
                what,
            });
        }
    }
    rows.sort_by_key(|row| row.first);
    rows
}

/// Neighbours in one table that are missing for one reason, made one row.
pub(super) fn merge_missing(rows: Vec<NaiveRow>) -> Vec<NaiveRow> {
    let mut merged: Vec<NaiveRow> = Vec::new();
    for row in rows {
        match merged.last_mut() {
            Some(last)
                if matches!(row.what, What::Missing(_))
                    && last.what == row.what
                    && last.path.split_last().unwrap().1 == row.path.split_last().unwrap().1
                    && last.last.wrapping_add(1) == row.first =>
            {
                last.last = row.last;
            }
            _ => merged.push(row),
        }
    }
    merged
}
