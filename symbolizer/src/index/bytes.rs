//! Numbers out of bytes that may be anything.

use super::format::LONG_NIBBLE;

/// Two bytes, the low one first.
pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(field(bytes, at)?))
}

/// Three bytes.
pub(super) fn u24_at(bytes: &[u8], at: usize) -> Option<u32> {
    let [a, b, c] = field(bytes, at)?;
    Some(u32::from_le_bytes([a, b, c, 0]))
}

/// Four bytes.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(field(bytes, at)?))
}

/// Eight bytes.
pub(super) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(field(bytes, at)?))
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

/// Bytes that are read one after the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8], at: u32) -> Option<Self> {
        let at = usize::try_from(at).ok()?;
        Some(Cursor {
            bytes: bytes.get(at..)?,
        })
    }

    /// Where in the whole the rest begins.
    pub(super) fn at(&self, whole: &[u8]) -> u32 {
        u32::try_from(whole.len().saturating_sub(self.bytes.len())).unwrap_or(u32::MAX)
    }

    #[inline]
    pub(super) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(*first)
    }

    /// Seven bits a byte, the low ones first; the upper bit says that more follow. At most 32 bits.
    pub(super) fn varint(&mut self) -> Option<u32> {
        let mut value = 0u32;
        for shift in [0u32, 7, 14, 21, 28] {
            let byte = self.byte()?;
            value |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// Two numbers that are small most of the time: the one in the lower half of a byte first.
    pub(super) fn nibbles(&mut self) -> Option<(u32, u32)> {
        let both = self.byte()?;
        let mut long = |nibble: u8| match nibble {
            LONG_NIBBLE => u32::from(LONG_NIBBLE).checked_add(self.varint()?),
            short => Some(short.into()),
        };
        let first = long(both & LONG_NIBBLE)?;
        Some((first, long(both >> 4)?))
    }

    pub(super) fn take(&mut self, bytes: u32) -> Option<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(usize::try_from(bytes).ok()?)?;
        self.bytes = rest;
        Some(taken)
    }
}

/// A number moved by a difference whose sign is in the lowest bit.
pub(super) fn moved(from: u32, zigzag: u32) -> Option<u32> {
    match zigzag & 1 {
        0 => from.checked_add(zigzag >> 1),
        _ => from.checked_sub((zigzag >> 1).checked_add(1)?),
    }
}
