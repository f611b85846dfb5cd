//! What texts are put together from.

use super::bytes::u32_at;
use super::format::{AT_COUNTS, AT_SHORT_SYMBOLS, AT_WIDTHS, HEADER_BYTES};

/// What symbols stand for: two numbers an element, as in a [`super::table::Table`].
#[derive(Clone, Copy)]
pub(super) struct Grammar<'a> {
    /// With what follows them in the index, which whole words are read with.
    bytes: &'a [u8],
    count: u32,
    /// How many bits the two numbers have.
    widths: [u8; 2],
    /// How many symbols take one byte.
    pub(super) short: u8,
}

/// What one symbol stands for.
#[derive(Clone, Copy)]
pub(super) enum Rule {
    Character(char),
    /// Two others.
    Pair(u32, u32),
}

impl<'a> Grammar<'a> {
    /// That of an index, which is the first of its parts.
    pub(super) fn of(index: &'a [u8]) -> Option<Self> {
        Some(Grammar {
            bytes: index.get(HEADER_BYTES..)?,
            count: u32_at(index, AT_COUNTS)?,
            widths: *index.get(AT_WIDTHS..)?.first_chunk()?,
            short: *index.get(AT_SHORT_SYMBOLS)?,
        })
    }

    pub(super) fn rule(&self, symbol: u32) -> Option<Rule> {
        let [first, second] = self.widths.map(u32::from);
        let bits = u64::from(first.checked_add(second)?);
        let at = u64::from(symbol).checked_mul(bits)?;
        let number = |at: u64, width: u32| {
            let word = self.bytes.get(usize::try_from(at / 8).ok()?..)?;
            let word = u64::from_le_bytes(*word.first_chunk::<8>()?) >> (at % 8);
            u32::try_from(word & 1u64.wrapping_shl(width).wrapping_sub(1)).ok()
        };
        let upper = number(at, first)?;
        let lower = number(at.checked_add(first.into())?, second)?;
        // What no symbol has for its number is the upper part of a character's.
        Some(match upper.checked_sub(self.count) {
            None => Rule::Pair(upper, lower),
            Some(upper) => {
                let character = upper.wrapping_shl(second) | lower;
                Rule::Character(char::from_u32(character).unwrap_or(char::REPLACEMENT_CHARACTER))
            }
        })
    }
}
