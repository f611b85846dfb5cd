//! The rows there are: every way through the tables, every access, every setting of the
//! control bits.
//!
//! Each entry of a way grants or withholds W, U and X; it ends at a page, at an entry that is
//! absent, or at one with a reserved bit. That is 5,266 ways to a page of 4 KiB, 658 to one of
//! 2 MiB and 82 to one of 1 GiB.

use machine::{Access, AccessKind, Controls, Entry, Level, PageSize, Paging};

use crate::{Bench, Chain};

/// The sets of W, U and N that one entry can have.
const SETS: u64 = 8;
/// Three kinds, by the kernel and by the user.
pub(super) const ACCESSES: u64 = 6;
/// Rows are taken so far apart: a prime, so that all are met before one is met again, and near
/// the golden section of how many there are at most, so that the first ones, however many, are
/// spread evenly over everything.
const STRIDE: u64 = 712_687;

/// What the rows depend on.
#[derive(Clone, Copy)]
pub(super) struct Rows {
    paging: Paging,
    bench: Bench,
}

/// One of them.
pub(super) struct Row {
    /// `None` if the CPU has no reserved bit that the way could end at.
    pub(super) chain: Option<Chain>,
    pub(super) access: Access,
    pub(super) controls: Controls,
}

impl Rows {
    pub(super) fn new(paging: Paging, bench: Bench) -> Rows {
        Rows { paging, bench }
    }

    /// The sizes of pages there are, the smallest first.
    fn sizes(&self) -> impl Iterator<Item = PageSize> {
        let gib_pages = self.paging.gib_pages;
        let is_there = move |size: &PageSize| gib_pages || *size != PageSize::Size1G;
        PageSize::ALL.into_iter().filter(is_there)
    }

    /// How many ways there are.
    pub(super) fn ways(&self) -> u64 {
        self.sizes().map(ways_to).fold(0, u64::saturating_add)
    }

    /// How many settings there are: a bit that the CPU lacks is always clear.
    pub(super) fn settings(&self) -> u64 {
        8 << u32::from(self.bench.smep) << u32::from(self.bench.smap)
    }

    /// How many rows there are.
    pub(super) fn count(&self) -> u64 {
        self.ways()
            .saturating_mul(self.settings())
            .saturating_mul(ACCESSES)
    }

    /// The row to try as number `turn`, counted from 0.
    pub(super) fn at(&self, turn: u64) -> Row {
        let number = turn.wrapping_mul(STRIDE).checked_rem(self.count());
        let (number, access) = split(number.unwrap_or(0), ACCESSES);
        let (way, setting) = split(number, self.settings());
        Row {
            chain: self.chain(way),
            access: access_at(access),
            controls: self.controls(setting),
        }
    }

    fn controls(&self, setting: u64) -> Controls {
        let mut bits = setting;
        let mut next = |is_there: bool| {
            let is_set = is_there && bits & 1 != 0;
            bits >>= u32::from(is_there);
            is_set
        };
        Controls {
            wp: next(true),
            ac: next(true),
            nxe: next(true),
            smep: next(self.bench.smep),
            smap: next(self.bench.smap),
        }
    }

    fn chain(&self, mut way: u64) -> Option<Chain> {
        for size in self.sizes() {
            match way.checked_sub(ways_to(size)) {
                Some(rest) => way = rest,
                None => return self.chain_to(size, way),
            }
        }
        None
    }

