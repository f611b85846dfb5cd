//! The entries of the top table, counted by what became of them.

/// Top-level entries (slots) of one half of the address space, two tables side by side.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Slots {
    /// How many were looked at.
    pub total: u64,
    /// How many reference the same table in the same way, or are empty on both sides.
    pub shared: u64,
    /// How many reference other tables with the same content.
    pub equal: u64,
    /// How many differ, somewhere.
    pub differing: u64,
    /// How many could not be compared to the end, and do not differ as far as they could.
    pub unknown: u64,
}

/// What is known about one slot; the worst counts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Slot {
    Shared,
    Equal,
    Unknown,
    Differs,
}

impl Slots {
    pub(super) fn add(&mut self, slot: Slot, count: u64) {
        let counter = match slot {
            Slot::Shared => &mut self.shared,
            Slot::Equal => &mut self.equal,
            Slot::Unknown => &mut self.unknown,
            Slot::Differs => &mut self.differing,
        };
        *counter += count;
        self.total += count;
    }
}
