//! How places are written: most as a line and a column of their function, in as few bits as pays.
//!
//! The fewer bits, the more places are too far from their function's first line, and have to be written in full
//! elsewhere. So a few ways are tried.

use std::collections::{HashMap, HashSet};

use super::fields::bits;
use super::flat::Place;
use super::packed::TooMany;
use crate::index::format::PLACE_BITS;

/// A place as a function has it: how far below the first line it is, if it is in the function's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Use {
    /// 0 is no line, 1 the function's first one.
    below: Option<u32>,
    place: Place,
}

impl Use {
    pub(super) fn new(place: Place, file: u32, first: u32) -> Self {
        let below = match place.line {
            0 => Some(0),
            line => line
                .checked_sub(first)
                .and_then(|below| below.checked_add(1)),
        };
        Use {
            below: below.filter(|_| place.file == file),
            place,
        }
    }
}

/// A way to write places.
#[derive(Debug)]
pub(super) struct Places {
    pub(super) column_bits: u8,
    /// From which value on it is the number of a wide place.
    pub(super) wide_from: u32,
    /// By their numbers.
    pub(super) wide: Vec<Place>,
    numbers: HashMap<Place, u32>,
}

impl Places {
    /// The way that takes the fewest bytes for all of these.
    pub(super) fn new(uses: &[Use]) -> Result<Self, TooMany> {
        let distinct: HashSet<Use> = uses.iter().copied().collect();
        let mut distinct: Vec<Use> = distinct.into_iter().collect();
        distinct.sort_unstable();
        let most = |field: fn(&Place) -> u32| {
            let values = distinct.iter().map(|each| field(&each.place));
            usize::from(bits(values.max().unwrap_or(0)))
        };
        let wide_bits = most(|place| place.file)
            .saturating_add(most(|place| place.line))
            .saturating_add(most(|place| place.column));
        let mut best: Option<(usize, u8, u32)> = None;
        for column_bits in 4..=8 {
            for place_bits in column_bits..=PLACE_BITS {
                let Some((wide_from, wide)) = split(&distinct, column_bits, place_bits) else {
                    continue;
                };
                let all = uses.len().saturating_mul(place_bits.into());
                let cost = all.saturating_add(wide.saturating_mul(wide_bits));
                if best.is_none_or(|(least, ..)| cost < least) {
                    best = Some((cost, column_bits, wide_from));
                }
            }
        }
        let (_, column_bits, wide_from) = best.ok_or(TooMany("unusual places"))?;
        let mut places = Places {
            column_bits,
            wide_from,
            wide: Vec::new(),
            numbers: HashMap::new(),
        };
        for each in distinct {
            if short(each, column_bits, wide_from).is_none() {
                let next = u32::try_from(places.wide.len()).map_err(|_| TooMany("places"))?;
                let list = &mut places.wide;
                places.numbers.entry(each.place).or_insert_with(|| {
                    list.push(each.place);
                    next
                });
            }
        }
        Ok(places)
    }

    /// A place as the index has it.
    pub(super) fn value(&self, each: Use) -> u32 {
        short(each, self.column_bits, self.wide_from).unwrap_or_else(|| {
            let number = self.numbers.get(&each.place).copied().unwrap_or(0);
            self.wide_from.saturating_add(number)
        })
    }
}

/// The short form of a place, if it has one.
fn short(each: Use, column_bits: u8, wide_from: u32) -> Option<u32> {
    let below = each.below.filter(|below| bits(*below) <= PLACE_BITS)?;
    let column = each.place.column;
    let value = below.checked_shl(column_bits.into())? | column;
    (bits(column) <= column_bits && value < wide_from).then_some(value)
}

/// From which value on places of so many bits are wide, and how many are: as few as there is room for their
/// numbers.
fn split(distinct: &[Use], column_bits: u8, place_bits: u8) -> Option<(u32, usize)> {
    let all = 1u32.checked_shl(place_bits.into())?;
    let mut wide_from = all;
    loop {
        let wide = distinct
            .iter()
            .filter(|each| short(**each, column_bits, wide_from).is_none());
        let wide: HashSet<Place> = wide.map(|each| each.place).collect();
        let left = all.checked_sub(u32::try_from(wide.len()).ok()?)?;
        // Fewer values are left for the others the more are wide.
        if left >= wide_from {
            return Some((wide_from, wide.len()));
        }
        wide_from = left;
    }
}
