//! Everything a set of tables maps, page by page, in ascending order of address.
//!
//! The iterator keeps its place in a handful of words a level: it does not allocate, does
//! not recurse, and holds no copy of a table. It reads each entry of each table it enters
//! once and looks only at tables that exist and that the range asked for touches. What cannot
//! be followed is a row as well: a report with a named hole in it beats no report.

use core::iter::FusedIterator;

use crate::memory::Lost;
use crate::{
    Hole, HoleWhy, Item, Kind, Leaf, Level, Paging, PhysAddr, PhysMemory, Progress, Range,
    ReadError, Rights, VirtAddr,
};

/// The number of entries [`Leaves::advance`] and [`Runs::advance`](crate::Runs::advance) look
/// at before they answer [`Progress::Working`], about.
pub(crate) const PATIENCE: u32 = 4096;

pub(crate) const fn entry_address(table: PhysAddr, index: u16) -> PhysAddr {
    PhysAddr(table.0.wrapping_add(index as u64 * 8))
}

/// One table on the path: which it is, and which of its entries are still to be visited.
#[derive(Clone, Copy, Debug)]
struct Table {
    at: PhysAddr,
    level: Level,
    /// The address that entry 0 stands for, not sign-extended.
    base: u64,
    next: u16,
    last: u16,
    /// What all entries above allow.
    rights: Rights,
    /// Entry `next`, if it has been read already.
    ahead: Option<Result<u64, ReadError>>,
}

/// The iterator that [`leaves`] makes.
pub struct Leaves<'m> {
    memory: &'m mut (dyn PhysMemory + 'm),
    paging: Paging,
    range: Range,
    path: [Option<Table>; 5],
    /// How many tables of the path are in use.
    depth: usize,
    lost: Lost,
}

/// Every page that the tables at `root` map in `range`, and every hole, in ascending order.
///
/// `root` may be a value of CR3 as it is: see [`Paging::root`]. A page or hole that lies only
/// partly in `range` comes whole, but for unreadable entries outside it, which are not asked
/// for. The gap between the canonical halves is skipped. There is an end to it whatever the
/// tables hold, though tables that share tables can make it far away: whoever wants to stop
/// in between uses [`Leaves::advance`].
pub fn leaves<'m>(
    memory: &'m mut (dyn PhysMemory + 'm),
    paging: Paging,
    root: PhysAddr,
    range: Range,
) -> Leaves<'m> {
    let range = range.canonical(&paging);
    let mut leaves = Leaves {
        memory,
        paging,
        range,
        path: [None; 5],
        depth: 0,
        lost: Lost::default(),
    };
    if range.first <= range.last {
        leaves.enter(paging.root(root), paging.top(), 0, Rights::ALL);
    }
    leaves
}

