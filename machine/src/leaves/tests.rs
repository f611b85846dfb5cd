//! Whole tables, small ones, and what is wrong with some.

use core::cell::Cell;
use std::vec::Vec;

use super::*;
use crate::{Entry, MemoryType, PageSize, Simulated};

const ALL: u64 = Entry::PRESENT | Entry::WRITABLE | Entry::USER;
const ROOT: PhysAddr = PhysAddr(0x1000);

fn machine() -> Simulated {
    Simulated::new(Paging::four_level(40), ROOT)
}

fn list(machine: &mut Simulated, range: Range) -> Vec<Item> {
    let (paging, root) = (machine.paging, machine.root());
    leaves(machine, paging, root, range).collect()
}

/// The first and last address of each row, holes marked with `true`.
fn extents(items: &[Item]) -> Vec<(u64, u64, bool)> {
    let extent = |item: &Item| match item {
        Item::Leaf(leaf) => (leaf.va.0, leaf.last().0, false),
        Item::Hole(hole) => (hole.va.0, hole.last().0, true),
    };
    items.iter().map(extent).collect()
}

fn only_hole(items: &[Item]) -> Hole {
    match items {
        [Item::Hole(hole)] => *hole,
        other => panic!("one hole: {other:x?}"),
    }
}

#[test]
fn an_empty_table_costs_its_512_entries_and_has_no_rows() {
    let mut machine = machine();
    assert_eq!(list(&mut machine, Range::ALL), []);
    assert_eq!(machine.reads, 512);
}

#[test]
fn pages_of_all_sizes_come_in_ascending_order_over_both_halves() {
    let mut machine = machine();
    let size = PageSize::Size4K;
    machine.map(
        VirtAddr(0xffff_ffff_ffff_f000),
        PhysAddr(0x5000_0000),
        size,
        Entry::WRITABLE,
    );
    machine.map(
        VirtAddr(0x4000_0000),
        PhysAddr(0x4000_0000),
        PageSize::Size1G,
        0,
    );
    machine.map(
        VirtAddr(0x20_0000),
        PhysAddr(0x60_0000),
        PageSize::Size2M,
        Entry::NO_EXECUTE,
    );
    machine.map(
        VirtAddr(0),
        PhysAddr(0x7_3000),
        size,
        Entry::USER | Entry::CACHE_DISABLE,
    );
    let items = list(&mut machine, Range::ALL);
    assert_eq!(
        extents(&items),
        [
            (0, 0xfff, false),
            (0x20_0000, 0x3f_ffff, false),
            (0x4000_0000, 0x7fff_ffff, false),
            (0xffff_ffff_ffff_f000, 0xffff_ffff_ffff_ffff, false),
        ]
    );
    let Some(Item::Leaf(first)) = items.first() else {
        panic!("a leaf");
    };
    assert_eq!((first.at, first.size), (PhysAddr(0x7_3000), size));
    assert_eq!(
        first.rights,
        Rights {
            user: true,
            write: false,
            execute: true
        }
    );
    assert_eq!(first.memory_type, MemoryType::UCMinus);
    assert_eq!((first.entry.raw, first.index), (0x7_3015, 0));
}

#[test]
fn rights_are_those_of_the_whole_path() {
    let mut machine = machine();
    machine.map(
        VirtAddr(0),
        PhysAddr(0x7_3000),
        PageSize::Size4K,
        Entry::WRITABLE | Entry::USER,
    );
    machine.write_u64(
        ROOT,
        0x2000 | Entry::PRESENT | Entry::USER | Entry::NO_EXECUTE,
    );
    let items = list(&mut machine, Range::ALL);
    let [Item::Leaf(leaf)] = items[..] else {
        panic!("one leaf: {items:x?}");
    };
    assert_eq!(
        leaf.rights,
        Rights {
            user: true,
            write: false,
            execute: false
        }
    );
    assert_eq!(leaf.entry.rights(), Rights::ALL);
}

