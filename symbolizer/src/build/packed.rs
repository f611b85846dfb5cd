//! Numbers in as few bytes as they need, and those with no room for them.

use std::fmt;

use crate::index::format::LONG_NIBBLE;

/// Something there is more of than the format has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany(pub &'static str);

impl fmt::Display for TooMany {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "more {} than an index has room for", self.0)
    }
}

/// The difference of two numbers, small whichever is larger.
pub(super) fn zigzag(from: u32, to: u32) -> u32 {
    match to.checked_sub(from) {
        Some(ahead) => ahead << 1,
        None => (from.wrapping_sub(to).wrapping_sub(1)) << 1 | 1,
    }
}

/// Two numbers that are small most of the time.
pub(super) fn nibbles(bytes: &mut Vec<u8>, first: u32, second: u32) {
    let long = u32::from(LONG_NIBBLE);
    let [low, ..] = (first.min(long) | second.min(long) << 4).to_le_bytes();
    bytes.push(low);
    for number in [first, second] {
        if let Some(more) = number.checked_sub(long) {
            varint(bytes, more);
        }
    }
}

pub(super) fn varint(bytes: &mut Vec<u8>, mut value: u32) {
    loop {
        let [low, ..] = value.to_le_bytes();
        value >>= 7;
        if value == 0 {
            bytes.push(low & 0x7f);
            return;
        }
        bytes.push(low | 0x80);
    }
}

pub(super) fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

pub(super) fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}
