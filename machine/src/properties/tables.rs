//! `walk`, `leaves` and `runs` against a naive interpreter of random tables.

use std::vec::Vec;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::interpreter::{NaiveRow, What, address_of, interpret, merge_missing};
use super::world::{Found, Missing, World, any_index, any_world};
use crate::{
    End, Filter, HoleWhy, Item, Level, Merge, PageSize, PhysAddr, Range, ReadError, Row, VirtAddr,
    leaves, read_virt, runs, walk,
};

/// Our row in the form of a naive one.
fn plain(item: &Item) -> (u64, u64, u64, u16, Level, What) {
    match *item {
        Item::Leaf(leaf) => {
            let (at, raw) = (leaf.at.0, leaf.entry.raw);
            assert_eq!(leaf.size.bytes() - 1, leaf.last().0 - leaf.va.0);
            let what = What::Page {
                at,
                raw,
                rights: leaf.rights,
                memory_type: leaf.memory_type,
            };
            (
                leaf.va.0,
                leaf.last().0,
                leaf.table.0,
                leaf.index,
                leaf.entry.level,
                what,
            )
        }
        Item::Hole(hole) => {
            let what = match hole.why {
                HoleWhy::Reserved { bits } => What::Reserved(bits),
                HoleWhy::Loop => What::Loop,
                HoleWhy::Unreadable(why) => What::Missing(missing(why)),
            };
            (
                hole.va.0,
                hole.last().0,
                hole.table.0,
                hole.index,
                hole.level,
                what,
            )
        }
    }
}

fn missing(why: ReadError) -> Missing {
    match why {
        ReadError::NoMemory { .. } => Missing::NoMemory,
        ReadError::Device { .. } => Missing::Device,
        ReadError::Lost => panic!("the naive world is never lost"),
    }
}

fn same(world: &World, items: &[Item], rows: &[NaiveRow]) {
    let ours: Vec<_> = items.iter().map(plain).collect();
    let theirs: Vec<_> = rows
        .iter()
        .map(|row| {
            let level = Level::ALL[5 - usize::from(world.paging.levels) + row.path.len() - 1];
            (
                row.first,
                row.last,
                row.table,
                *row.path.last().unwrap(),
                level,
                row.what.clone(),
            )
        })
        .collect();
    assert_eq!(ours, theirs);
}

fn list(world: &World, range: Range) -> Vec<Item> {
    leaves(&mut world.machine(), world.paging, PhysAddr(0x1000), range).collect()
}

/// Addresses made of likely indices, of an edge of a row, or of anything.
fn any_address() -> impl Strategy<Value = u64> {
    let likely = (
        prop::array::uniform5(any_index()),
        0..0x1000u64,
        any::<bool>(),
    )
        .prop_map(|(path, low, five)| {
            let path = if five { &path[..] } else { &path[1..] };
            address_of(path, path.len()) | low
        });
    prop_oneof![8 => likely, 1 => any::<u64>(), 1 => Just(u64::MAX), 1 => Just(0)]
}

/// The end of a range: an address, and a row to take instead, with which edge of it.
fn any_end() -> impl Strategy<Value = (u64, prop::sample::Index, u64)> {
    (any_address(), any::<prop::sample::Index>(), 0..8u64)
}

/// Where the naive answer says an address leads.
fn expected_end(world: &World, rows: &[NaiveRow], va: u64) -> Option<End> {
    let unused = 64 - (u32::from(world.paging.levels) * 9 + 12);
    if (va << unused) as i64 >> unused != va as i64 {
        return Some(End::NonCanonical);
    }
    let row = rows
        .iter()
        .find(|row| (row.first..=row.last).contains(&va))?;
    let level = Level::ALL[5 - usize::from(world.paging.levels) + row.path.len() - 1];
    match row.what {
        What::Loop => None,
        What::Reserved(bits) => Some(End::Reserved { level, bits }),
        What::Missing(missing) => {
            let at = row.table + u64::from(*row.path.last().unwrap()) * 8;
            // The poisoned byte is the fourth of its word; elsewhere the first one fails.
            let whole = !(1..=7).contains(&(row.table / 0x1000));
            let at = PhysAddr(if whole { at } else { at + 3 });
            let why = match missing {
                Missing::NoMemory => ReadError::NoMemory { at },
                Missing::Device => ReadError::Device { at },
            };
            Some(End::Unreadable { level, why })
        }
        What::Page {
            at,
            rights,
            memory_type,
            ..
        } => {
            let size = PageSize::ALL
                .into_iter()
                .find(|size| size.bytes() == row.last - row.first + 1)
                .unwrap();
            Some(End::Mapped {
                at: PhysAddr(at + (va - row.first)),
                size,
                rights,
                memory_type,
            })
        }
    }
}

