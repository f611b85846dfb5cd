//! Everything a set of tables maps, page by page, in ascending order of address.
//!
//! The iterator keeps its place in a handful of words a level: it does not allocate, does
//! not recurse, and holds no copy of a table. It reads each entry of each table it enters
//! once and looks only at tables that exist and that the range asked for touches. What cannot
//! be followed is a row as well: a report with a named hole in it beats no report.

use core::iter::FusedIterator;

use crate::{
    Entry, Kind, Level, MemoryType, PageSize, Paging, PhysAddr, PhysMemory, ReadError, Rights,
    VirtAddr,
};

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
    const fn canonical(self, paging: &Paging) -> Range {
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

/// One page that is mapped.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Leaf {
    /// The first address of the page.
    pub va: VirtAddr,
    /// The physical address of the page.
    pub at: PhysAddr,
    /// The size of the page.
    pub size: PageSize,
    /// The effective rights, over all levels.
    pub rights: Rights,
    /// The memory type the tables choose through the PAT.
    pub memory_type: MemoryType,
    /// The entry that maps it.
    pub entry: Entry,
    /// The physical address of the table that entry is in.
    pub table: PhysAddr,
    /// Which entry of that table it is, 0..512.
    pub index: u16,
}

impl Leaf {
    /// The last address of the page.
    pub const fn last(&self) -> VirtAddr {
        VirtAddr(self.va.0 | (self.size.bytes() - 1))
    }
}

/// Addresses about which the tables say nothing that can be followed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Hole {
    /// The first address.
    pub va: VirtAddr,
    /// How many bytes of address space it covers: that of one entry, or of several in a row
    /// that could not be read for the same reason.
    pub span: u64,
    /// The level of the table with the entry, or the first of the entries.
    pub level: Level,
    /// The physical address of that table.
    pub table: PhysAddr,
    /// Which entry of that table it is, 0..512.
    pub index: u16,
    /// What the matter is.
    pub why: HoleWhy,
}

impl Hole {
    /// The last address.
    pub const fn last(&self) -> VirtAddr {
        VirtAddr(self.va.0.wrapping_add(self.span.wrapping_sub(1)))
    }

    /// The physical address of the entry, or the first of the entries.
    pub const fn entry_address(&self) -> PhysAddr {
        entry_address(self.table, self.index)
    }
}

/// Why there is a hole.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum HoleWhy {
    /// The entry is present and malformed.
    Reserved {
        /// The offending bits, in their places.
        bits: u64,
    },
    /// The entry could not be read. This says nothing about the mapping. A table without
    /// memory is one such hole (a top table two: one for each canonical half).
    Unreadable(ReadError),
    /// The entry references a table that is already on the path to it. A recursive mapping
    /// does that on purpose. The CPU would go on; here the entry is one row.
    Loop,
}

/// One row of the answer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Item {
    /// A page that is mapped.
    Leaf(Leaf),
    /// What could not be followed.
    Hole(Hole),
}

/// What a bounded amount of work came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress<T> {
    /// The next row.
    Row(T),
    /// No row yet; ask again. Tables can be many and hold nothing.
    Working,
    /// There are no more rows.
    Done,
}

/// The number of entries [`Leaves::advance`] and [`Runs::advance`](crate::Runs::advance) look
/// at before they answer [`Progress::Working`], about.
pub(crate) const PATIENCE: u32 = 4096;

const fn entry_address(table: PhysAddr, index: u16) -> PhysAddr {
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
    lost: bool,
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
        lost: false,
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
        if self.lost {
            return Err(ReadError::Lost);
        }
        let read = self.memory.read_u64(entry_address(table.at, index));
        // Once lost is lost: asking thousands of times more could take a time-out each.
        self.lost = read == Err(ReadError::Lost);
        read
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
