//! Pages and the runs they make.

use std::vec;
use std::vec::Vec;

use super::*;
use crate::{Entry, Simulated};

fn machine(pages: &[(u64, u64, PageSize, u64)]) -> Simulated {
    let mut machine = Simulated::new(Paging::four_level(40), PhysAddr(0x1000));
    for &(va, pa, size, flags) in pages {
        machine.map(VirtAddr(va), PhysAddr(pa), size, flags);
    }
    machine
}

fn list(machine: &mut Simulated, filter: Filter, merge: Merge) -> Vec<Row> {
    let (paging, root) = (machine.paging, machine.root());
    runs(machine, paging, root, filter, merge, &|_| None).collect()
}

fn only_runs(rows: &[Row]) -> Vec<Run> {
    let run = |row: &Row| match row {
        Row::Run(run) => *run,
        Row::Hole(hole) => panic!("no hole: {hole:x?}"),
    };
    rows.iter().map(run).collect()
}

use PageSize::{Size1G, Size2M, Size4K};

#[test]
fn neighbours_of_any_size_are_one_run() {
    let mut machine = machine(&[
        (0x3fe0_0000, 0x1fe0_0000, Size2M, 0),
        (0x4000_0000, 0x4000_0000, Size1G, 0),
        (0x3fdf_f000, 0x1fdf_f000, Size4K, 0),
    ]);
    let runs = only_runs(&list(&mut machine, Filter::default(), Merge::Virtual));
    let [run] = runs[..] else {
        panic!("one run: {runs:x?}")
    };
    assert_eq!(
        (run.first, run.last),
        (VirtAddr(0x3fdf_f000), VirtAddr(0x7fff_ffff))
    );
    assert_eq!((run.count_4k, run.count_2m, run.count_1g), (1, 1, 1));
    assert_eq!(run.bytes(), 0x4000_0000 + 0x20_0000 + 0x1000);
    assert_eq!(run.at, None, "the 1 GiB page is elsewhere");
}

#[test]
fn physical_runs_end_where_memory_jumps() {
    let pages = [
        (0x1000, 0x5000, Size4K, 0),
        (0x2000, 0x6000, Size4K, 0),
        (0x3000, 0x8000, Size4K, 0),
    ];
    let mut machine = machine(&pages);
    let runs = only_runs(&list(&mut machine, Filter::default(), Merge::Physical));
    let starts: Vec<_> = runs
        .iter()
        .map(|run| (run.first.0, run.at, run.count_4k))
        .collect();
    assert_eq!(
        starts,
        [
            (0x1000, Some(PhysAddr(0x5000)), 2),
            (0x3000, Some(PhysAddr(0x8000)), 1)
        ]
    );
}

#[test]
fn once_not_contiguous_a_run_does_not_become_so_again() {
    let pages = [
        (0x1000, 0x9000, Size4K, 0),
        (0x2000, 0x5000, Size4K, 0),
        (0x3000, 0xb000, Size4K, 0),
    ];
    let runs = only_runs(&list(
        &mut machine(&pages),
        Filter::default(),
        Merge::Virtual,
    ));
    assert_eq!(runs.iter().map(|run| run.at).collect::<Vec<_>>(), [None]);
}

#[test]
fn rights_and_memory_type_divide() {
    let pages = [
        (0x1000, 0x5000, Size4K, 0),
        (0x2000, 0x6000, Size4K, Entry::WRITABLE),
        (
            0x3000,
            0x7000,
            Size4K,
            Entry::WRITABLE | Entry::CACHE_DISABLE,
        ),
        (
            0x4000,
            0x8000,
            Size4K,
            Entry::WRITABLE | Entry::CACHE_DISABLE | Entry::DIRTY,
        ),
    ];
    let runs = only_runs(&list(
        &mut machine(&pages),
        Filter::default(),
        Merge::Virtual,
    ));
    assert_eq!(
        runs.iter().map(|run| run.count_4k).collect::<Vec<_>>(),
        [1, 1, 2]
    );
}

