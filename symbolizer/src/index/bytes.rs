//! Numbers out of bytes that may be anything.

use super::format::LONG_NIBBLE;

/// Two bytes, the low one first.
pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(field(bytes, at)?))
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

    #[inline]
    pub(super) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(*first)
    }

    /// Seven bits a byte, the low ones first; the upper bit says that more follow. At most 32 bits.
    #[inline]
    pub(super) fn varint(&mut self) -> Option<u32> {
        let (first, rest) = self.bytes.split_first()?;
        if *first & 0x80 != 0 {
            return self.long_varint();
        }
        self.bytes = rest;
        Some((*first).into())
    }

    /// Few are long: kept out of the way of the others.
    #[inline(never)]
    fn long_varint(&mut self) -> Option<u32> {
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
    #[inline]
    pub(super) fn nibbles(&mut self) -> Option<(u32, u32)> {
        let both = self.byte()?;
        let mut long = |nibble: u8| match nibble {
            LONG_NIBBLE => u32::from(LONG_NIBBLE).checked_add(self.varint()?),
            short => Some(short.into()),
        };
        let first = long(both & LONG_NIBBLE)?;
        Some((first, long(both >> 4)?))
    }

    /// Passes by so many pairs of [`Self::nibbles`].
    fn pass_nibbles(&mut self, mut pairs: usize) -> Option<()> {
        // Eight at a time, up to the first one with a varint behind it.
        while let (Some(next), true) = (self.bytes.first_chunk::<8>(), pairs > 0) {
            let short = first_long(*next);
            let passed = short.min(pairs);
            self.bytes = self.bytes.get(passed..)?;
            pairs = pairs.checked_sub(passed)?;
            if pairs > 0 && short < 8 {
                self.nibbles()?;
                pairs = pairs.checked_sub(1)?;
            }
        }
        for _ in 0..pairs {
            self.nibbles()?;
        }
        Some(())
    }
}

/// The pair of [`Cursor::nibbles`] that so many others come before.
#[inline(always)]
pub(super) fn nibbles_behind(bytes: &[u8], pairs: usize) -> Option<(u32, u32)> {
    // Nearly always there are a few, and no varint among them.
    if let Some(next) = bytes.first_chunk::<8>()
        && first_long(*next) > pairs
    {
        let both = u32::from(*next.get(pairs)?);
        return Some((both & 15, both >> 4));
    }
    long_nibbles_behind(bytes, pairs)
}

#[inline(never)]
fn long_nibbles_behind(bytes: &[u8], pairs: usize) -> Option<(u32, u32)> {
    let mut cursor = Cursor { bytes };
    cursor.pass_nibbles(pairs)?;
    cursor.nibbles()
}

/// A varint, and where what follows it is.
#[inline(always)]
pub(super) fn varint_at(bytes: &[u8], at: usize) -> Option<(usize, u32)> {
    let first = u32::from(*bytes.get(at)?);
    if first & LONG == 0 {
        return Some((at.wrapping_add(1), first));
    }
    let mut cursor = Cursor {
        bytes: bytes.get(at..)?,
    };
    let value = cursor.varint()?;
    Some((bytes.len().checked_sub(cursor.bytes.len())?, value))
}

/// How many pairs there are before the first one that has a varint behind it; 8 if none has.
#[inline(always)]
fn first_long(pairs: [u8; 8]) -> usize {
    let word = u64::from_le_bytes(pairs);
    // Whether four bits are all ones is seen in the lowest of them.
    let long = word & word >> 1 & word >> 2 & word >> 3 & 0x1111_1111_1111_1111;
    // At most eight.
    (long.trailing_zeros() / 8) as usize
}

/// What stands before the name of a function.
#[derive(Clone, Copy)]
pub(super) struct Head {
    /// Two numbers: a pair of [`Cursor::nibbles`].
    pub(super) pair: (u32, u32),
    /// Another, a varint.
    pub(super) third: u32,
    /// Where the name is.
    pub(super) name_at: usize,
    pub(super) name_bytes: usize,
}

impl Head {
    /// How long the name is, a varint, then the numbers. Nearly always these have one, one, and at most two
    /// bytes, which are taken apart without going from one to the next.
    #[inline(always)]
    pub(super) fn read(texts: &[u8], at: usize) -> Option<Self> {
        // At the very end there may be less than this.
        let bytes = texts.get(at..at.checked_add(4)?);
        let word = bytes.map_or(LONG, |bytes| u32_at(bytes, 0).unwrap_or(LONG));
        let (first, second) = (word >> 8 & 15, word >> 12 & 15);
        let long = u32::from(LONG_NIBBLE);
        if word & LONG != 0 || first == long || second == long {
            // Copied, so that the usual case has everything in registers.
            let Head {
                pair: (first, second),
                third,
                name_at,
                name_bytes,
            } = Self::read_long(texts, at)?;
            return Some(Head {
                pair: (first, second),
                third,
                name_at,
                name_bytes,
            });
        }
        let (mut third, mut length) = (word >> 16 & 0x7f, 3);
        if word & 0x80_0000 != 0 {
            if word >> 31 != 0 {
                let Head {
                    third: long,
                    name_at,
                    ..
                } = Self::read_long(texts, at)?;
                (third, length) = (long, name_at.wrapping_sub(at));
            } else {
                third |= word >> 24 << 7;
                length = 4;
            }
        }
        Some(Head {
            pair: (first, second),
            third,
            name_at: at.wrapping_add(length),
            name_bytes: usize::try_from(word & 0x7f).ok()?,
        })
    }

    #[inline(never)]
    fn read_long(texts: &[u8], at: usize) -> Option<Self> {
        let mut cursor = Cursor {
            bytes: texts.get(at..)?,
        };
        let name_bytes = usize::try_from(cursor.varint()?).ok()?;
        Some(Head {
            pair: cursor.nibbles()?,
            third: cursor.varint()?,
            name_at: texts.len().checked_sub(cursor.bytes.len())?,
            name_bytes,
        })
    }

    /// Where the record that follows begins.
    #[inline]
    pub(super) fn next(&self) -> usize {
        self.name_at.wrapping_add(self.name_bytes)
    }
}

/// What says that a varint has another byte.
const LONG: u32 = 0x80;

/// A number moved by a difference whose sign is in the lowest bit.
#[inline]
pub(super) fn moved(from: u32, zigzag: u32) -> u32 {
    // Out of a damaged index may come any number; it is as good as any other.
    from.wrapping_add(zigzag >> 1 ^ (zigzag & 1).wrapping_neg())
}
