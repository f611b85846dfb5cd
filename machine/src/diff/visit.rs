//! What to make of two entries side by side, and of those that are only counted.

use super::open::{Name, Open};
use super::{Compared, Diff, DiffRow, Differences, PageCounts, Pair, Place, Sides, Slot, Spot};
use crate::{
    Entry, HoleWhy, Kind, Level, PageSize, PhysAddr, ReadError, Side, SideBySide, VirtAddr,
};

impl<M: SideBySide> Diff<M> {
    /// Says what there is to say about two entries, and enters the tables they reference if
    /// more has to be known.
    pub(super) fn compare(
        &mut self,
        spot: &Spot,
        left: Result<u64, ReadError>,
        right: Result<u64, ReadError>,
    ) {
        let (Ok(left), Ok(right)) = (left, right) else {
            let why = |read: Result<u64, _>| read.err().map(HoleWhy::Unreadable);
            self.say(spot, Compared::Unknown(why(left), why(right)));
            return;
        };
        let left = self.paging.decode(left, spot.level);
        let right = self.paging.decode(right, spot.level);
        match (left.is_present(), right.is_present()) {
            (true, true) => self.compare_present(spot, &left, &right),
            (true, false) => {
                self.say(spot, Compared::OnlyLeft);
                self.look_below(spot, &left, Sides::Left);
            }
            (false, true) => {
                self.say(spot, Compared::OnlyRight);
                self.look_below(spot, &right, Sides::Right);
            }
            (false, false) => {}
        }
    }

    fn compare_present(&mut self, spot: &Spot, left: &Entry, right: &Entry) {
        let what = Differences::between(left, right, self.options.accessed_dirty);
        let or_differs = |alike: Compared| match what.is_empty() {
            true => alike,
            false => Compared::Differs(what),
        };
        match (left.kind, right.kind) {
            (Kind::Table { at }, Kind::Table { at: other })
                if at == other && self.memory.is_same_memory(at) =>
            {
                self.say(spot, or_differs(Compared::Shared));
                match self.options.count_shared {
                    true => self.look_below(spot, left, Sides::Same),
                    false => self.grow(|row| row.uncounted += 1),
                }
            }
            (Kind::Table { at: a }, Kind::Table { at: b }) => {
                let [here, there] = spot.places;
                if here.table == there.table && a != b && !self.options.below {
                    // The same entry, at two times.
                    return self.name_entry(spot, left, right, what);
                }
                if !what.is_empty() {
                    self.say(spot, Compared::Differs(what));
                }
                let why = |is_loop: bool| is_loop.then_some(HoleWhy::Loop);
                let whys = (why(self.is_on_path(a, 0)), why(self.is_on_path(b, 1)));
                match (whys, spot.level.next()) {
                    ((None, None), Some(level)) => {
                        self.enter([a, b], Sides::Both, level, spot.offset, Some(spot.places));
                        self.raise(Slot::Equal);
                        if let Some(pair) = self.current() {
                            pair.touched = !what.is_empty();
                        }
                    }
                    ((left, right), _) => self.say(spot, Compared::Unknown(left, right)),
                }
            }
            (Kind::Reserved { bits: a }, Kind::Reserved { bits: b }) => {
                let whys = [a, b].map(|bits| Some(HoleWhy::Reserved { bits }));
                self.say(spot, or_differs(Compared::Unknown(whys[0], whys[1])));
            }
            (Kind::Reserved { .. }, _) | (_, Kind::Reserved { .. }) => {
                self.say(spot, Compared::Differs(what));
            }
            _ => {
                self.say(spot, or_differs(Compared::Equal));
                self.look_below(spot, left, Sides::Left);
                self.look_below(spot, right, Sides::Right);
            }
        }
    }

    /// Says that two entries name different tables, and counts what is below them.
    fn name_entry(&mut self, spot: &Spot, left: &Entry, right: &Entry, what: Differences) {
        self.say(spot, Compared::Differs(what.and(Differences::FRAME)));
        self.look_below(spot, left, Sides::Left);
        self.look_below(spot, right, Sides::Right);
    }

    /// Counts the page that an entry maps, or begins to count those below it, for the row that
    /// is open.
    fn look_below(&mut self, spot: &Spot, entry: &Entry, sides: Sides) {
        match (entry.kind, spot.level.next()) {
            (Kind::Page { size, .. }, _) => self.grow(|row| add(row, sides, size)),
            (Kind::Table { at }, Some(level)) => {
                let side = usize::from(sides == Sides::Right);
                match self.is_on_path(at, side) {
                    true => self.grow(|row| row.holes += 1),
                    false => self.enter(sides.of(at), sides, level, spot.offset, None),
                }
            }
            (Kind::Reserved { .. }, _) => self.grow(|row| row.holes += 1),
            (Kind::Absent, _) | (Kind::Table { .. }, None) => {}
        }
    }

    /// Visits one entry of a table that is only counted.
    pub(super) fn count(
        &mut self,
        sides: Sides,
        level: Level,
        offset: u64,
        table: PhysAddr,
        index: u16,
    ) {
        let side = match sides {
            Sides::Right => Side::Right,
            _ => Side::Left,
        };
        let read = self.read(side, table, index);
        let Some(pair) = self.current() else { return };
        let was_gap = core::mem::replace(&mut pair.gap, read.is_err());
        match read {
            Ok(raw) if raw & Entry::PRESENT == 0 => {}
            Ok(raw) => {
                let entry = self.paging.decode(raw, level);
                let places = [Place {
                    table,
                    index,
                    raw: Some(raw),
                }; 2];
                let spot = Spot {
                    level,
                    offset,
                    places,
                };
                self.look_below(&spot, &entry, sides);
            }
            // A table that is not there is one hole, not 512.
            Err(_) if was_gap => {}
            Err(_) => self.grow(|row| row.holes += 1),
        }
    }