// A generator that makes only dull worlds would prove nothing: of a few hundred there must be
// many with each kind of row.
#[test]
fn random_worlds_are_interesting() {
    let mut runner = TestRunner::deterministic();
    let mut worlds = [0; 8];
    for _ in 0..200 {
        let world = any_world().new_tree(&mut runner).unwrap().current();
        let rows = interpret(&world);
        let holds = |test: &dyn Fn(&NaiveRow) -> bool| usize::from(rows.iter().any(test));
        let seen = [
            holds(&|row| matches!(row.what, What::Page { .. }) && row.last - row.first == 0xfff),
            holds(&|row| {
                matches!(row.what, What::Page { .. }) && row.last - row.first == 0x1f_ffff
            }),
            holds(&|row| {
                matches!(row.what, What::Page { .. }) && row.last - row.first == 0x3fff_ffff
            }),
            holds(&|row| matches!(row.what, What::Reserved(_))),
            holds(&|row| row.what == What::Missing(Missing::NoMemory)),
            holds(&|row| row.what == What::Missing(Missing::Device)),
            holds(&|row| row.what == What::Loop),
            usize::from(rows.len() > 20),
        ];
        worlds = core::array::from_fn(|kind| worlds[kind] + seen[kind]);
    }
    assert!(worlds.iter().all(|&worlds| worlds >= 20), "{worlds:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn leaves_agrees_with_the_naive_interpreter(world in any_world()) {
        same(&world, &list(&world, Range::ALL), &merge_missing(interpret(&world)));
    }

    #[test]
    fn leaves_of_a_range_are_those_that_touch_it(
        world in any_world(),
        ranges in prop::collection::vec(prop::array::uniform2(any_end()), 8),
    ) {
        let rows = interpret(&world);
        for range in ranges {
            // Any address, or one at an edge of a row, where mistakes are made.
            let [one, two] = range.map(|(any, pick, edge)| match (edge, rows.is_empty()) {
                (6.., _) | (_, true) => any,
                (0..3, _) => pick.get(&rows).first.wrapping_add(edge).wrapping_sub(1),
                (_, _) => pick.get(&rows).last.wrapping_add(edge - 3).wrapping_sub(1),
            });
            let (first, last) = (one.min(two), one.max(two));
            let touched = rows.iter().filter(|row| row.first <= last && row.last >= first);
            let range = Range::new(VirtAddr(first), VirtAddr(last));
            same(&world, &list(&world, range), &merge_missing(touched.cloned().collect()));
        }
    }

    #[test]
    fn walk_agrees_with_the_naive_interpreter(
        world in any_world(),
        addresses in prop::collection::vec(any_address(), 32),
        picks in prop::collection::vec((any::<prop::sample::Index>(), any::<u64>()), 32),
    ) {
        let rows = interpret(&world);
        let mut machine = world.machine();
        // Some addresses at random, and some that are known to lead somewhere.
        let inside = picks.iter().filter(|_| !rows.is_empty()).map(|(pick, offset)| {
            let row = pick.get(&rows);
            row.first + offset % (row.last - row.first + 1)
        });
        for va in addresses.into_iter().chain(inside) {
            let walk = walk(&mut machine, &world.paging, PhysAddr(0x1000), VirtAddr(va));
            let is_listed = rows.iter().any(|row| (row.first..=row.last).contains(&va));
            match expected_end(&world, &rows, va) {
                Some(end) => prop_assert_eq!(walk.end(), end, "{:x}", va),
                None if !is_listed => {
                    prop_assert!(matches!(walk.end(), End::Absent { .. }), "{:x}: {:?}", va, walk.end());
                }
                // The CPU goes round a loop, and so does the walk; where to is not listed.
                None => {}
            }
            prop_assert!(walk.steps().len() <= usize::from(world.paging.levels));
            for step in walk.steps() {
                let found = world.find(step.table.0, step.index, step.entry.level);
                let raw = if let Found::Entry(raw, _) = found { raw } else { step.entry.raw & !1 };
                prop_assert_eq!(step.entry.raw, raw);
            }
        }
    }

    #[test]
    fn walk_agrees_with_the_leaf_list(
        world in any_world(),
        picks in prop::collection::vec((any::<prop::sample::Index>(), any::<u64>()), 16),
    ) {
        let items = list(&world, Range::ALL);
        let mut machine = world.machine();
        for (pick, offset) in picks.iter().filter(|_| !items.is_empty()) {
            let item = pick.get(&items);
            let (first, last, ..) = plain(item);
            let va = VirtAddr(first + offset % (last - first + 1));
            let end = walk(&mut machine, &world.paging, PhysAddr(0x1000), va).end();
            match item {
                Item::Leaf(leaf) => prop_assert_eq!(end, End::Mapped {
                    at: PhysAddr(leaf.at.0 + (va.0 - leaf.va.0)),
                    size: leaf.size,
                    rights: leaf.rights,
                    memory_type: leaf.memory_type,
                }),
                Item::Hole(hole) => match (hole.why, end) {
                    (HoleWhy::Loop, _) => {}
                    (HoleWhy::Reserved { bits }, end) => {
                        prop_assert_eq!(end, End::Reserved { level: hole.level, bits });
                    }
                    (HoleWhy::Unreadable(listed), End::Unreadable { level, why }) => {
                        prop_assert_eq!((level, missing(why)), (hole.level, missing(listed)));
                    }
                    other => prop_assert!(false, "{:?}", other),
                },
            }
        }
    }

    #[test]
    fn runs_hold_exactly_the_leaves_and_cannot_be_longer(
        world in any_world(),
        write in any::<Option<bool>>(),
        execute in any::<Option<bool>>(),
        user in any::<Option<bool>>(),
        merge in prop::sample::select(std::vec![Merge::Virtual, Merge::Physical]),
    ) {
        let filter = Filter { write, execute, user, ..Filter::default() };
        // Regions of three pages each, so that runs are cut in the middle.
        let region = |va: VirtAddr| Some((va.0 / 0x3000) as u16);
        let mut machine = world.machine();
        let rows: Vec<Row> =
            runs(&mut machine, world.paging, PhysAddr(0x1000), filter, merge, &region).collect();
        let mut items = list(&world, Range::ALL).into_iter().filter(|item| match item {
            Item::Leaf(leaf) => filter.admits(leaf),
            Item::Hole(_) => true,
        });
        let mut last = None;
        for row in rows {
            let Row::Run(run) = row else {
                let Row::Hole(hole) = row else { unreachable!() };
                prop_assert_eq!(items.next(), Some(Item::Hole(hole)));
                last = None;
                continue;
            };
            let mut counts = [0; 3];
            let (mut next, mut at) = (run.first, run.at);
            while next <= run.last {
                let Some(Item::Leaf(leaf)) = items.next() else {
                    prop_assert!(false, "no leaf at {}", next);
                    unreachable!();
                };
                prop_assert_eq!((leaf.va, leaf.rights, leaf.memory_type, region(leaf.va)),
                    (next, run.rights, run.memory_type, run.region));
                if let Some(at) = &mut at {
                    prop_assert_eq!(*at, leaf.at);
                    at.0 += leaf.size.bytes();
                }
                counts[leaf.size as usize] += 1;
                match leaf.last().checked_add(1) {
                    Some(va) => next = va,
                    None => break,
                }
            }
            prop_assert_eq!(counts, [run.count_4k, run.count_2m, run.count_1g]);
            let key = (run.rights, run.memory_type, run.region);
            if merge == Merge::Virtual {
                prop_assert_ne!(last, Some((run.first, key)), "could have been one run");
            } else {
                prop_assert!(run.at.is_some());
            }
            last = run.last.checked_add(1).map(|next| (next, key));
        }
        prop_assert_eq!(items.next(), None);
    }

    #[test]
    fn reading_any_address_is_an_answer(world in any_world(), va in any_address(), len in 0..0x3000usize) {
        let mut machine = world.machine();
        let mut buf = std::vec![0; len];
        if let Err(error) = read_virt(&mut machine, &world.paging, PhysAddr(0x1000), VirtAddr(va), &mut buf) {
            prop_assert!(error.at.0.wrapping_sub(va) < len as u64);
            let end = walk(&mut machine, &world.paging, PhysAddr(0x1000), error.at).end();
            prop_assert_eq!(matches!(end, End::Mapped { .. }), error.memory.is_some());
        }
    }
}
