//! Parts whose elements have as many bits as they need, and no more.

use super::format::{PADDING, WIDEST};

/// Elements of `N` fields, each of so many bits, one behind the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Table<'a, const N: usize> {
    /// With some bytes behind the last element, which whole words are read with.
    bytes: &'a [u8],
    count: usize,
    /// How many bits an element has.
    bits: usize,
    fields: [Field; N],
}

/// A field of an element.
#[derive(Clone, Copy, Debug, Default)]
struct Field {
    /// Where it begins, in bits.
    first: u8,
    /// Where the next one does.
    end: u8,
    /// As many ones as it has bits.
    mask: u32,
}

/// The first bits of an element, from which the fields are taken that lie in them.
#[derive(Clone, Copy)]
pub(super) struct Element {
    number: usize,
    word: u64,
}

/// How many bits of an element there are in eight bytes, wherever in a byte it begins.
const NEAR: u8 = 57;

impl<'a, const N: usize> Table<'a, N> {
    pub(super) const fn none() -> Self {
        let field = Field {
            first: 0,
            end: 0,
            mask: 0,
        };
        Table {
            bytes: &[],
            count: 0,
            bits: 0,
            fields: [field; N],
        }
    }

    /// The table that begins with these bytes, and how many of them it has.
    pub(super) fn open(bytes: &'a [u8], count: usize, widths: &[u8]) -> Option<(Self, usize)> {
        let mut table = Table {
            count,
            ..Table::none()
        };
        let mut first = 0u8;
        for (field, bits) in table.fields.iter_mut().zip(widths) {
            if *bits > WIDEST {
                return None;
            }
            let mask = 1u64.wrapping_shl((*bits).into()).wrapping_sub(1);
            let end = first.checked_add(*bits)?;
            *field = Field {
                first,
                end,
                mask: u32::try_from(mask).ok()?,
            };
            first = end;
        }
        table.bits = first.into();
        // Else a few bytes could claim any number of elements.
        if table.bits == 0 && count > 0 {
            return None;
        }
        let length = count.checked_mul(table.bits)?.div_ceil(8);
        table.bytes = bytes.get(..length.checked_add(PADDING)?)?;
        Some((table, length))
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// A field of an element.
    #[inline(always)]
    pub(super) fn get(&self, number: usize, field: usize) -> Option<u32> {
        let field = self.fields.get(field)?;
        Some(self.bits_from(number, field.first)? as u32 & field.mask)
    }

    /// An element, of which several fields will be asked for.
    #[inline(always)]
    pub(super) fn element(&self, number: usize) -> Option<Element> {
        let word = self.bits_from(number, 0)?;
        Some(Element { number, word })
    }

    /// A field of that.
    #[inline(always)]
    pub(super) fn field(&self, element: Element, field: usize) -> Option<u32> {
        let known = self.fields.get(field)?;
        // Of a wide element the last field may lie farther behind.
        if known.end > NEAR {
            return self.get(element.number, field);
        }
        Some(element.word.wrapping_shr(known.first.into()) as u32 & known.mask)
    }

    /// What there is from a bit of an element on: [`NEAR`] bits of it at least.
    #[inline(always)]
    fn bits_from(&self, number: usize, first: u8) -> Option<u64> {
        // A number that is too large for this ends up anywhere in the table, as any wrong number may.
        let at = number.wrapping_mul(self.bits).wrapping_add(first.into());
        let first = at / 8;
        let word = self.bytes.get(first..first.wrapping_add(8))?;
        Some(u64::from_le_bytes(*word.first_chunk()?) >> (at % 8))
    }

    /// The last element whose first field is not above `most`; they are sorted by it.
    pub(super) fn last_not_above(&self, most: u32) -> Option<usize> {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = usize::midpoint(low, high);
            match self.get(middle, 0)? <= most {
                true => low = middle.wrapping_add(1),
                false => high = middle,
            }
        }
        low.checked_sub(1)
    }
}
