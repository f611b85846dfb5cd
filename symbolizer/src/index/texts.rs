//! What texts are put together from.

/// What symbols stand for. Two numbers an element, as in a [`super::table::Table`]; but each text has a copy of this, so
/// there is no more in it than it takes.
#[derive(Clone, Copy)]
pub(super) struct Grammar<'a> {
    /// With some bytes behind the last element, which whole words are read with.
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
    pub(super) const fn none() -> Self {
        Grammar {
            bytes: &[],
            count: 0,
            widths: [0; 2],
            short: 0,
        }
    }

    /// Of a table's bytes, which are known to be long enough.
    pub(super) fn new(bytes: &'a [u8], count: u32, widths: [u8; 2], short: u8) -> Self {
        Grammar {
            bytes,
            count,
            widths,
            short,
        }
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