impl Leaves<'_> {
    /// Does a bounded amount of work: some thousand reads at most, or until there is a row.
    pub fn advance(&mut self) -> Progress<Item> {
        for _ in 0..PATIENCE {
            match self.turn() {
                Progress::Working => {}
                other => return other,
            }
        }
        Progress::Working
    }

    /// Visits one entry.
    pub(crate) fn turn(&mut self) -> Progress<Item> {
        let Some(mut table) = self.current() else {
            return Progress::Done;
        };
        if table.next > table.last {
            self.depth -= 1;
            return Progress::Working;
        }
        let index = table.next;
        let read = match table.ahead.take() {
            Some(read) => read,
            None => self.read(&table, index),
        };
        table.next += 1;
        let row = match read {
            Ok(raw) => {
                self.put(table);
                self.visit(&table, index, raw)
            }
            Err(why) => {
                let hole = self.unreadable(&mut table, index, why);
                self.put(table);
                Some(Item::Hole(hole))
            }
        };
        row.map_or(Progress::Working, Progress::Row)
    }

    fn current(&self) -> Option<Table> {
        self.path.get(self.depth.checked_sub(1)?).copied().flatten()
    }

    fn put(&mut self, table: Table) {
        if let Some(slot) = self
            .depth
            .checked_sub(1)
            .and_then(|top| self.path.get_mut(top))
        {
            *slot = Some(table);
        }
    }

    /// Goes down into a table, to those of its entries that the range touches.
    fn enter(&mut self, at: PhysAddr, level: Level, base: u64, rights: Rights) {
        // `base` has no sign extension and the range has, so compare what is translated.
        let bits = self.paging.virt_bits();
        let translated = |va: VirtAddr| va.0 & ((1 << bits) - 1);
        let size = level.span() * 512;
        let (first, last) = (translated(self.range.first), translated(self.range.last));
        let next = if first > base {
            level.index(VirtAddr(first))
        } else {
            0
        };
        let end = if last < base + (size - 1) {
            level.index(VirtAddr(last))
        } else {
            511
        };
        if let Some(slot) = self.path.get_mut(self.depth) {
            let (next, last) = (next as u16, end as u16);
            *slot = Some(Table {
                at,
                level,
                base,
                next,
                last,
                rights,
                ahead: None,
            });
            self.depth += 1;
        }
    }

    fn read(&mut self, table: &Table, index: u16) -> Result<u64, ReadError> {
        let at = entry_address(table.at, index);
        self.lost.or(|| self.memory.read_u64(at))
    }

    /// What to make of an entry that has been read.
    fn visit(&mut self, table: &Table, index: u16, raw: u64) -> Option<Item> {
        let entry = self.paging.decode(raw, table.level);
        let offset = table.base + u64::from(index) * table.level.span();
        let rights = table.rights.and(entry.rights());
        match (entry.kind, table.level.next()) {
            (Kind::Absent, _) | (Kind::Table { .. }, None) => None,
            (Kind::Page { at, size }, _) => Some(Item::Leaf(Leaf {
                va: self.paging.sign_extend(offset),
                at,
                size,
                rights,
                memory_type: self.paging.memory_type(&entry),
                entry,
                table: table.at,
                index,
            })),
            (Kind::Reserved { bits }, _) => Some(Item::Hole(self.hole(
                table,
                index,
                HoleWhy::Reserved { bits },
            ))),
            (Kind::Table { at }, Some(_)) if self.is_on_path(at) => {
                Some(Item::Hole(self.hole(table, index, HoleWhy::Loop)))
            }
            (Kind::Table { at }, Some(next)) => {
                self.enter(at, next, offset, rights);
                None
            }
        }
    }

    fn is_on_path(&self, at: PhysAddr) -> bool {
        self.path
            .iter()
            .take(self.depth)
            .flatten()
            .any(|table| table.at == at)
    }

    /// The hole of one entry.
    fn hole(&self, table: &Table, index: u16, why: HoleWhy) -> Hole {
        let offset = table.base + u64::from(index) * table.level.span();
        Hole {
            va: self.paging.sign_extend(offset),
            span: table.level.span(),
            level: table.level,
            table: table.at,
            index,
            why,
        }
    }

    /// The hole of an entry that could not be read, together with those right after it that
    /// cannot be read for the same reason.
    fn unreadable(&mut self, table: &mut Table, index: u16, why: ReadError) -> Hole {
        let mut hole = self.hole(table, index, HoleWhy::Unreadable(why));
        while table.next <= table.last {
            // The addresses of the two halves of a top table do not adjoin.
            if table.level == self.paging.top() && table.next == 256 {
                break;
            }
            match self.read(table, table.next) {
                Err(other) if other.is_like(why) => hole.span += table.level.span(),
                different => {
                    table.ahead = Some(different);
                    break;
                }
            }
            table.next += 1;
        }
        hole
    }
}

impl Iterator for Leaves<'_> {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        loop {
            match self.advance() {
                Progress::Row(item) => return Some(item),
                Progress::Working => {}
                Progress::Done => return None,
            }
        }
    }
}

impl FusedIterator for Leaves<'_> {}

#[cfg(test)]
mod tests;
