//! The tables themselves: which frames a tree is made of, and at which level.
//!
//! Come here to learn what an address space costs, or which of its tables others have, too.
//! Entries of page tables are not read: there are no tables below them. Unlike
//! [`Leaves`](crate::Leaves), the memory is handed over with each call, so that whoever asks can
//! look elsewhere in between.

use crate::leaves::{PATIENCE, entry_address};
use crate::memory::Lost;
use crate::{
    Hole, HoleWhy, Kind, Level, Paging, PhysAddr, PhysMemory, Progress, ReadError, VirtAddr,
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

/// A table whose entries are being looked at.
#[derive(Clone, Copy, Debug)]
struct Entered {
    table: Table,
    next: u16,
    /// Entry `next`, if it has been read already.
    ahead: Option<Result<u64, ReadError>>,
}

/// All tables of a tree, each before those below it, in ascending order of address.
#[derive(Clone, Debug)]
pub struct Tables {
    paging: Paging,
    path: [Option<Entered>; 5],
    depth: usize,
    /// The top table, until it has been told.
    top: Option<Table>,
    /// Whether the last thing that was done was to go down into the table told.
    entered: bool,
    lost: Lost,
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
            paging,
            path: [None; 5],
            depth: 0,
            top: Some(top),
            entered: false,
            lost: Lost::default(),
        }
    }

    /// Does a bounded amount of work: some thousand reads at most, or until there is a row.
    pub fn advance(&mut self, memory: &mut dyn PhysMemory) -> Progress<TableItem> {
        if let Some(top) = self.top.take() {
            self.enter(top);
            return Progress::Row(TableItem::Table(top));
        }
        self.entered = false;
        for _ in 0..PATIENCE {
            match self.turn(memory) {
                Progress::Working => {}
                other => return other,
            }
        }
        Progress::Working
    }

    /// Leaves out what is below the table that was told last.
    pub fn skip(&mut self) {
        if core::mem::take(&mut self.entered) {
            self.depth -= 1;
        }
    }

    fn turn(&mut self, memory: &mut dyn PhysMemory) -> Progress<TableItem> {
        let mut lost = self.lost;
        let top = self.paging.top();
        let above = self.depth.checked_sub(1);
        let Some(entered) = above.and_then(|at| self.path.get_mut(at)?.as_mut()) else {
            return Progress::Done;
        };
        let (table, index) = (entered.table, entered.next);
        if index > 511 {
            self.depth -= 1;
            return Progress::Working;
        }
        let mut read = |index| lost.or(|| memory.read_u64(entry_address(table.at, index)));
        let found = entered.ahead.take().unwrap_or_else(|| read(index));
        entered.next += 1;
        let mut hole = Hole {
            va: table.va,
            span: table.level.span(),
            level: table.level,
            table: table.at,
            index,
            why: HoleWhy::Loop,
        };
        if let Err(why) = found {
            // Those right after it that cannot be read for the same reason are part of it; the
            // addresses of the two halves of a top table do not adjoin.
            while entered.next < 512 && !(table.level == top && entered.next == 256) {
                match read(entered.next) {
                    Err(other) if other.is_like(why) => hole.span += table.level.span(),
                    different => {
                        entered.ahead = Some(different);
                        break;
                    }
                }
                entered.next += 1;
            }
            hole.why = HoleWhy::Unreadable(why);
        }
        self.lost = lost;
        let offset = table
            .va
            .0
            .wrapping_add(u64::from(index) * table.level.span());
        hole.va = self.paging.sign_extend(offset);
        let Ok(raw) = found else {
            return Progress::Row(TableItem::Hole(hole));
        };
        match (
            self.paging.decode(raw, table.level).kind,
            table.level.next(),
        ) {
            (Kind::Table { at }, Some(level)) => {
                let is_loop = |entered: &Entered| entered.table.at == at;
                if self.path.iter().take(self.depth).flatten().any(is_loop) {
                    return Progress::Row(TableItem::Hole(hole));
                }
                let va = hole.va;
                let below = Table { at, level, va };
                self.enter(below);
                Progress::Row(TableItem::Table(below))
            }
            (Kind::Reserved { bits }, _) => {
                hole.why = HoleWhy::Reserved { bits };
                Progress::Row(TableItem::Hole(hole))
            }
            _ => Progress::Working,
        }
    }

    /// Goes down into a table, unless there are none below it.
    fn enter(&mut self, table: Table) {
        if table.level.next().is_none() {
            return;
        }
        if let Some(slot) = self.path.get_mut(self.depth) {
            *slot = Some(Entered {
                table,
                next: 0,
                ahead: None,
            });
            self.depth += 1;
            self.entered = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Entry, PageSize, Simulated};
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
