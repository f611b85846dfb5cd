//! Every entry of a tree that is in use, tables and pages alike, with where it is.
//!
//! Come here to account for frames: who names this one, and is every table named by somebody who
//! may? [`Leaves`](crate::Leaves) shows what can be used and skips what is malformed; here a
//! malformed entry counts, too, for it still holds the frame it names. The memory is handed over
//! with each call, and a table can be passed over, so that one that many trees have is read once.

use crate::leaves::{PATIENCE, entry_address};
use crate::memory::Lost;
use crate::{
    Entry, Hole, HoleWhy, Kind, Level, Paging, PhysAddr, PhysMemory, Progress, ReadError, Rights,
    VirtAddr,
};

/// An entry that is present.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Present {
    /// The first address it stands for.
    pub va: VirtAddr,
    /// The table it is in.
    pub table: PhysAddr,
    /// Which of its entries, 0..512.
    pub index: u16,
    /// The entry, with its level.
    pub entry: Entry,
    /// What it names: [`Entry::kind`], and of a malformed entry what it would name without the
    /// bits that are reserved.
    pub names: Kind,
    /// What it and all entries above it allow together.
    pub rights: Rights,
    /// It names a table that is on the path to it. That one is not entered again.
    pub is_loop: bool,
}

impl Present {
    /// The physical address of the entry itself.
    pub const fn entry_address(&self) -> PhysAddr {
        entry_address(self.table, self.index)
    }
}

/// What comes up on the way through the entries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EntryItem {
    /// An entry that is present. The table that it names, if it names one, comes next, unless
    /// [`Entries::pass_over`] is called.
    Present(Present),
    /// Entries that could not be read.
    Hole(Hole),
}

/// A table whose entries are being looked at.
#[derive(Clone, Copy, Debug)]
struct Entered {
    at: PhysAddr,
    level: Level,
    /// The address that entry 0 stands for, not sign-extended.
    base: u64,
    next: u16,
    rights: Rights,
    /// Entry `next`, if it has been read already.
    ahead: Option<Result<u64, ReadError>>,
}

/// All entries of a tree that are present, in ascending order of address, each before those of
/// the table it names.
#[derive(Clone, Debug)]
pub struct Entries {
    paging: Paging,
    path: [Option<Entered>; 5],
    depth: usize,
    /// The table that the last entry named.
    below: Option<Entered>,
    lost: Lost,
}

impl Entries {
    /// The entries of the tree at `root`, which may be a value of CR3 as it is.
    pub fn new(paging: Paging, root: PhysAddr) -> Entries {
        let top = Entered {
            at: paging.root(root),
            level: paging.top(),
            base: 0,
            next: 0,
            rights: Rights::ALL,
            ahead: None,
        };
        Entries {
            paging,
            path: [None; 5],
            depth: 0,
            below: Some(top),
            lost: Lost::default(),
        }
    }

    /// Leaves out the table that the last entry named.
    pub fn pass_over(&mut self) {
        self.below = None;
    }

    /// Does a bounded amount of work: some thousand reads at most, or until there is a row.
    pub fn advance(&mut self, memory: &mut dyn PhysMemory) -> Progress<EntryItem> {
        for _ in 0..PATIENCE {
            match self.turn(memory) {
                Progress::Working => {}
                other => return other,
            }
        }
        Progress::Working
    }

