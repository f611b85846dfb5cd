//! `capture` against a search that tries every way into every frame.

use std::collections::BTreeSet;
use std::vec::Vec;

use super::forest::{Dice, Forest};
use crate::{
    Captured, Entry, Kind, Level, Met, PageSize, Paging, PhysAddr, PhysMemory, Simulated, VirtAddr,
    capture,
};

fn frames(memory: &mut Simulated, paging: Paging, root: PhysAddr) -> Vec<u64> {
    let mut list = Vec::<Captured>::new();
    let note = |frame, level| {
        Ok::<_, ()>(match Captured::meet(&mut list, frame, level) {
            Met::New(index) => {
                let copy = None;
                list.insert(index, Captured { frame, level, copy });
                true
            }
            Met::Higher => true,
            Met::Known => false,
        })
    };
    capture(memory, paging, root, note).expect("nothing is refused");
    list.iter().map(|known| known.frame.0 >> 12).collect()
}

/// Every frame that is some number of steps away, found by trying all of them.
pub(super) fn reachable(forest: &Forest, root: u64) -> Vec<u64> {
    let mut seen = BTreeSet::from([(root, 0)]);
    let mut todo = Vec::from([(root, 0)]);
    while let Some((frame, depth)) = todo.pop() {
        if depth + 1 == forest.paging.levels {
            continue;
        }
        let level = Level::ALL[usize::from(5 - forest.paging.levels + depth)];
        for raw in forest
            .tables
            .get(&frame)
            .into_iter()
            .flat_map(|t| t.values())
        {
            let entry = forest.paging.decode(*raw, level);
            if let Kind::Table { at } = entry.kind
                && seen.insert((at.0 >> 12, depth + 1))
            {
                todo.push((at.0 >> 12, depth + 1));
            }
        }
    }
    let frames: BTreeSet<u64> = seen.into_iter().map(|(frame, _)| frame).collect();
    frames.into_iter().collect()
}

#[test]
fn every_frame_that_a_walk_could_read_is_captured_once() {
    let (mut tangled, mut most) = (0, 0);
    for seed in 0..500 {
        let forest = Forest::random(&mut Dice(seed));
        for root in forest.roots {
            let expected = reachable(&forest, root);
            let mut machine = forest.machine();
            let found = frames(&mut machine, forest.paging, PhysAddr(root << 12 | 0x18));
            assert_eq!(found, expected, "seed {seed}");
            let each = u64::from(forest.paging.levels - 1) * 512;
            assert!(machine.reads <= found.len() as u64 * each, "seed {seed}");
            tangled += u64::from(expected.len() > 3);
            most = most.max(expected.len());
        }
    }
    assert!(tangled > 250 && most > 6, "{tangled} {most}");
}

// 512 entries that all name one table, three levels of them: 134 million paths, 4 frames.
#[test]
fn tables_that_share_all_they_have_take_no_longer() {
    let paging = Paging::four_level(40);
    let mut machine = Simulated::new(paging, PhysAddr(0x1000));
    machine.map(VirtAddr(0), PhysAddr(0), PageSize::Size4K, 0);
    for table in [0x1000, 0x2000, 0x3000] {
        let raw = machine.read_u64(PhysAddr(table)).expect("it is there");
        for index in 0..512 {
            machine.write_u64(PhysAddr(table + index * 8), raw);
        }
    }
    machine.reads = 0;
    assert_eq!(frames(&mut machine, paging, PhysAddr(0x1000)), [1, 2, 3, 4]);
    assert!(machine.reads <= 3 * 512);
}

#[test]
fn a_table_that_names_itself_is_one_frame() {
    let paging = Paging::four_level(40);
    let mut machine = Simulated::new(paging, PhysAddr(0x1000));
    machine.write_u64(PhysAddr(0x1ff8), 0x1000 | Entry::PRESENT);
    assert_eq!(frames(&mut machine, paging, PhysAddr(0x1000)), [1]);
}
