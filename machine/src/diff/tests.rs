//! Small trees side by side, and what is wrong with some.

use core::cell::Cell;
use std::string::ToString;
use std::vec::Vec;

use super::*;
use crate::{HoleWhy, PageSize, Simulated, VirtAddr};

mod plants;

const ALL: u64 = Entry::PRESENT | Entry::WRITABLE | Entry::USER;
const LEFT: PhysAddr = PhysAddr(0x1000);
const RIGHT: PhysAddr = PhysAddr(0x10_0000);

fn machine() -> Simulated {
    let mut machine = Simulated::new(Paging::four_level(40), LEFT);
    machine.add_ram(RIGHT, 0x1000);
    machine
}

fn compare(machine: &mut Simulated, options: DiffOptions) -> (Vec<DiffRow>, [Slots; 2]) {
    let paging = machine.paging;
    let mut diff = diff(machine, paging, LEFT, RIGHT, options);
    let rows = diff.by_ref().collect();
    (rows, diff.slots())
}

fn rows(machine: &mut Simulated) -> Vec<DiffRow> {
    compare(machine, DiffOptions::default()).0
}

/// The first address, the level and the word for each row.
fn words(rows: &[DiffRow]) -> Vec<(u64, Level, std::string::String)> {
    let word = |kind: Compared| match kind {
        Compared::Differs(what) => what.to_string(),
        other => std::format!("{other:?}"),
    };
    let row = |row: &DiffRow| (row.first.0, row.level, word(row.kind));
    rows.iter().map(row).collect()
}

fn map_both(machine: &mut Simulated, va: u64, left: u64, right: u64, flags: u64) {
    let size = PageSize::Size4K;
    machine.map_in(LEFT, VirtAddr(va), PhysAddr(left), size, flags);
    machine.map_in(RIGHT, VirtAddr(va), PhysAddr(right), size, flags);
}

#[test]
fn one_root_is_all_shared_and_nothing_is_read() {
    let mut machine = machine();
    let paging = machine.paging;
    let mut same = diff(
        &mut machine,
        paging,
        LEFT,
        PhysAddr(LEFT.0 | 0x18),
        DiffOptions::default(),
    );
    let all = same.by_ref().collect::<Vec<_>>();
    assert_eq!(words(&all), [(0, Level::Pml4, "Shared".to_string())]);
    assert_eq!((all[0].last, all[0].entries), (VirtAddr(u64::MAX), 512));
    assert_eq!(
        same.slots().map(|half| (half.total, half.shared)),
        [(256, 256); 2]
    );
    assert_eq!(machine.reads, 0);
}

#[test]
fn nothing_on_both_sides_has_no_rows_and_counts_as_shared() {
    let mut machine = machine();
    let (rows, slots) = compare(&mut machine, DiffOptions::default());
    assert_eq!(rows, []);
    assert_eq!(slots.map(|half| (half.total, half.shared)), [(256, 256); 2]);
    assert_eq!(machine.reads, 2 * 512, "each entry once a side");
}

#[test]
fn shared_tables_are_not_read_and_their_slots_are_one_row() {
    let mut machine = machine();
    for slot in [256, 257, 300] {
        let entry = 0x9_9000 | ALL;
        machine.write_u64(PhysAddr(LEFT.0 + slot * 8), entry);
        machine.write_u64(PhysAddr(RIGHT.0 + slot * 8), entry | Entry::ACCESSED);
    }
    let (rows, slots) = compare(&mut machine, DiffOptions::default());
    assert_eq!(machine.reads, 2 * 512);
    assert_eq!(
        words(&rows),
        [(0xffff_8000_0000_0000, Level::Pml4, "Shared".to_string())]
    );
    assert_eq!((rows[0].entries, rows[0].uncounted), (3, 3));
    assert_eq!(slots[1].shared, 256);
    let strict = DiffOptions {
        accessed_dirty: true,
        ..DiffOptions::default()
    };
    assert_eq!(compare(&mut machine, strict).1[1].differing, 3);
}

#[test]
fn shared_tables_are_counted_where_that_is_asked_for() {
    let mut machine = machine();
    for page in 0..3 {
        machine.map(VirtAddr(page << 12), PhysAddr(0), PageSize::Size4K, 0);
    }
    let entry = machine.read_u64(LEFT).unwrap_or(0);
    machine.write_u64(RIGHT, entry);
    let count = DiffOptions {
        count_shared: true,
        ..DiffOptions::default()
    };
    let (rows, _) = compare(&mut machine, count);
    assert_eq!(
        (rows[0].left_pages.of_4k, rows[0].right_pages.of_4k),
        (3, 3)
    );
    assert_eq!((rows[0].kind, rows[0].uncounted), (Compared::Shared, 0));
}