#[test]
fn regions_divide_and_are_named_by_the_first_byte() {
    let mut machine = machine(&[(0, 0, Size2M, 0), (0x20_0000, 0x20_0000, Size2M, 0)]);
    let (paging, root) = (machine.paging, machine.root());
    let region = |va: VirtAddr| (va.0 >= 0x10_0000).then_some(7);
    let rows: Vec<_> = runs(
        &mut machine,
        paging,
        root,
        Filter::default(),
        Merge::Virtual,
        &region,
    )
    .collect();
    let regions: Vec<_> = only_runs(&rows).iter().map(|run| run.region).collect();
    assert_eq!(regions, [None, Some(7)]);
}

#[test]
fn the_halves_do_not_adjoin() {
    let pages = [
        (0x7fff_ffff_f000, 0x5000, Size4K, 0),
        (0xffff_8000_0000_0000, 0x6000, Size4K, 0),
    ];
    let runs = only_runs(&list(
        &mut machine(&pages),
        Filter::default(),
        Merge::Virtual,
    ));
    assert_eq!(runs.len(), 2);
}

#[test]
fn filters_must_all_agree() {
    let (w, u, nx) = (Entry::WRITABLE, Entry::USER, Entry::NO_EXECUTE);
    let mut machine = machine(&[
        (0x1000, 0x5000, Size4K, 0),
        (0x3000, 0x5000, Size4K, w | nx),
        (0x5000, 0x5000, Size4K, w | u),
        (0x20_0000, 0x20_0000, Size2M, w | nx),
    ]);
    let mut firsts = |filter| {
        let runs = only_runs(&list(&mut machine, filter, Merge::Virtual));
        runs.iter().map(|run| run.first.0).collect::<Vec<_>>()
    };
    let none = Filter::default();
    assert_eq!(firsts(none), [0x1000, 0x3000, 0x5000, 0x20_0000]);
    assert_eq!(
        firsts(Filter {
            write: Some(true),
            execute: Some(true),
            ..none
        }),
        [0x5000]
    );
    assert_eq!(
        firsts(Filter {
            write: Some(false),
            ..none
        }),
        [0x1000]
    );
    assert_eq!(
        firsts(Filter {
            user: Some(false),
            execute: Some(false),
            ..none
        }),
        [0x3000, 0x20_0000]
    );
    assert_eq!(
        firsts(Filter {
            size: Some(Size2M),
            ..none
        }),
        [0x20_0000]
    );
    assert_eq!(
        firsts(Filter {
            size: Some(Size1G),
            ..none
        }),
        vec![0; 0]
    );
    let range = Range::new(VirtAddr(0x3fff), VirtAddr(0x5000));
    assert_eq!(firsts(Filter { range, ..none }), [0x3000, 0x5000]);
}

#[test]
fn a_hole_is_a_row_in_its_place_whatever_the_filter() {
    let mut machine = machine(&[(0x1000, 0x5000, Size4K, 0), (0x3000, 0x7000, Size4K, 0)]);
    machine.write_u64(PhysAddr(0x4010), 1 << 45 | 1);
    let rows = list(&mut machine, Filter::default(), Merge::Virtual);
    let [Row::Run(before), Row::Hole(hole), Row::Run(after)] = rows[..] else {
        panic!("three rows: {rows:x?}");
    };
    assert_eq!(
        [before.first.0, hole.va.0, after.first.0],
        [0x1000, 0x2000, 0x3000]
    );
    let none_left = Filter {
        write: Some(true),
        ..Filter::default()
    };
    assert_eq!(
        list(&mut machine, none_left, Merge::Virtual),
        [Row::Hole(hole)]
    );
}

#[test]
fn a_hole_at_the_end_comes_after_the_last_run() {
    let mut machine = machine(&[(0x1000, 0x5000, Size4K, 0)]);
    machine.write_u64(PhysAddr(0x1000 + 8 * 511), 0x9_9007);
    let rows = list(&mut machine, Filter::default(), Merge::Virtual);
    assert!(matches!(rows[..], [Row::Run(_), Row::Hole(_)]));
}
