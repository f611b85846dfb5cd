//! Numbers in as many bits as the largest of them needs.

use super::packed::TooMany;
use crate::index::format::WIDEST;

/// Elements of a packed part, not yet packed.
#[derive(Debug)]
pub(super) struct Packed {
    fields: usize,
    /// The fields of the first element, of the second, and so on.
    values: Vec<u32>,
    /// How many bits each field has at least.
    widths: Vec<u8>,
}

impl Packed {
    pub(super) fn new(fields: usize) -> Self {
        Packed {
            fields,
            values: Vec::new(),
            widths: vec![1; fields],
        }
    }

    pub(super) fn push(&mut self, element: &[u32]) {
        debug_assert_eq!(element.len(), self.fields, "an element has all its fields");
        for (width, value) in self.widths.iter_mut().zip(element) {
            *width = bits(*value).max(*width);
        }
        self.values.extend(element);
    }

    /// Gives a field more bits than it would need.
    pub(super) fn widen(&mut self, field: usize, width: u8) {
        if let Some(place) = self.widths.get_mut(field) {
            *place = width.max(*place);
        }
    }

    pub(super) fn widths(&self) -> &[u8] {
        &self.widths
    }

    pub(super) fn count(&self) -> Result<u32, TooMany> {
        let count = self.values.len().checked_div(self.fields).unwrap_or(0);
        u32::try_from(count).map_err(|_| TooMany("elements in a part"))
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let (mut word, mut filled) = (0u64, 0u32);
        for (value, width) in self.values.iter().zip(self.widths.iter().cycle()) {
            word |= u64::from(*value) << filled;
            filled = filled.saturating_add(u32::from(*width));
            while filled >= 8 {
                let [low, ..] = word.to_le_bytes();
                bytes.push(low);
                word >>= 8;
                filled = filled.saturating_sub(8);
            }
        }
        if filled > 0 {
            let [low, ..] = word.to_le_bytes();
            bytes.push(low);
        }
        bytes
    }
}

/// How many bits a number has.
pub(super) fn bits(value: u32) -> u8 {
    let bits = u32::BITS.saturating_sub(value.leading_zeros());
    u8::try_from(bits).unwrap_or(WIDEST)
}
