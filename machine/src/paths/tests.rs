use super::*;
use crate::{PageSize, Simulated, leaves};
use std::vec::Vec;

const ROOT: PhysAddr = PhysAddr(0x1000);
const HIGH: u64 = 0xffff_8000_0000_0000;

fn machine() -> Simulated {
    Simulated::new(Paging::four_level(40), ROOT)
}

fn list(machine: &mut Simulated) -> Vec<Path> {
    let mut paths = Paths::new(machine.paging, ROOT, Range::ALL);
    let next = || match paths.advance(machine) {
        Progress::Row(path) => Some(path),
        _ => None,
    };
    core::iter::from_fn(next).collect()
}

#[test]
fn each_entry_comes_with_those_above_it() {
    let mut machine = machine();
    let rights = Entry::USER | Entry::NO_EXECUTE;
    machine.map(
        VirtAddr(0x20_1000),
        PhysAddr(0x7000),
        PageSize::Size4K,
        rights,
    );
    machine.map(VirtAddr(HIGH), PhysAddr(0), PageSize::Size2M, 0);
    let found = list(&mut machine);
    let shown: Vec<_> = found
        .iter()
        .map(|path| (path.va.0, path.last().entry.level, path.above().len()))
        .collect();
    assert_eq!(
        shown,
        [
            (0, Level::Pml4, 0),
            (0, Level::Pdpt, 1),
            (0x20_0000, Level::Pd, 2),
            (0x20_1000, Level::Pt, 3),
            (HIGH, Level::Pml4, 0),
            (HIGH, Level::Pdpt, 1),
            (HIGH, Level::Pd, 2),
        ]
    );
    let page = found[3];
    let at: Vec<u64> = page.steps().iter().map(|s| s.entry_address().0).collect();
    assert_eq!(at, [0x1000, 0x2000, 0x3008, 0x4008]);
    assert_eq!((page.node, page.end()), (Node::Page, VirtAddr(0x20_1fff)));
    assert!(page.rights().user && !page.rights().execute);
}

#[test]
fn the_highest_entry_that_forbids_is_the_one_that_takes_a_right() {
    let mut machine = machine();
    machine.map(
        VirtAddr(0),
        PhysAddr(0x7000),
        PageSize::Size4K,
        Entry::USER | Entry::WRITABLE,
    );
    for (at, bit) in [
        (0x2000, Entry::USER),
        (0x3000, Entry::USER | Entry::WRITABLE),
    ] {
        let raw = machine.read_u64(PhysAddr(at)).unwrap_or(0);
        machine.write_u64(PhysAddr(at), raw & !bit);
    }
    let page = list(&mut machine)[3];
    let level = |right| page.taken_by(right).map(|step| step.entry.level);
    assert_eq!(level(Right::User), Some(Level::Pdpt));
    assert_eq!(level(Right::Write), Some(Level::Pd));
    assert_eq!(level(Right::Execute), None);
}

#[test]
fn what_cannot_be_followed_is_one_hole() {
    let mut machine = machine();
    for (slot, raw) in [(0, 0x9_9007), (1, 0x2087), (2, ROOT.0 | 7)] {
        machine.write_u64(PhysAddr(ROOT.0 + slot * 8), raw);
    }
    let nodes: Vec<_> = list(&mut machine).iter().map(|path| path.node).collect();
    let at = PhysAddr(0x9_9000);
    assert_eq!(
        nodes,
        [
            Node::Table {
                at,
                level: Level::Pdpt
            },
            Node::Hole(HoleWhy::Unreadable(ReadError::NoMemory { at })),
            Node::Hole(HoleWhy::Reserved { bits: 0x80 }),
            Node::Hole(HoleWhy::Loop),
        ]
    );
    machine.lose();
    machine.reads = 0;
    assert_eq!(list(&mut machine).len(), 2, "a hole for each half");
    assert_eq!(machine.reads, 1);
}

#[test]
fn a_table_can_be_left_out() {
    let mut machine = machine();
    machine.map(VirtAddr(0), PhysAddr(0), PageSize::Size4K, 0);
    machine.map(VirtAddr(HIGH), PhysAddr(0), PageSize::Size4K, 0);
    let mut paths = Paths::new(machine.paging, ROOT, Range::ALL);
    let mut seen = Vec::new();
    loop {
        match paths.advance(&mut machine) {
            Progress::Row(path) => {
                seen.push(path.va.0);
                if path.va.0 == 0 {
                    paths.skip();
                    paths.skip();
                }
            }
            Progress::Working => {}
            Progress::Done => break,
        }
    }
    assert_eq!(seen, [0, HIGH, HIGH, HIGH, HIGH]);
    assert_eq!(paths.visited(), 512 * 4);
}

#[test]
fn a_range_leaves_top_entries_out() {
    let mut machine = machine();
    machine.map(VirtAddr(0), PhysAddr(0), PageSize::Size2M, 0);
    machine.map(VirtAddr(HIGH), PhysAddr(0), PageSize::Size2M, 0);
    for (range, first) in [(Range::LOWER, 0), (Range::UPPER, HIGH)] {
        let mut paths = Paths::new(machine.paging, ROOT, range);
        let Progress::Row(path) = paths.advance(&mut machine) else {
            panic!("nothing");
        };
        assert_eq!(path.va.0, first);
    }
}

// The pages among them are those that `leaves` finds, with the same rights.
#[test]
fn the_pages_are_the_leaves() {
    let mut machine = machine();
    for (va, size) in [
        (0, PageSize::Size2M),
        (1 << 30, PageSize::Size1G),
        (HIGH, PageSize::Size4K),
    ] {
        machine.map(VirtAddr(va), PhysAddr(0), size, Entry::WRITABLE);
    }
    let found = list(&mut machine);
    let pages = found.iter().filter(|path| path.node == Node::Page);
    let pages: Vec<_> = pages
        .map(|path| (path.va, path.end(), path.rights()))
        .collect();
    let (paging, memory) = (machine.paging, &mut machine);
    let expected: Vec<_> = leaves(memory, paging, ROOT, Range::ALL)
        .filter_map(|item| match item {
            crate::Item::Leaf(leaf) => Some((leaf.va, leaf.last(), leaf.rights)),
            crate::Item::Hole(_) => None,
        })
        .collect();
    assert_eq!(pages, expected);
}
