//! Two sets of tables side by side: what they share, what is alike, and which entry differs in
//! what.
//!
//! Come here to ask whether the kernel's half of a process is the master's, or what a step
//! changed. Like [`Leaves`](crate::Leaves), the iterator does not allocate and does not recurse;
//! it reads each entry of each table it enters once a side, and skips what both sides share.
//! What cannot be followed is a row, and never a difference.

use core::iter::FusedIterator;

use crate::leaves::{PATIENCE, entry_address};
use crate::memory::Lost;
use crate::{
    Entry, Level, Paging, PhysAddr, PhysMemory, Progress, Range, ReadError, Side, SideBySide,
};

mod differences;
mod open;
mod row;
mod slots;
mod visit;

pub use differences::Differences;
use open::Open;
pub use row::{Compared, DiffRow, PageCounts, Place};
use slots::Slot;
pub use slots::Slots;

/// What to compare, and how closely.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct DiffOptions {
    /// Only entries that this range touches.
    pub range: Range,
    /// Accessed and Dirty count. The CPU writes them behind everybody's back, so every
    /// comparison of live tables would be noisy.
    pub accessed_dirty: bool,
    /// Count the pages below tables that both sides share, which costs a look into them.
    pub count_shared: bool,
    /// Where one and the same entry names another table than it did before, say what differs
    /// below the two, instead of that it is the entry that has changed.
    pub below: bool,
}

/// Which of the two tables of a pair are looked into, and what for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Sides {
    /// Both, to compare them.
    Both,
    /// The left one, to count its pages.
    Left,
    /// The right one, likewise.
    Right,
    /// The only one, which both sides share, likewise.
    Same,
}

/// Two tables on the path, at the same place of both trees.
#[derive(Clone, Copy, Debug)]
struct Pair {
    sides: Sides,
    tables: [PhysAddr; 2],
    level: Level,
    /// The address that entry 0 stands for, not sign-extended.
    base: u64,
    next: u16,
    last: u16,
    /// The entries that reference the two; none at the top.
    through: Option<[Place; 2]>,
    /// Whether anything has been said about them or what is below.
    touched: bool,
    /// Whether the last entry could not be read. Used when counting.
    gap: bool,
}

/// The two entries that are being looked at.
#[derive(Clone, Copy)]
struct Spot {
    level: Level,
    offset: u64,
    places: [Place; 2],
}

/// The iterator that [`diff`] and [`diff_sides`] make.
pub struct Diff<M> {
    memory: M,
    paging: Paging,
    options: DiffOptions,
    /// One more than there are levels: two tables are counted one above the other.
    path: [Option<Pair>; 6],
    /// How many pairs of the path are in use.
    depth: usize,
    open: Option<Open>,
    /// Rows that are whole: one entry can finish two.
    held: [Option<DiffRow>; 2],
    slot: Option<Slot>,
    slots: [Slots; 2],
    lost: Lost,
}

/// What the tables at `left` and `right` have in common and what not, in ascending order of
/// address. A row about an entry comes before those about what is below it. See
/// [`leaves`](crate::leaves) for roots, ranges and what bounds the time it takes.
pub fn diff<'m>(
    memory: &'m mut (dyn PhysMemory + 'm),
    paging: Paging,
    left: PhysAddr,
    right: PhysAddr,
    options: DiffOptions,
) -> Diff<&'m mut (dyn PhysMemory + 'm)> {
    diff_sides(memory, paging, left, right, options)
}

/// Like [`diff`], with a memory for each side, so that tables can be compared with what they
/// were earlier. The same frame on both sides counts as shared only where it is the same memory
/// as well; otherwise it is looked into.
pub fn diff_sides<M: SideBySide>(
    memory: M,
    paging: Paging,
    left: PhysAddr,
    right: PhysAddr,
    options: DiffOptions,
) -> Diff<M> {
    let range = options.range.canonical(&paging);
    let mut diff = Diff {
        memory,
        paging,
        options: DiffOptions { range, ..options },
        path: [None; 6],
        depth: 0,
        open: None,
        held: [None; 2],
        slot: None,
        slots: [Slots::default(); 2],
        lost: Lost::default(),
    };
    if range.first <= range.last {
        diff.begin([paging.root(left), paging.root(right)]);
    }
    diff
}

impl<M: SideBySide> Diff<M> {
    /// Does a bounded amount of work: some thousand reads at most, or until there is a row.
    pub fn advance(&mut self) -> Progress<DiffRow> {
        for _ in 0..PATIENCE {
            match self.turn() {
                Progress::Working => {}
                other => return other,
            }
        }
        Progress::Working
    }