#[test]
fn a_range_asks_only_for_what_it_touches() {
    let mut machine = machine();
    for page in 0..8 {
        let va = VirtAddr(0xffff_8000_0000_0000 + page * 0x1000);
        machine.map(va, PhysAddr(0x10_0000), PageSize::Size4K, 0);
        machine.map(
            VirtAddr(page << 39),
            PhysAddr(0x10_0000),
            PageSize::Size4K,
            0,
        );
    }
    machine.reads = 0;
    let range = Range::new(
        VirtAddr(0xffff_8000_0000_2fff),
        VirtAddr(0xffff_8000_0000_4000),
    );
    let pages: Vec<u64> = extents(&list(&mut machine, range))
        .iter()
        .map(|row| row.0 & 0xffff)
        .collect();
    assert_eq!(pages, [0x2000, 0x3000, 0x4000]);
    assert_eq!(
        machine.reads,
        1 + 1 + 1 + 3,
        "one entry a level, and three pages"
    );
}

#[test]
fn a_range_begins_and_ends_with_the_very_byte() {
    let mut machine = machine();
    // All of one page table, and one page on each side of it.
    for page in 511..=1024 {
        machine.map(
            VirtAddr(page << 12),
            PhysAddr(page << 12),
            PageSize::Size4K,
            0,
        );
    }
    let edges = [511, 512, 513, 514, 1022, 1023, 1024, 1025].map(|page: u64| page << 12);
    for (first, last) in edges
        .iter()
        .flat_map(|first| edges.map(|last| (*first, last)))
    {
        for (first, last) in [(first, last), (first, last - 1), (first - 1, last - 1)] {
            let range = Range::new(VirtAddr(first), VirtAddr(last));
            let rows = extents(&list(&mut machine, range));
            let pages: Vec<u64> = rows.iter().map(|row| row.0 >> 12).collect();
            let expected: Vec<u64> = (511..=1024)
                .filter(|page| first <= (page << 12 | 0xfff) && page << 12 <= last && first <= last)
                .collect();
            assert_eq!(pages, expected, "{first:#x} to {last:#x}");
        }
    }
}

#[test]
fn the_gap_holds_nothing_and_costs_nothing() {
    let mut machine = machine();
    let gap = Range::new(
        VirtAddr(0x0000_8000_0000_0000),
        VirtAddr(0xffff_7fff_ffff_ffff),
    );
    assert_eq!(list(&mut machine, gap), []);
    let backwards = Range::new(VirtAddr(0x2000), VirtAddr(0x1000));
    assert_eq!(list(&mut machine, backwards), []);
    assert_eq!(machine.reads, 0);
}

#[test]
fn a_page_partly_in_the_range_comes_whole() {
    let mut machine = machine();
    machine.map(VirtAddr(0x4000_0000), PhysAddr(0), PageSize::Size1G, 0);
    let range = Range::new(VirtAddr(0x5000_0123), VirtAddr(0x5000_0123));
    assert_eq!(
        extents(&list(&mut machine, range)),
        [(0x4000_0000, 0x7fff_ffff, false)]
    );
}

#[test]
fn a_recursive_entry_is_one_row() {
    let mut machine = machine();
    machine.write_u64(PhysAddr(ROOT.0 + 8 * 510), ROOT.0 | ALL);
    let hole = only_hole(&list(&mut machine, Range::ALL));
    assert_eq!(
        (hole.why, hole.level, hole.index),
        (HoleWhy::Loop, Level::Pml4, 510)
    );
    assert_eq!(
        (hole.va, hole.span),
        (VirtAddr(0xffff_ff00_0000_0000), 1 << 39)
    );
    assert_eq!(hole.entry_address(), PhysAddr(0x1ff0));
}

#[test]
fn a_loop_further_down_is_one_row_and_a_shared_table_is_none() {
    let mut machine = machine();
    machine.map(VirtAddr(0), PhysAddr(0x10_0000), PageSize::Size4K, 0);
    // 0x2000 is the PDPT, 0x3000 the PD, 0x4000 the PT.
    machine.write_u64(PhysAddr(0x3008), 0x2000 | ALL);
    machine.write_u64(PhysAddr(ROOT.0 + 8), 0x2000 | ALL);
    let rows = [(0, 0xfff, false), (0x20_0000, 0x3f_ffff, true)];
    let again = rows.map(|(first, last, hole)| (first | 1 << 39, last | 1 << 39, hole));
    assert_eq!(
        extents(&list(&mut machine, Range::ALL)),
        [rows, again].concat()
    );
}

