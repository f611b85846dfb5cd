//! What two entries do not have in common, as a set of named bits.

use core::fmt;

use crate::{Entry, Kind};

/// What differs between two entries that are both present. A difference of presence itself is
/// [`Compared::OnlyLeft`](crate::Compared::OnlyLeft) or its opposite.
///
/// Displayed as words: `frame`, `W NX`. Bits that the CPU ignores never count.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Differences(u16);

impl Differences {
    /// Nothing.
    pub const NONE: Differences = Differences(0);
    /// Where the page is. Tables in other frames are looked into instead, but where one entry is
    /// compared with itself as it was (see [`DiffOptions::below`](crate::DiffOptions::below)).
    pub const FRAME: Differences = Differences(1 << 0);
    /// R/W.
    pub const WRITE: Differences = Differences(1 << 1);
    /// U/S.
    pub const USER: Differences = Differences(1 << 2);
    /// XD.
    pub const NO_EXECUTE: Differences = Differences(1 << 3);
    /// One maps a page and the other references a table of smaller ones.
    pub const SIZE: Differences = Differences(1 << 4);
    /// Which field of the PAT is chosen: PWT, PCD and PAT. Two fields may hold the same type.
    pub const MEMORY_TYPE: Differences = Differences(1 << 5);
    /// G, of a page.
    pub const GLOBAL: Differences = Differences(1 << 6);
    /// Which reserved bits are set. Of an entry that has any, nothing else counts.
    pub const RESERVED: Differences = Differences(1 << 7);
    /// A; only if asked for.
    pub const ACCESSED: Differences = Differences(1 << 8);
    /// D, of a page; only if asked for.
    pub const DIRTY: Differences = Differences(1 << 9);

    const NAMES: [(Differences, &'static str); 10] = [
        (Differences::FRAME, "frame"),
        (Differences::WRITE, "W"),
        (Differences::USER, "U"),
        (Differences::NO_EXECUTE, "NX"),
        (Differences::SIZE, "size"),
        (Differences::MEMORY_TYPE, "type"),
        (Differences::GLOBAL, "G"),
        (Differences::RESERVED, "reserved"),
        (Differences::ACCESSED, "A"),
        (Differences::DIRTY, "D"),
    ];

    /// Whether there are none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether all of `other` are among them.
    pub const fn contains(self, other: Differences) -> bool {
        self.0 & other.0 == other.0
    }

    /// Those in either.
    #[must_use]
    pub const fn and(self, other: Differences) -> Differences {
        Differences(self.0 | other.0)
    }

    const fn when(self, differs: bool) -> Differences {
        if differs { self } else { Differences::NONE }
    }

    /// What differs between two present entries of one level. The CPU writes A and D, so they
    /// count only if `accessed_dirty` is set.
    pub(crate) fn between(left: &Entry, right: &Entry, accessed_dirty: bool) -> Differences {
        let of_kind = match (left.kind, right.kind) {
            (Kind::Reserved { bits: left }, Kind::Reserved { bits: right }) => {
                return Differences::RESERVED.when(left != right);
            }
            (Kind::Reserved { .. }, _) | (_, Kind::Reserved { .. }) => {
                return Differences::RESERVED;
            }
            (Kind::Page { at: a, .. }, Kind::Page { at: b, .. }) => Differences::FRAME
                .when(a != b)
                .and(Differences::GLOBAL.when(left.global() != right.global()))
                .and(Differences::DIRTY.when(accessed_dirty && left.dirty() != right.dirty())),
            (Kind::Page { .. }, _) | (_, Kind::Page { .. }) => Differences::SIZE,
            _ => Differences::NONE,
        };
        let is_like = !of_kind.contains(Differences::SIZE);
        of_kind
            .and(Differences::WRITE.when(left.writable() != right.writable()))
            .and(Differences::USER.when(left.user() != right.user()))
            .and(Differences::NO_EXECUTE.when(left.no_execute() != right.no_execute()))
            .and(Differences::MEMORY_TYPE.when(is_like && left.pat_index() != right.pat_index()))
            .and(Differences::ACCESSED.when(accessed_dirty && left.accessed() != right.accessed()))
    }
}

impl fmt::Display for Differences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut gap = "";
        for (_, name) in Self::NAMES.iter().filter(|(one, _)| self.contains(*one)) {
            write!(f, "{gap}{name}")?;
            gap = " ";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Level, Paging};
    use std::string::ToString;

    fn between(level: Level, left: u64, right: u64, accessed_dirty: bool) -> std::string::String {
        let paging = Paging::four_level(40);
        let (left, right) = (paging.decode(left, level), paging.decode(right, level));
        let there = Differences::between(&left, &right, accessed_dirty);
        let back = Differences::between(&right, &left, accessed_dirty);
        assert_eq!(there, back, "the order does not matter");
        there.to_string()
    }

    #[test]
    fn each_bit_the_cpu_heeds_has_its_name() {
        let all = (1 << 63) | 0x1000 | 0b1_1001_1110;
        assert_eq!(
            between(Level::Pt, 0x7_3001, 0x7_3001 ^ all, false),
            "frame W U NX type G"
        );
        assert_eq!(between(Level::Pd, 0x2007, 0x20_0087, false), "size");
        assert_eq!(between(Level::Pd, 0x20_0083, 0x20_1083, false), "type");
        assert_eq!(between(Level::Pd, 0x20_0083, 0x20_2083, false), "reserved");
        assert_eq!(between(Level::Pml4, 0x2087, 0x2085, false), "");
    }

    #[test]
    fn what_the_cpu_writes_or_ignores_does_not_count_unless_asked_for() {
        let ignored = 0x7ff0_0000_0000_0e00;
        let written = Entry::ACCESSED | Entry::DIRTY;
        assert_eq!(between(Level::Pt, 1, 1 | ignored | written, false), "");
        assert_eq!(between(Level::Pt, 1, 1 | ignored | written, true), "A D");
        // Dirty and Global mean nothing where a table is referenced.
        let more = ignored | written | Entry::GLOBAL;
        assert_eq!(between(Level::Pd, 0x2001, 0x2001 | more, true), "A");
    }

    #[test]
    fn tables_in_other_frames_are_no_difference_by_themselves() {
        assert_eq!(between(Level::Pdpt, 0x2007, 0x3007, true), "");
        assert_eq!(between(Level::Pdpt, 0x2007, 0x300f, true), "type");
    }
}
