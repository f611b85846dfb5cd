//! Why bits of an entry are reserved, in words.

use core::fmt;

use crate::{Entry, Level, Paging};

/// The reserved bits of an entry and the rules they break, displayed as in `bits 46:45, beyond
/// the 40 physical bits`. Intel SDM volume 3A, "4-Level Paging and 5-Level Paging".
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReservedBits {
    bits: u64,
    level: Level,
    paging: Paging,
}

/// What there is to say about reserved bits that are set in an entry of this level.
pub const fn reserved_bits(bits: u64, level: Level, paging: &Paging) -> ReservedBits {
    ReservedBits {
        bits,
        level,
        paging: *paging,
    }
}

/// Bit 51, the highest an address in an entry can have, and all below.
const ADDRESS_BITS: u64 = (1 << 52) - 1;

impl fmt::Display for ReservedBits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ReservedBits {
            bits,
            level,
            paging,
        } = *self;
        let width = paging.phys_bits.min(52);
        let inside = level.page_size().map_or(0, |size| size.bytes() - 1);
        let above = ADDRESS_BITS & !((1 << width) - 1);
        let mut rest = bits;
        let mut gap = "";
        if rest & Entry::NO_EXECUTE != 0 {
            write!(f, "bit 63 set while EFER.NXE is clear")?;
            rest &= !Entry::NO_EXECUTE;
            gap = "; ";
        }
        if rest & above != 0 {
            let bits = Bits(rest & above);
            write!(
                f,
                "{gap}{bits} set, beyond the {width} physical address bits"
            )?;
            rest &= !above;
            gap = "; ";
        }
        if rest & inside & !0x1fff != 0 {
            let (bits, size) = (Bits(rest & inside & !0x1fff), level.page_size());
            write!(f, "{gap}{bits} set")?;
            if let Some(size) = size {
                write!(f, ", inside a {size} page")?;
            }
            rest &= !(inside & !0x1fff);
            gap = "; ";
        }
        if rest & Entry::HUGE != 0 {
            match level {
                Level::Pdpt => write!(f, "{gap}bit 7 set, and there are no 1G pages")?,
                _ => write!(f, "{gap}bit 7 set in a {level}")?,
            }
            rest &= !Entry::HUGE;
            gap = "; ";
        }
        match rest {
            0 => Ok(()),
            _ => write!(f, "{gap}{} set", Bits(rest)),
        }
    }
}

/// `bit 7`, `bits 51:40`, or the mask where they are not neighbours.
struct Bits(u64);

impl fmt::Display for Bits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (high, low) = (63 - self.0.leading_zeros().min(63), self.0.trailing_zeros());
        match self.0.count_ones() {
            1 => write!(f, "bit {low}"),
            ones if ones == high + 1 - low.min(high) => write!(f, "bits {high}:{low}"),
            _ => write!(f, "bits {:#x}", self.0),
        }
    }
}