#[test]
fn other_frames_with_the_same_content_are_equal_as_a_whole() {
    let mut machine = machine();
    for va in [0, 0x1000, 0x20_0000, 0x40_0000_0000] {
        map_both(&mut machine, va, 0x7_3000, 0x7_3000, 0);
    }
    let (rows, slots) = compare(&mut machine, DiffOptions::default());
    assert_eq!(words(&rows), [(0, Level::Pml4, "Equal".to_string())]);
    let tables = [rows[0].left, rows[0].right].map(|place| place.map(|place| place.table));
    assert_eq!(tables, [Some(LEFT), Some(RIGHT)]);
    assert_eq!(
        (rows[0].entries, rows[0].last),
        (4, VirtAddr(0x40_0000_0fff))
    );
    assert_eq!((slots[0].equal, slots[0].shared), (1, 255));
}

#[test]
fn tables_with_nothing_in_them_are_equal_and_not_shared() {
    let mut machine = machine();
    machine.add_ram(PhysAddr(0x2000), 0x2000);
    machine.write_u64(PhysAddr(LEFT.0 + 8 * 256), 0x2000 | ALL);
    machine.write_u64(PhysAddr(RIGHT.0 + 8 * 256), 0x3000 | ALL);
    let (rows, slots) = compare(&mut machine, DiffOptions::default());
    assert_eq!(
        words(&rows),
        [(0xffff_8000_0000_0000, Level::Pml4, "Equal".to_string())]
    );
    assert_eq!((slots[1].equal, slots[1].shared), (1, 255));
}

#[test]
fn neighbours_that_differ_alike_are_one_row_and_others_are_not() {
    let mut machine = machine();
    for page in [0u64, 0x1000, 0x2000, 0x4000] {
        map_both(&mut machine, page, 0x7_0000 + page, 0x8_0000 + page, 0);
    }
    map_both(&mut machine, 0x3000, 0x7_0000, 0x7_0000, 0);
    let frame = |first| (first, Level::Pt, "frame".to_string());
    let all = rows(&mut machine);
    assert_eq!(
        words(&all),
        [
            frame(0),
            (0x3000, Level::Pt, "Equal".to_string()),
            frame(0x4000)
        ]
    );
    assert_eq!((all[0].entries, all[0].last), (3, VirtAddr(0x2fff)));
    assert_eq!((all[0].left_pages.of_4k, all[0].right_pages.of_4k), (3, 3));
}

#[test]
fn what_is_on_one_side_only_is_counted_and_named_at_the_top() {
    let mut machine = machine();
    for page in 0..5 {
        machine.map_in(
            RIGHT,
            VirtAddr(page << 12),
            PhysAddr(0),
            PageSize::Size4K,
            0,
        );
    }
    machine.map_in(RIGHT, VirtAddr(1 << 30), PhysAddr(0), PageSize::Size1G, 0);
    machine.map_in(LEFT, VirtAddr(5 << 39), PhysAddr(0), PageSize::Size2M, 0);
    let (rows, slots) = compare(&mut machine, DiffOptions::default());
    let only = |first, word: &str| (first, Level::Pml4, word.to_string());
    assert_eq!(
        words(&rows),
        [only(0, "OnlyRight"), only(5 << 39, "OnlyLeft")]
    );
    assert_eq!(
        (rows[0].right_pages.of_4k, rows[0].right_pages.of_1g),
        (5, 1)
    );
    assert_eq!(
        (rows[0].left_pages.total(), rows[1].left_pages.of_2m),
        (0, 1)
    );
    assert_eq!((slots[0].differing, slots[0].shared), (2, 254));
}

#[test]
fn a_large_page_beside_a_table_of_small_ones_differs_in_size() {
    let mut machine = machine();
    machine.map_in(
        LEFT,
        VirtAddr(0),
        PhysAddr(0x20_0000),
        PageSize::Size2M,
        Entry::WRITABLE | Entry::USER,
    );
    for page in 0..512 {
        let (va, pa) = (VirtAddr(page << 12), PhysAddr(0x20_0000 + (page << 12)));
        machine.map_in(RIGHT, va, pa, PageSize::Size4K, 0);
    }
    let all = rows(&mut machine);
    assert_eq!(words(&all), [(0, Level::Pd, "size".to_string())]);
    assert_eq!(
        (all[0].left_pages.of_2m, all[0].right_pages.of_4k),
        (1, 512)
    );
}