    /// Goes down into tables, to those of their entries that the range touches.
    pub(super) fn enter(
        &mut self,
        tables: [PhysAddr; 2],
        sides: Sides,
        level: Level,
        base: u64,
        through: Option<[Place; 2]>,
    ) {
        // `base` has no sign extension and the range has, so compare what is translated.
        let bits = self.paging.virt_bits();
        let translated = |va: VirtAddr| va.0 & ((1 << bits) - 1);
        let range = &self.options.range;
        let (first, last) = (translated(range.first), translated(range.last));
        let next = match first > base {
            true => level.index(VirtAddr(first)),
            false => 0,
        };
        let end = match last < base + (level.span() * 512 - 1) {
            true => level.index(VirtAddr(last)),
            false => 511,
        };
        if let Some(slot) = self.path.get_mut(self.depth) {
            *slot = Some(Pair {
                sides,
                tables,
                level,
                base,
                next: next as u16,
                last: end as u16,
                through,
                touched: false,
                gap: false,
            });
            self.depth += 1;
        }
    }

    /// Goes back up. About two tables with nothing in them something has to be said, too.
    pub(super) fn leave(&mut self) {
        let Some(pair) = self.current().copied() else {
            return;
        };
        self.depth -= 1;
        if let (Sides::Both, false, Some(places)) = (pair.sides, pair.touched, pair.through)
            && let Some(above) = self.current()
        {
            let spot = Spot {
                level: above.level,
                offset: pair.base,
                places,
            };
            self.say(&spot, Compared::Equal);
        }
    }

    fn is_on_path(&self, at: PhysAddr, side: usize) -> bool {
        self.path
            .iter()
            .take(self.depth)
            .flatten()
            .any(|pair| pair.tables.get(side) == Some(&at))
    }

    /// Changes the row that is open: the last one something was said in.
    fn grow(&mut self, change: impl FnOnce(&mut DiffRow)) {
        if let Some(open) = &mut self.open {
            change(&mut open.row);
        }
    }

    fn raise(&mut self, to: Slot) {
        self.slot = self.slot.max(Some(to));
    }

    /// Says something about two entries: in the open row if it fits there, or in a new one.
    fn say(&mut self, spot: &Spot, kind: Compared) {
        self.raise(match kind {
            Compared::Shared => Slot::Shared,
            Compared::Equal => Slot::Equal,
            Compared::Unknown(..) => Slot::Unknown,
            Compared::Differs(_) | Compared::OnlyLeft | Compared::OnlyRight => Slot::Differs,
        });
        let first = self.paging.sign_extend(spot.offset);
        let [left, right] = spot.places;
        let row = DiffRow {
            first,
            last: VirtAddr(first.0 | (spot.level.span() - 1)),
            kind,
            level: spot.level,
            left: Some(left),
            right: Some(right),
            entries: 1,
            left_pages: PageCounts::default(),
            right_pages: PageCounts::default(),
            uncounted: 0,
            holes: 0,
        };
        let root = self.path.first().copied().flatten();
        let mut names = [None; 4];
        let mut level = self.paging.top();
        let pairs = self.path.iter_mut().take(self.depth).skip(1).flatten();
        for (name, pair) in names.iter_mut().zip(pairs) {
            if let (Some(places), false) = (pair.through, pair.touched) {
                *name = Some(Name {
                    level,
                    base: pair.base,
                    places,
                });
            }
            pair.touched = true;
            level = pair.level;
        }
        let new = Open {
            row,
            slot: root.map_or(0, |root| root.next.saturating_sub(1)),
            is_top: self.depth == 1,
            names,
        };
        if self.open.as_mut().is_some_and(|open| open.take(&new)) {
            return;
        }
        let finished = self.close();
        self.open = Some(new);
        let free = self.held.iter_mut().find(|held| held.is_none());
        if let (Some(free), Some(_)) = (free, &finished) {
            *free = finished;
        }
    }

    /// The open row, finished.
    pub(super) fn close(&mut self) -> Option<DiffRow> {
        let path = &self.path;
        let depth = self.depth;
        let is_open = |name: &Name| {
            path.iter()
                .take(depth)
                .flatten()
                .any(|pair| Some(pair.level) == name.level.next() && pair.base == name.base)
        };
        self.open.take().map(|open| open.close(is_open))
    }
}

impl Sides {
    /// One table, on the sides on which it is looked into.
    fn of(self, table: PhysAddr) -> [PhysAddr; 2] {
        // No entry can name it.
        const NONE: PhysAddr = PhysAddr(u64::MAX);
        match self {
            Sides::Both | Sides::Same => [table; 2],
            Sides::Left => [table, NONE],
            Sides::Right => [NONE, table],
        }
    }
}

fn add(row: &mut DiffRow, sides: Sides, size: PageSize) {
    let one = PageCounts::one(size);
    if sides != Sides::Right {
        row.left_pages = row.left_pages.and(one);
    }
    if matches!(sides, Sides::Right | Sides::Same) {
        row.right_pages = row.right_pages.and(one);
    }
}
