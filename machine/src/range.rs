//! A range of virtual addresses, both ends included, so that the last address has a place in
//! one.

use crate::{Paging, VirtAddr};

/// Addresses from `first` to `last`, both included. Empty if `first` is above `last`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Range {
    /// The lowest address.
    pub first: VirtAddr,
    /// The highest address.
    pub last: VirtAddr,
}

impl Range {
    /// The whole address space.
    pub const ALL: Range = Range::new(VirtAddr(0), VirtAddr(u64::MAX));
    /// The lower canonical half, however many levels there are.
    pub const LOWER: Range = Range::new(VirtAddr(0), VirtAddr(u64::MAX >> 1));
    /// The upper canonical half, however many levels there are.
    pub const UPPER: Range = Range::new(VirtAddr(1 << 63), VirtAddr(u64::MAX));

    /// The addresses from `first` to `last`, both included.
    pub const fn new(first: VirtAddr, last: VirtAddr) -> Range {
        Range { first, last }
    }

    /// Whether `va` is in it.
    pub const fn contains(&self, va: VirtAddr) -> bool {
        self.first.0 <= va.0 && va.0 <= self.last.0
    }

    /// The part of it that is canonical, which is empty if it lies within the gap.
    pub(crate) const fn canonical(self, paging: &Paging) -> Range {
        let upper = paging.sign_extend(1 << (paging.virt_bits() - 1));
        let lower = VirtAddr(!upper.0);
        let Range {
            mut first,
            mut last,
        } = self;
        if first.0 > lower.0 && first.0 < upper.0 {
            first = upper;
        }
        if last.0 > lower.0 && last.0 < upper.0 {
            last = lower;
        }
        Range { first, last }
    }
}

impl Default for Range {
    fn default() -> Self {
        Range::ALL
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOUR: Paging = Paging::four_level(46);
    const LOW_END: VirtAddr = VirtAddr(0x0000_7fff_ffff_ffff);
    const HIGH: VirtAddr = VirtAddr(0xffff_8000_0000_0000);

    #[test]
    fn both_ends_are_in_it() {
        let range = Range::new(VirtAddr(5), VirtAddr(7));
        let inside = [4, 5, 6, 7, 8].map(|va| range.contains(VirtAddr(va)));
        assert_eq!(inside, [false, true, true, true, false]);
        assert!(Range::ALL.contains(VirtAddr(u64::MAX)));
        assert_eq!(Range::default(), Range::ALL);
    }

    #[test]
    fn an_end_in_the_gap_moves_to_the_next_canonical_address_inside() {
        let in_gap = VirtAddr(0x1234_0000_0000_0000);
        let below = Range::new(VirtAddr(0x1000), in_gap);
        assert_eq!(
            below.canonical(&FOUR),
            Range::new(VirtAddr(0x1000), LOW_END)
        );
        let above = Range::new(in_gap, VirtAddr(u64::MAX));
        assert_eq!(above.canonical(&FOUR), Range::new(HIGH, VirtAddr(u64::MAX)));
        assert_eq!(Range::LOWER.canonical(&FOUR).last, LOW_END);
        assert_eq!(Range::UPPER.canonical(&FOUR).first, HIGH);
        assert_eq!(Range::ALL.canonical(&FOUR), Range::ALL);
    }

    #[test]
    fn a_range_within_the_gap_becomes_empty() {
        let first = VirtAddr(LOW_END.0 + 1);
        let gap = Range::new(first, VirtAddr(HIGH.0 - 1)).canonical(&FOUR);
        assert!(gap.first > gap.last);
        // With five levels most of it is no gap.
        let five = Range::new(first, VirtAddr(1 << 50)).canonical(&Paging::five_level(46));
        assert_eq!(five, Range::new(first, VirtAddr(1 << 50)));
    }
}