#[test]
fn loops_malformed_and_unreadable_entries_are_rows_and_no_difference() {
    let mut machine = machine();
    let mut put = |slot: u64, left: u64, right: u64| {
        machine.write_u64(PhysAddr(LEFT.0 + slot * 8), left);
        machine.write_u64(PhysAddr(RIGHT.0 + slot * 8), right);
    };
    put(0, LEFT.0 | ALL, RIGHT.0 | ALL);
    put(1, 0x2000 | ALL | 0x80, 0x3000 | ALL | 0x80);
    put(2, 0x9_9000 | ALL, 0x9_a000 | ALL);
    put(3, 0x2000 | ALL | 0x80, 0x2000 | ALL);
    put(4, 0, LEFT.0 | ALL);
    let (rows, slots) = compare(&mut machine, DiffOptions::default());
    let loops = Some(HoleWhy::Loop);
    let bits = Some(HoleWhy::Reserved { bits: 0x80 });
    let missing = |at| {
        Some(HoleWhy::Unreadable(ReadError::NoMemory {
            at: PhysAddr(at),
        }))
    };
    let kinds: Vec<Compared> = rows.iter().map(|row| row.kind).collect();
    assert_eq!(
        kinds,
        [
            Compared::Unknown(loops, loops),
            Compared::Unknown(bits, bits),
            Compared::Unknown(missing(0x9_9000), missing(0x9_a000)),
            Compared::Differs(Differences::RESERVED),
            Compared::OnlyRight,
        ]
    );
    assert_eq!((rows[2].entries, rows[2].level), (512, Level::Pdpt));
    assert_eq!((slots[0].unknown, slots[0].differing), (3, 2));
    // As a PDPT, LEFT has a loop, two malformed entries and a table without memory.
    assert_eq!(rows[4].holes, 4);
}

#[test]
fn a_lost_machine_is_not_asked_again() {
    let mut machine = machine();
    machine.lose();
    let rows = rows(&mut machine);
    assert_eq!(machine.reads, 1);
    assert_eq!(rows.len(), 2, "a row for each half");
}

#[test]
fn a_range_leaves_the_rest_alone() {
    let mut machine = machine();
    for page in 0..4 {
        map_both(&mut machine, page << 12, 0x7_0000, 0x8_0000, 0);
    }
    let range = Range::new(VirtAddr(0x1800), VirtAddr(0x2000));
    let (rows, slots) = compare(
        &mut machine,
        DiffOptions {
            range,
            ..DiffOptions::default()
        },
    );
    assert_eq!(
        (rows[0].first, rows[0].last),
        (VirtAddr(0x1000), VirtAddr(0x2fff))
    );
    assert_eq!((rows.len(), slots[0].total, slots[1].total), (1, 1, 0));
    let upper = DiffOptions {
        range: Range::UPPER,
        ..DiffOptions::default()
    };
    let (rows, slots) = compare(&mut machine, upper);
    assert_eq!((rows.len(), slots[0].total, slots[1].shared), (0, 0, 256));
}

/// Tables without end: each entry names the next one, on either side.
struct Deep<'c>(&'c Cell<u32>);

impl PhysMemory for Deep<'_> {
    fn read(&mut self, at: PhysAddr, buf: &mut [u8]) -> Result<(), ReadError> {
        self.0.set(self.0.get() + 1);
        buf.copy_from_slice(&(((at.0 & !0xfff) + 0x1000) | ALL).to_le_bytes());
        Ok(())
    }
}

#[test]
fn tables_without_end_can_be_left() {
    let reads = Cell::new(0);
    let mut memory = Deep(&reads);
    // The two sides are never at the same table.
    let mut diff = diff(
        &mut memory,
        Paging::four_level(40),
        LEFT,
        RIGHT,
        DiffOptions::default(),
    );
    for _ in 0..10 {
        assert_eq!(diff.advance(), Progress::Working);
    }
    assert!(reads.get() <= 20 * PATIENCE, "{}", reads.get());
}

#[test]
fn there_is_nothing_after_the_end() {
    let mut machine = machine();
    map_both(&mut machine, 0, 0, 0x1000, 0);
    let paging = machine.paging;
    let mut diff = diff(&mut machine, paging, LEFT, RIGHT, DiffOptions::default());
    assert!(diff.next().is_some());
    assert_eq!(
        (diff.next(), diff.next(), diff.advance()),
        (None, None, Progress::Done)
    );
}