    /// Looks at one entry.
    pub(crate) fn turn(&mut self, memory: &mut dyn PhysMemory) -> Progress<EntryItem> {
        if let Some(below) = self.below.take()
            && let Some(slot) = self.path.get_mut(self.depth)
        {
            *slot = Some(below);
            self.depth += 1;
        }
        let above = self.depth.checked_sub(1);
        let Some(mut table) = above.and_then(|at| self.path.get(at).copied().flatten()) else {
            return Progress::Done;
        };
        let index = table.next;
        if index > 511 {
            self.depth -= 1;
            return Progress::Working;
        }
        let ahead = table.ahead.take();
        let found = ahead.unwrap_or_else(|| self.read(memory, entry_address(table.at, index)));
        table.next += 1;
        let offset = table.base + u64::from(index) * table.level.span();
        let row = match found {
            Ok(raw) => self.present(&table, index, offset, raw),
            Err(why) => Some(EntryItem::Hole(
                self.unreadable(memory, &mut table, index, offset, why),
            )),
        };
        if let Some(slot) = above.and_then(|at| self.path.get_mut(at)) {
            *slot = Some(table);
        }
        row.map_or(Progress::Working, Progress::Row)
    }

    /// What to make of an entry that has been read.
    fn present(&mut self, table: &Entered, index: u16, base: u64, raw: u64) -> Option<EntryItem> {
        let entry = self.paging.decode(raw, table.level);
        let names = match entry.kind {
            Kind::Absent => return None,
            Kind::Reserved { bits } => self.paging.decode(raw & !bits, table.level).kind,
            kind => kind,
        };
        let rights = table.rights.and(entry.rights());
        let mut is_loop = false;
        if let (Kind::Table { at }, Some(level)) = (names, table.level.next()) {
            let path = self.path.iter().take(self.depth).flatten();
            is_loop = path.into_iter().any(|above| above.at == at);
            let below = Entered {
                at,
                level,
                base,
                next: 0,
                rights,
                ahead: None,
            };
            self.below = (!is_loop).then_some(below);
        }
        Some(EntryItem::Present(Present {
            va: self.paging.sign_extend(base),
            table: table.at,
            index,
            entry,
            names,
            rights,
            is_loop,
        }))
    }

    /// The hole of an entry that could not be read, together with those right after it that
    /// cannot be read for the same reason.
    fn unreadable(
        &mut self,
        memory: &mut dyn PhysMemory,
        table: &mut Entered,
        index: u16,
        offset: u64,
        why: ReadError,
    ) -> Hole {
        let mut span = table.level.span();
        // The addresses of the two halves of a top table do not adjoin.
        while table.next < 512 && !(table.level == self.paging.top() && table.next == 256) {
            match self.read(memory, entry_address(table.at, table.next)) {
                Err(other) if other.is_like(why) => span += table.level.span(),
                different => {
                    table.ahead = Some(different);
                    break;
                }
            }
            table.next += 1;
        }
        Hole {
            va: self.paging.sign_extend(offset),
            span,
            level: table.level,
            table: table.at,
            index,
            why: HoleWhy::Unreadable(why),
        }
    }

