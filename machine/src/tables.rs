//! The tables themselves: which frames a tree is made of, and at which level.
//!
//! Come here to learn what an address space costs, or which of its tables others have, too.
//! Entries of page tables are not read: there are no tables below them. These are those among
//! [`Entries`] that name a table, and what cannot be followed. Unlike
//! [`Leaves`](crate::Leaves), the memory is handed over with each call, so that whoever asks can
//! look elsewhere in between.

use crate::leaves::PATIENCE;
use crate::{
    Entries, EntryItem, Hole, HoleWhy, Kind, Level, Paging, PhysAddr, PhysMemory, Present,
    Progress, VirtAddr,
};

/// One table of a tree.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Table {
    /// Its frame.
    pub at: PhysAddr,
    /// Its level.
    pub level: Level,
    /// The first address that its entries stand for.
    pub va: VirtAddr,
}

/// What comes up on the way through the tables.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum TableItem {
    /// A table. One that several entries name comes up for each of them.
    Table(Table),
    /// What could not be followed.
    Hole(Hole),
}

/// All tables of a tree, each before those below it, in ascending order of address.
#[derive(Clone, Debug)]
pub struct Tables {
    entries: Entries,
    /// The top table, until it has been told.
    top: Option<Table>,
}

impl Tables {
    /// The tables of the tree at `root`, which may be a value of CR3 as it is.
    pub fn new(paging: Paging, root: PhysAddr) -> Tables {
        let top = Table {
            at: paging.root(root),
            level: paging.top(),
            va: VirtAddr(0),
        };
        Tables {
            entries: Entries::new(paging, root),
            top: Some(top),
        }
    }

    /// Does a bounded amount of work: some thousand reads at most, or until there is a row.
    pub fn advance(&mut self, memory: &mut dyn PhysMemory) -> Progress<TableItem> {
        if let Some(top) = self.top.take() {
            return Progress::Row(TableItem::Table(top));
        }
        for _ in 0..PATIENCE {
            let item = match self.entries.turn(memory) {
                Progress::Row(EntryItem::Present(present)) => self.told(&present),
                Progress::Row(EntryItem::Hole(hole)) => Some(TableItem::Hole(hole)),
                Progress::Working => None,
                Progress::Done => return Progress::Done,
            };
            if let Some(item) = item {
                return Progress::Row(item);
            }
        }
        Progress::Working
    }

    /// Leaves out what is below the table that was told last.
    pub fn skip(&mut self) {
        self.entries.pass_over();
    }

    /// What there is to tell of an entry.
    fn told(&mut self, present: &Present) -> Option<TableItem> {
        let why = match present.entry.kind {
            Kind::Table { at } if !present.is_loop => {
                let level = present.entry.level.next()?;
                if level.next().is_none() {
                    self.entries.pass_over();
                }
                let va = present.va;
                return Some(TableItem::Table(Table { at, level, va }));
            }
            Kind::Table { .. } => HoleWhy::Loop,
            Kind::Reserved { bits } => HoleWhy::Reserved { bits },
            Kind::Absent | Kind::Page { .. } => return None,
        };
        // It may name a table all the same.
        self.entries.pass_over();
        Some(TableItem::Hole(Hole {
            va: present.va,
            span: present.entry.level.span(),
            level: present.entry.level,
            table: present.table,
            index: present.index,
            why,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Entry, PageSize, ReadError, Simulated};
    use std::vec::Vec;

    const ROOT: PhysAddr = PhysAddr(0x1000);
    const HIGH: u64 = 0xffff_8000_0000_0000;

    fn machine() -> Simulated {
        Simulated::new(Paging::four_level(40), ROOT)
    }

    fn list(machine: &mut Simulated) -> Vec<TableItem> {
        let mut tables = Tables::new(machine.paging, ROOT);
        let next = || match tables.advance(machine) {
            Progress::Row(item) => Some(item),
            _ => None,
        };
        core::iter::from_fn(next).collect()
    }

    fn table(at: u64, level: Level, va: u64) -> TableItem {
        let (at, va) = (PhysAddr(at), VirtAddr(va));
        TableItem::Table(Table { at, level, va })
    }

    #[test]
    fn each_table_comes_before_those_below_it_and_page_tables_are_not_read() {
        let mut machine = machine();
        let small = PageSize::Size4K;
        machine.map(VirtAddr(HIGH), PhysAddr(0), PageSize::Size2M, 0);
        machine.map(VirtAddr(0x20_0000), PhysAddr(0), small, 0);
        machine.map(VirtAddr(0x20_1000), PhysAddr(0), small, 0);
        machine.reads = 0;
        let expected = [
            table(0x1000, Level::Pml4, 0),
            table(0x4000, Level::Pdpt, 0),
            table(0x5000, Level::Pd, 0),
            table(0x6000, Level::Pt, 0x20_0000),
            table(0x2000, Level::Pdpt, HIGH),
            table(0x3000, Level::Pd, HIGH),
        ];
        assert_eq!(list(&mut machine), expected);
        assert_eq!(machine.reads, 5 * 512);
    }

    #[test]
    fn what_cannot_be_followed_is_a_row() {
        let mut machine = machine();
        for (slot, raw) in [(0, 0x9_9007), (1, 0x2087), (2, ROOT.0 | 7)] {
            machine.write_u64(PhysAddr(ROOT.0 + slot * 8), raw);
        }
        let whys: Vec<_> = list(&mut machine)
            .into_iter()
            .filter_map(|item| match item {
                TableItem::Hole(hole) => Some((hole.why, hole.va.0, hole.span)),
                TableItem::Table(_) => None,
            })
            .collect();
        let at = PhysAddr(0x9_9000);
        let missing = HoleWhy::Unreadable(ReadError::NoMemory { at });
        let reserved = HoleWhy::Reserved { bits: 0x80 };
        let size = 1 << 39;
        assert_eq!(
            whys,
            [
                (missing, 0, size),
                (reserved, size, size),
                (HoleWhy::Loop, 2 * size, size)
            ]
        );
    }

    #[test]
    fn a_lost_machine_is_not_asked_again() {
        let mut machine = machine();
        machine.lose();
        assert_eq!(
            list(&mut machine).len(),
            3,
            "the top, and a hole for each half"
        );
        assert_eq!(machine.reads, 1);
    }

    #[test]
    fn a_table_under_two_entries_comes_up_twice() {
        let mut machine = machine();
        machine.add_ram(PhysAddr(0x2000), 0x1000);
        for slot in [0, 1] {
            machine.write_u64(PhysAddr(ROOT.0 + slot * 8), 0x2000 | Entry::PRESENT);
        }
        assert_eq!(list(&mut machine).len(), 3);
    }
}