    /// The top-level entries of the lower and the upper half that have been dealt with; all of
    /// them that the range touches, once there are no more rows.
    pub fn slots(&self) -> [Slots; 2] {
        self.slots
    }

    fn begin(&mut self, roots: [PhysAddr; 2]) {
        let [left, right] = roots;
        let top = self.paging.top();
        if left != right || !self.memory.is_same_memory(left) {
            self.enter(roots, Sides::Both, top, 0, None);
            return;
        }
        // One table: every slot is shared, and none needs to be read.
        let Range { first, last } = self.options.range;
        let (low, high) = (top.index(first) as u64, top.index(last) as u64);
        let lower = if low < 256 {
            high.min(255) + 1 - low
        } else {
            0
        };
        let [below, above] = &mut self.slots;
        below.add(Slot::Shared, lower);
        above.add(Slot::Shared, high + 1 - low - lower);
        let row = DiffRow {
            first,
            last,
            kind: Compared::Shared,
            level: top,
            left: None,
            right: None,
            entries: high + 1 - low,
            left_pages: PageCounts::default(),
            right_pages: PageCounts::default(),
            uncounted: u64::from(!self.options.count_shared),
            holes: 0,
        };
        self.open = Some(Open {
            row,
            slot: low as u16,
            is_top: true,
            names: [None; 4],
        });
        if self.options.count_shared {
            self.enter(roots, Sides::Same, top, 0, None);
        }
    }

    /// Visits one pair of entries.
    fn turn(&mut self) -> Progress<DiffRow> {
        if let Some(row) = self.held() {
            return Progress::Row(row);
        }
        let is_top = self.depth == 1;
        let Some(pair) = self.current() else {
            return self.close().map_or(Progress::Done, Progress::Row);
        };
        let (sides, level, [left, right]) = (pair.sides, pair.level, pair.tables);
        let index = pair.next;
        let offset = pair.base + u64::from(index) * level.span();
        let is_past = index > pair.last;
        pair.next += 1;
        if is_top && sides == Sides::Both {
            self.next_slot(index, is_past);
        }
        if is_past {
            self.leave();
            return self.held().map_or(Progress::Working, Progress::Row);
        }
        match sides {
            Sides::Both => {
                let l = self.read(Side::Left, left, index);
                let r = self.read(Side::Right, right, index);
                if let (Ok(l), Ok(r)) = (l, r)
                    && (l | r) & Entry::PRESENT == 0
                {
                    return Progress::Working;
                }
                let place = |table, read: Result<u64, ReadError>| Place {
                    table,
                    index,
                    raw: read.ok(),
                };
                let spot = Spot {
                    level,
                    offset,
                    places: [place(left, l), place(right, r)],
                };
                self.compare(&spot, l, r)
            }
            Sides::Left | Sides::Same => self.count(sides, level, offset, left, index),
            Sides::Right => self.count(sides, level, offset, right, index),
        }
        self.held().map_or(Progress::Working, Progress::Row)
    }

    fn held(&mut self) -> Option<DiffRow> {
        let [first, second] = &mut self.held;
        first.take().or_else(|| second.take())
    }

    fn current(&mut self) -> Option<&mut Pair> {
        self.path.get_mut(self.depth.checked_sub(1)?)?.as_mut()
    }

    fn read(&mut self, side: Side, table: PhysAddr, index: u16) -> Result<u64, ReadError> {
        let at = entry_address(table, index);
        self.lost.or(|| self.memory.read_u64(side, at))
    }

    /// Counts the top-level entry before this one, and begins with this one.
    fn next_slot(&mut self, index: u16, is_past: bool) {
        if let Some(slot) = self.slot.take() {
            let [lower, upper] = &mut self.slots;
            let half = if index <= 256 { lower } else { upper };
            half.add(slot, 1);
        }
        if !is_past {
            self.slot = Some(Slot::Shared);
        }
    }
}

impl<M: SideBySide> Iterator for Diff<M> {
    type Item = DiffRow;

    fn next(&mut self) -> Option<DiffRow> {
        loop {
            match self.advance() {
                Progress::Row(row) => return Some(row),
                Progress::Working => {}
                Progress::Done => return None,
            }
        }
    }
}

impl<M: SideBySide> FusedIterator for Diff<M> {}

#[cfg(test)]
mod tests;
