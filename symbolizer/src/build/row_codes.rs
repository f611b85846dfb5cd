//! What the first byte of a row stands for: what rows have most often, as far as a byte can count.

use std::collections::{BTreeMap, BinaryHeap};

use super::packed::varint;
use crate::index::format::{
    CONTEXT_SHIFT, LONG_DISTANCE, LONG_PLACE, LONGEST_CONTEXT, NEAR_CONTEXT, OTHER_CONTEXT,
    PLACE_SHIFT, SAME_CONTEXT,
};

/// A code stands for one byte.
const MOST_CODES: usize = 256;
/// What a code takes in the index: one that saves no more is none.
const COST: usize = 2;

/// How a row differs from the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Change {
    pub(super) distance: u32,
    pub(super) context: Turn,
    pub(super) place: u32,
}

/// Where the context goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Turn {
    /// One of the ways that need no number.
    Plain(u16),
    /// Somewhere else: what its varint would have.
    Other(u32),
}

/// A code: a field is what it stands for, or is left to a varint.
type Code = u16;

/// Codes for rows, and their bytes.
#[derive(Debug)]
pub(super) struct Codes {
    codes: Vec<Code>,
    chosen: BTreeMap<Change, (u8, Code)>,
}

impl Codes {
    /// Those that these rows are shortest with.
    pub(super) fn new(rows: &[Change]) -> Self {
        let mut counts: BTreeMap<Change, usize> = BTreeMap::new();
        for row in rows {
            let count = counts.entry(*row).or_default();
            *count = count.saturating_add(1);
        }
        let rows: Vec<(Change, usize)> = counts.into_iter().collect();
        // The code with everything left to varints is always there, so that every row has one.
        let mut used: BTreeMap<Code, Vec<usize>> = BTreeMap::new();
        let mut codes: Vec<Code> = Vec::new();
        for (number, (row, _)) in rows.iter().enumerate() {
            for code in row.codes() {
                used.entry(code).or_default().push(number);
            }
            let widest = row.widest();
            if !codes.contains(&widest) {
                codes.push(widest);
            }
        }
        let mut lengths: Vec<usize> = rows
            .iter()
            .map(|(row, _)| row.length(row.widest()))
            .collect();
        let gain = |code: Code, lengths: &[usize]| {
            let numbers = used.get(&code).map_or(&[][..], Vec::as_slice);
            numbers.iter().fold(0usize, |sum, number| {
                let (Some((row, count)), Some(length)) = (rows.get(*number), lengths.get(*number))
                else {
                    return sum;
                };
                let less = length.saturating_sub(row.length(code));
                sum.saturating_add(less.saturating_mul(*count))
            })
        };
        let all = used.keys();
        let mut queue: BinaryHeap<(usize, Code)> =
            all.map(|code| (gain(*code, &lengths), *code)).collect();
        while let Some((_, code)) = queue.pop() {
            // The others that were taken since may have left it less to save.
            let left = gain(code, &lengths);
            if queue.peek().is_some_and(|next| (left, code) < *next) {
                queue.push((left, code));
                continue;
            }
            if left <= COST || codes.len() >= MOST_CODES {
                break;
            }
            codes.push(code);
            for number in used.get(&code).into_iter().flatten() {
                if let (Some((row, _)), Some(length)) =
                    (rows.get(*number), lengths.get_mut(*number))
                {
                    *length = row.length(code).min(*length);
                }
            }
        }
        let numbers: BTreeMap<Code, u8> = codes.iter().copied().zip(0..=u8::MAX).collect();
        let mut chosen = BTreeMap::new();
        for (row, _) in &rows {
            let fitting = row.codes().into_iter();
            let known = fitting.filter_map(|code| Some((*numbers.get(&code)?, code)));
            if let Some(best) = known.min_by_key(|(_, code)| row.length(*code)) {
                chosen.insert(*row, best);
            }
        }
        Codes { codes, chosen }
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let codes = self.codes.iter();
        codes.flat_map(|code| code.to_le_bytes()).collect()
    }

    pub(super) fn count(&self) -> usize {
        self.codes.len()
    }

    pub(super) fn write(&self, row: &Change, bytes: &mut Vec<u8>) {
        let Some((number, code)) = self.chosen.get(row) else {
            return;
        };
        bytes.push(*number);
        for value in row.varints(*code) {
            varint(bytes, value);
        }
    }
}

impl Change {
    /// The code with as much as possible left to varints.
    fn widest(&self) -> Code {
        let context = match self.context {
            Turn::Plain(how) => how,
            Turn::Other(_) => OTHER_CONTEXT,
        };
        LONG_DISTANCE | context << CONTEXT_SHIFT | LONG_PLACE << PLACE_SHIFT
    }

    /// Every code that it can be written with.
    fn codes(&self) -> Vec<Code> {
        let short = |value: u32, long: u16| u16::try_from(value).ok().filter(|value| *value < long);
        let mut contexts = Vec::new();
        match self.context {
            Turn::Plain(how) => contexts.push(how),
            Turn::Other(other) => {
                contexts.push(OTHER_CONTEXT);
                let near = other.saturating_add(NEAR_CONTEXT.into());
                contexts.extend(short(near, LONGEST_CONTEXT.saturating_add(1)));
            }
        }
        let distances = [Some(LONG_DISTANCE), short(self.distance, LONG_DISTANCE)];
        let places = [Some(LONG_PLACE), short(self.place, LONG_PLACE)];
        let mut codes = Vec::new();
        for distance in distances.into_iter().flatten() {
            for place in places.into_iter().flatten() {
                for context in &contexts {
                    codes.push(distance | context << CONTEXT_SHIFT | place << PLACE_SHIFT);
                }
            }
        }
        codes
    }

    /// What a code leaves to varints, in their order.
    fn varints(&self, code: Code) -> impl Iterator<Item = u32> {
        let distance = (code & LONG_DISTANCE == LONG_DISTANCE).then_some(self.distance);
        let how = code >> CONTEXT_SHIFT & LONGEST_CONTEXT;
        let context = match self.context {
            Turn::Other(other) if how == OTHER_CONTEXT => Some(other),
            _ => None,
        };
        let place = (code >> PLACE_SHIFT == LONG_PLACE).then_some(self.place);
        [distance, context, place].into_iter().flatten()
    }

    /// How many bytes it takes with a code.
    fn length(&self, code: Code) -> usize {
        self.varints(code).fold(1, |sum, value| {
            let bits = u32::BITS.saturating_sub(value.leading_zeros()).max(1);
            let bytes = usize::try_from(bits.div_ceil(7)).unwrap_or(usize::MAX);
            sum.saturating_add(bytes)
        })
    }
}

impl Turn {
    pub(super) const SAME: Turn = Turn::Plain(SAME_CONTEXT);
}