    fn read(&mut self, memory: &mut dyn PhysMemory, at: PhysAddr) -> Result<u64, ReadError> {
        self.lost.or(|| memory.read_u64(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Item, PageSize, Range, Simulated, leaves};
    use std::vec::Vec;

    const ROOT: PhysAddr = PhysAddr(0x1000);
    const HIGH: u64 = 0xffff_8000_0000_0000;

    fn machine() -> Simulated {
        let mut machine = Simulated::new(Paging::four_level(40), ROOT);
        let data = Entry::WRITABLE | Entry::NO_EXECUTE;
        let mut map = |va, pa, size| machine.map(VirtAddr(va), PhysAddr(pa), size, data);
        map(0x20_0000, 0x7000_0000, PageSize::Size4K);
        map(0x20_1000, 0x7000_1000, PageSize::Size4K);
        map(HIGH, 0, PageSize::Size2M);
        map(HIGH | 1 << 30, 0x4000_0000, PageSize::Size1G);
        machine
    }

    fn list(machine: &mut Simulated, pass_over: Option<PhysAddr>) -> Vec<EntryItem> {
        let mut entries = Entries::new(machine.paging, ROOT);
        let mut all = Vec::new();
        loop {
            match entries.advance(machine) {
                Progress::Row(item) => {
                    all.push(item);
                    if let EntryItem::Present(present) = item
                        && matches!(present.names, Kind::Table { at } if Some(at) == pass_over)
                    {
                        entries.pass_over();
                    }
                }
                Progress::Working => {}
                Progress::Done => return all,
            }
        }
    }

    fn present(machine: &mut Simulated) -> Vec<Present> {
        let all = list(machine, None).into_iter();
        all.map(|item| match item {
            EntryItem::Present(present) => present,
            EntryItem::Hole(hole) => panic!("{hole:?}"),
        })
        .collect()
    }

    #[test]
    fn pages_and_tables_come_in_order_of_address() {
        let all = present(&mut machine());
        let levels: Vec<_> = all
            .iter()
            .map(|present| (present.entry.level.name(), present.va.0))
            .collect();
        assert_eq!(
            levels,
            [
                ("PML4", 0),
                ("PDPT", 0),
                ("PD", 0x20_0000),
                ("PT", 0x20_0000),
                ("PT", 0x20_1000),
                ("PML4", HIGH),
                ("PDPT", HIGH),
                ("PD", HIGH),
                ("PDPT", HIGH | 1 << 30),
            ]
        );
        assert_eq!(all[3].entry_address(), PhysAddr(0x4000));
    }

    #[test]
    fn its_pages_are_those_of_leaves() {
        let mut machine = machine();
        let pages: Vec<_> = present(&mut machine)
            .into_iter()
            .filter(|present| matches!(present.names, Kind::Page { .. }))
            .map(|present| (present.va, present.entry, present.rights, present.table))
            .collect();
        let paging = machine.paging;
        let leaves: Vec<_> = leaves(&mut machine, paging, ROOT, Range::ALL)
            .map(|item| match item {
                Item::Leaf(leaf) => (leaf.va, leaf.entry, leaf.rights, leaf.table),
                Item::Hole(hole) => panic!("{hole:?}"),
            })
            .collect();
        assert_eq!(pages, leaves);
    }

    #[test]
    fn a_table_that_is_passed_over_is_not_read() {
        let mut machine = machine();
        machine.reads = 0;
        let all = list(&mut machine, Some(PhysAddr(0x2000)));
        assert_eq!((all.len(), machine.reads), (5, 3 * 512));
    }

    #[test]
    fn a_malformed_entry_still_names_its_frame() {
        let mut machine = machine();
        let at = PhysAddr(ROOT.0);
        machine.write_u64(at, 0x2000 | 0x87);
        let all = present(&mut machine);
        assert_eq!(all[0].entry.kind, Kind::Reserved { bits: 0x80 });
        let at = PhysAddr(0x2000);
        assert_eq!((all.len(), all[0].names), (9, Kind::Table { at }));
    }

    #[test]
    fn what_leads_back_is_shown_once_and_what_is_not_there_is_a_hole() {
        let mut machine = machine();
        machine.write_u64(PhysAddr(ROOT.0 + 8), ROOT.0 | 7);
        machine.write_u64(PhysAddr(ROOT.0 + 16), 0x99_9007);
        let all = list(&mut machine, None);
        assert!(matches!(
            all[5],
            EntryItem::Present(Present { is_loop: true, .. })
        ));
        let at = PhysAddr(0x99_9000);
        let hole = Hole {
            va: VirtAddr(2 << 39),
            span: 1 << 39,
            level: Level::Pdpt,
            table: at,
            index: 0,
            why: HoleWhy::Unreadable(ReadError::NoMemory { at }),
        };
        assert_eq!((all.len(), all[7]), (12, EntryItem::Hole(hole)));
    }

    #[test]
    fn a_lost_machine_is_not_asked_again() {
        let mut machine = machine();
        machine.lose();
        machine.reads = 0;
        assert_eq!(list(&mut machine, None).len(), 2);
        assert_eq!(machine.reads, 1);
    }
}