#[test]
fn malformed_entries_are_rows() {
    let mut machine = machine();
    machine.write_u64(ROOT, 0x2000 | ALL | 1 << 7);
    let hole = only_hole(&list(&mut machine, Range::ALL));
    assert_eq!(
        (hole.why, hole.span),
        (HoleWhy::Reserved { bits: 1 << 7 }, 1 << 39)
    );
}

#[test]
fn a_table_without_memory_is_one_row() {
    let mut machine = machine();
    machine.write_u64(ROOT, 0x9_9000 | ALL);
    let hole = only_hole(&list(&mut machine, Range::ALL));
    let why = HoleWhy::Unreadable(ReadError::NoMemory {
        at: PhysAddr(0x9_9000),
    });
    assert_eq!((hole.why, hole.level, hole.index), (why, Level::Pdpt, 0));
    assert_eq!((hole.va, hole.span), (VirtAddr(0), 1 << 39));
}

#[test]
fn a_top_table_without_memory_is_a_row_for_each_half() {
    let mut machine = machine();
    machine.remove_frame(ROOT);
    let halves = [
        (0, 0x0000_7fff_ffff_ffff, true),
        (0xffff_8000_0000_0000, u64::MAX, true),
    ];
    assert_eq!(extents(&list(&mut machine, Range::ALL)), halves);
    assert_eq!(machine.reads, 512);
    assert_eq!(extents(&list(&mut machine, Range::LOWER)), halves[..1]);
}

#[test]
fn one_unreadable_entry_is_a_row_between_its_neighbours() {
    let mut machine = machine();
    for page in 0..4 {
        machine.map(
            VirtAddr(page << 12),
            PhysAddr(0x10_0000),
            PageSize::Size4K,
            0,
        );
    }
    machine.poison(PhysAddr(0x4008));
    machine.add_device(PhysAddr(0x4010), 8);
    machine.reads = 0;
    let items = list(&mut machine, Range::ALL);
    assert_eq!(
        extents(&items),
        [
            (0, 0xfff, false),
            (0x1000, 0x1fff, true),
            (0x2000, 0x2fff, true),
            (0x3000, 0x3fff, false)
        ],
        "two rows for two reasons"
    );
    assert_eq!(machine.reads, 4 * 512, "nothing is read twice");
}

#[test]
fn a_lost_machine_is_not_asked_again() {
    let mut machine = machine();
    machine.lose();
    let items = list(&mut machine, Range::ALL);
    assert_eq!(extents(&items).len(), 2);
    assert_eq!(machine.reads, 1);
}

/// Four tables, each entry of which names the next; the last one is empty.
struct Deep<'c>(&'c Cell<u32>);

impl PhysMemory for Deep<'_> {
    fn read(&mut self, at: PhysAddr, buf: &mut [u8]) -> Result<(), ReadError> {
        self.0.set(self.0.get() + 1);
        let table = at.0 & !0xfff;
        let raw = if table < 0x4000 {
            (table + 0x1000) | ALL
        } else {
            0
        };
        buf.copy_from_slice(&raw.to_le_bytes());
        Ok(())
    }
}

// 2^36 entries and not one row: whoever waits must be able to give up.
#[test]
fn tables_without_end_can_be_left() {
    let reads = Cell::new(0);
    let mut memory = Deep(&reads);
    let mut leaves = leaves(&mut memory, Paging::four_level(40), ROOT, Range::ALL);
    for _ in 0..10 {
        assert_eq!(leaves.advance(), Progress::Working);
    }
    assert!(
        (1..=10 * PATIENCE).contains(&reads.get()),
        "{}",
        reads.get()
    );
}

#[test]
fn there_is_nothing_after_the_end() {
    let mut machine = machine();
    let paging = machine.paging;
    let mut leaves = leaves(&mut machine, paging, ROOT, Range::ALL);
    assert_eq!(leaves.next(), None);
    assert_eq!((leaves.next(), leaves.advance()), (None, Progress::Done));
}