    /// Way number `way` to a page of this size: first those that end at the first entry, then
    /// those that end at the second, and so on; last those that get there.
    fn chain_to(&self, size: PageSize, mut way: u64) -> Option<Chain> {
        let mut chain = Chain::new(size);
        let mut ways_before = 1_u64;
        for level in levels_to(size) {
            // Absent or malformed, below each way to get here.
            if let Some(rest) = way.checked_sub(ways_before.saturating_mul(2)) {
                way = rest;
                ways_before = ways_before.saturating_mul(SETS);
                continue;
            }
            let (before, is_malformed) = split(way, 2);
            push_sets(&mut chain, before, ways_before);
            let end = match is_malformed {
                // Anything may be in an absent entry, but not bit 0.
                0 => u64::MAX ^ Entry::PRESENT,
                _ => {
                    let bit = self.reserved_bit(size, level, before)?;
                    sets(7) & !Entry::NO_EXECUTE | leaf_bit(size, level) | 1 << bit
                }
            };
            return chain.push(end).then_some(chain);
        }
        push_sets(&mut chain, way, ways_before);
        Some(chain)
    }

    /// A bit that no present entry of this level may have, on the way to a page of this size:
    /// of all there are, each in its turn. SDM volume 3A, "4-Level Paging and 5-Level Paging".
    fn reserved_bit(&self, size: PageSize, level: Level, turn: u64) -> Option<u64> {
        let low = match level {
            Level::Pml4 => 7..8,
            Level::Pdpt if size == PageSize::Size1G => 13..30,
            Level::Pd if size == PageSize::Size2M => 13..21,
            _ => 0..0,
        };
        let high = u64::from(self.paging.phys_bits.min(52))..52;
        let bits = low.chain(high);
        let count = u64::try_from(bits.clone().count()).ok()?;
        let turn = usize::try_from(turn.checked_rem(count)?).ok()?;
        bits.clone().nth(turn)
    }
}

/// Quotient and remainder; the divisors are constants above 0.
fn split(number: u64, by: u64) -> (u64, u64) {
    let quotient = number.checked_div(by).unwrap_or(0);
    (quotient, number.checked_rem(by).unwrap_or(0))
}

fn levels_to(size: PageSize) -> impl Iterator<Item = Level> {
    let levels = [Level::Pml4, Level::Pdpt, Level::Pd, Level::Pt];
    levels.into_iter().take_while(move |&it| it <= size.level())
}

/// How many ways there are to a page of this size, those that do not get there included.
fn ways_to(size: PageSize) -> u64 {
    let (ends, open) = levels_to(size).fold((0_u64, 1_u64), |(ends, open), _| {
        let ends = ends.saturating_add(open.saturating_mul(2));
        (ends, open.saturating_mul(SETS))
    });
    ends.saturating_add(open)
}

/// Adds entries with sets of rights, as the digits of `number`, which is below `limit`.
fn push_sets(chain: &mut Chain, mut number: u64, mut limit: u64) {
    let size = chain.size();
    for level in levels_to(size).take_while(|_| {
        let is_more = limit > 1;
        limit /= SETS;
        is_more
    }) {
        let (rest, set) = split(number, SETS);
        number = rest;
        // As many levels as the page has, and no more.
        let _ = chain.push(sets(set) | leaf_bit(size, level));
    }
}

/// A present entry with one of the sets.
fn sets(set: u64) -> u64 {
    let bit = |number: u32, entry: u64| if set >> number & 1 != 0 { entry } else { 0 };
    Entry::PRESENT | bit(0, Entry::WRITABLE) | bit(1, Entry::USER) | bit(2, Entry::NO_EXECUTE)
}

/// The bit that makes an entry of this level map a page of this size.
fn leaf_bit(size: PageSize, level: Level) -> u64 {
    match size != PageSize::Size4K && level == size.level() {
        true => Entry::HUGE,
        false => 0,
    }
}

