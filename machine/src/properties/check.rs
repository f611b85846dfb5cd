//! The rules of `check`, and the paths they judge, against the pages that `leaves` finds in
//! random trees: with loops, holes, reserved bits and tables that have many names.

use std::vec::Vec;

use super::forest::{Dice, Forest};
use crate::check::{Flaw, Half, Met, Site, TableNames, executes, loops, user_bits, writes};
use crate::{
    HoleWhy, Item, Leaf, Level, Node, Path, Paths, PhysAddr, Progress, Range, Rights, Simulated,
    leaves,
};

/// As many entries of one tree as are looked at.
const MOST: u64 = 1 << 16;

fn paths(machine: &mut Simulated, root: PhysAddr) -> Option<Vec<Path>> {
    let mut paths = Paths::new(machine.paging, root, Range::ALL);
    let mut all = Vec::new();
    loop {
        match paths.advance(machine) {
            Progress::Row(path) => all.push(path),
            Progress::Working => {}
            Progress::Done => return Some(all),
        }
        if paths.visited() > MOST {
            return None;
        }
    }
}

#[test]
fn the_pages_and_what_is_said_of_them_are_those_of_leaves() {
    let mut dice = Dice(0xc4ec);
    let (mut pages, mut flaws) = (0_u64, 0_u64);
    for _ in 0..3000 {
        let forest = Forest::random(&mut dice);
        let mut machine = forest.machine();
        let root = PhysAddr(forest.roots[1] << 12);
        let Some(all) = paths(&mut machine, root) else {
            continue;
        };
        let paging = machine.paging;
        let items: Vec<Item> = leaves(&mut machine, paging, root, Range::ALL).collect();
        let mut expected = items.iter().filter_map(|item| match item {
            Item::Leaf(leaf) => Some(*leaf),
            Item::Hole(_) => None,
        });
        for path in all.iter().filter(|path| path.node == Node::Page) {
            let leaf = expected.next().expect("a page that leaves does not find");
            assert_eq!(
                (path.va, path.end(), path.rights()),
                (leaf.va, leaf.last(), leaf.rights)
            );
            flaws += judged(path, &leaf);
            pages += 1;
        }
        assert_eq!(expected.next(), None, "a page that is not among the paths");
        let holes = |why: fn(&HoleWhy) -> bool| {
            items
                .iter()
                .filter(|item| matches!(item, Item::Hole(hole) if why(&hole.why)))
                .count()
        };
        let found_loops = all.iter().filter_map(loops).count();
        assert_eq!(found_loops, holes(|why| *why == HoleWhy::Loop));
    }
    assert!(pages > 5000 && flaws > 1000, "{pages} pages, {flaws} flaws");
}

/// What the rules say of a page, against what its rights and its own entry are.
fn judged(path: &Path, leaf: &Leaf) -> u64 {
    let Rights {
        user,
        write,
        execute,
    } = leaf.rights;
    let own = leaf.entry.rights();
    let site = Site {
        half: Half::Process,
        expected: None,
        is_stack: false,
    };
    let flaw = |finding: Option<crate::check::Finding>| finding.map(|finding| finding.flaw);
    let expected = match (write && execute, own.write && !write) {
        (true, _) => Some(Flaw::WriteAndExecute),
        (false, true) => Some(Flaw::WriteLost),
        _ => None,
    };
    assert_eq!(flaw(writes(path, &site)), expected);
    let expected = (own.execute && !execute).then_some(Flaw::ExecuteLost);
    assert_eq!(flaw(executes(path, &site)), expected);
    let expected = match (own.user, user) {
        (false, _) => Some(Flaw::NotForUser),
        (true, false) => Some(Flaw::UserLost),
        _ => None,
    };
    let found = user_bits(path, &site);
    assert_eq!(flaw(found), expected);
    if let (Some(Flaw::UserLost), Some(finding)) = (expected, found) {
        // The entry that is blamed forbids it, and none above does.
        let mut above = path.steps().iter();
        let first = above.find(|step| !step.entry.user());
        assert_eq!(
            first.map(|step| step.entry_address()),
            Some(finding.entry.entry_address())
        );
    }
    u64::from(expected.is_some())
}

#[test]
fn each_second_entry_of_a_table_is_an_alias_and_nothing_else_is() {
    let mut dice = Dice(0xa11a5);
    let mut aliases = 0_usize;
    for _ in 0..2000 {
        let forest = Forest::random(&mut dice);
        let mut machine = forest.machine();
        let root = PhysAddr(forest.roots[0] << 12);
        let Some(all) = paths(&mut machine, root) else {
            continue;
        };
        // Naively: pairs of frame and entry, and how many entries each frame has.
        let mut named: Vec<(PhysAddr, PhysAddr, Level)> = all
            .iter()
            .filter_map(|path| match path.node {
                Node::Table { at, level } => Some((at, path.last().entry_address(), level)),
                _ => None,
            })
            .collect();
        named.sort_unstable();
        named.dedup_by_key(|(at, entry, _)| (*at, *entry));
        let frames = {
            let mut frames: Vec<PhysAddr> = named.iter().map(|(at, ..)| *at).collect();
            frames.dedup();
            frames.len()
        };
        let expected = named.len() - frames;

        let mut names = TableNames::new();
        let mut found: Vec<(PhysAddr, PhysAddr)> = Vec::new();
        for path in &all {
            if let Node::Table { at, level } = path.node
                && let Met::Alias(known) = names.meet(at, level, path.va, &path.last())
            {
                assert_eq!(known.at, at);
                assert_ne!(known.entry, path.last().entry_address());
                found.push((at, path.last().entry_address()));
            }
        }
        found.sort_unstable();
        found.dedup();
        assert_eq!(found.len(), expected);
        assert!(!names.next_pass(), "a forest has few tables");
        aliases += expected;
    }
    assert!(aliases > 100, "{aliases}");
}