fn access_at(number: u64) -> Access {
    let (kind, user) = split(number, 2);
    let kind = match kind {
        0 => AccessKind::Read,
        1 => AccessKind::Write,
        _ => AccessKind::Execute,
    };
    Access {
        kind,
        user: user != 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use machine::{Kind, PhysAddr, VirtAddr};
    use std::collections::HashSet;

    fn rows(gib_pages: bool, smep: bool, smap: bool, phys_bits: u8) -> Rows {
        let paging = Paging {
            gib_pages,
            ..Paging::four_level(phys_bits)
        };
        let bench = Bench {
            root: PhysAddr(0x1000),
            va: VirtAddr(0),
            smep,
            smap,
        };
        Rows::new(paging, bench)
    }

    #[test]
    fn there_are_as_many_rows_as_the_arithmetic_says() {
        let sizes = [PageSize::Size4K, PageSize::Size2M, PageSize::Size1G];
        assert_eq!(sizes.map(ways_to), [5_266, 658, 82]);
        assert_eq!(rows(true, true, true, 40).count(), 1_153_152);
        assert_eq!(rows(false, false, false, 40).count(), (5_266 + 658) * 6 * 8);
    }

    #[test]
    fn every_row_is_met_once_and_the_first_of_them_are_spread_evenly() {
        // No two ways are the same, no two settings, and the stride has no divisor in common
        // with the number of rows.
        let every = [
            (true, true, true),
            (false, false, true),
            (false, false, false),
        ];
        for rows in every.map(|(gib, smep, smap)| rows(gib, smep, smap, 40)) {
            let ways = (0..rows.ways()).map(|way| {
                let chain = rows.chain(way).expect("12 bits are reserved");
                (chain.size(), chain.entries().to_vec())
            });
            assert_eq!(ways.collect::<HashSet<_>>().len() as u64, rows.ways());
            let settings: HashSet<_> = (0..rows.settings()).map(|n| rows.controls(n)).collect();
            assert_eq!(settings.len() as u64, rows.settings());
            let (mut a, mut b) = (rows.count(), STRIDE);
            while b != 0 {
                (a, b) = (b, a % b);
            }
            assert_eq!(a, 1);
        }
        let rows = rows(true, true, true, 40);
        let mut first = std::collections::HashMap::new();
        for row in (0..192 * 100).map(|turn| rows.at(turn)) {
            *first.entry((row.access, row.controls)).or_insert(0) += 1;
        }
        assert_eq!(first.len(), 192);
        assert!(first.values().all(|&count| count == 100), "{first:?}");
    }

    #[test]
    fn a_way_ends_at_its_page_or_at_an_entry_that_stops_it() {
        let rows = rows(true, true, true, 36);
        let mut ends = std::collections::HashMap::new();
        let mut bits = 0;
        for way in 0..rows.ways() {
            let chain = rows.chain(way).expect("16 bits are reserved");
            let (last, before) = chain.entries().split_last().expect("no way is empty");
            for (level, &raw) in levels_to(chain.size()).zip(before) {
                let kind = rows.paging.decode(raw, level).kind;
                assert!(matches!(kind, Kind::Table { .. }), "{chain:x?}");
            }
            let level = levels_to(chain.size()).nth(before.len());
            let level = level.expect("not below the page");
            let what = match rows.paging.decode(*last, level).kind {
                Kind::Absent => "absent",
                Kind::Page { size, .. } if size == chain.size() => "page",
                Kind::Reserved { bits: found } if found.is_power_of_two() => {
                    bits |= found;
                    "malformed"
                }
                kind => panic!("{chain:x?} ends at {kind:?}"),
            };
            *ends.entry(what).or_insert(0) += 1;
        }
        let before = 1 + 8 + 64 + 512 + 1 + 8 + 64 + 1 + 8;
        assert_eq!(ends["absent"], before);
        assert_eq!(ends["malformed"], before);
        assert_eq!(ends["page"], 4096 + 512 + 64);
        // Each of them has had its turn.
        assert_eq!(bits >> 36 & 0xffff, 0xffff, "{bits:#x}");
        assert_eq!(bits >> 13 & 0xff, 0xff, "{bits:#x}");
    }

    #[test]
    fn a_cpu_that_reserves_no_address_bits_has_fewer_ways_to_be_malformed() {
        let rows = rows(true, true, true, 52);
        let missing = (0..rows.ways()).filter(|&way| rows.chain(way).is_none());
        // Below the PML4, all but those at large pages.
        assert_eq!(missing.count(), (8 + 64 + 512) + 8);
    }
}
