//! Two trees compared the slow way: every entry of each is written down under the indices that
//! lead to it, and the two lists are held against each other, entry by entry.

use std::collections::{BTreeMap, BTreeSet};
use std::vec::Vec;

use super::forest::{DEVICE, Forest};
use super::interpreter::address_of;
use super::naive::{self, Reading};
use crate::Level;

/// The indices that lead to an entry, from the top.
pub(super) type Path = Vec<u16>;

/// What an entry is, seen from one tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Thing {
    NoMemory,
    Device,
    Malformed(u64),
    Loop,
    Table,
    Page,
}

#[derive(Clone, Debug)]
pub(super) struct Cell {
    pub(super) table: u64,
    pub(super) raw: Option<u64>,
    pub(super) thing: Thing,
    reading: Reading,
}

pub(super) type Tree = BTreeMap<Path, Cell>;

/// Everything in the tree of one root that touches the addresses.
pub(super) fn write_down(forest: &Forest, root: u64, range: (u64, u64)) -> Tree {
    let mut tree = Tree::new();
    let mut todo = std::vec![(Path::new(), std::vec![root])];
    while let Some((path, tables)) = todo.pop() {
        let table = tables[tables.len() - 1];
        let level = Level::ALL[5 - usize::from(forest.paging.levels) + path.len()];
        let missing = match forest.tables.contains_key(&table) {
            true => None,
            false if table == DEVICE => Some(Thing::Device),
            false => Some(Thing::NoMemory),
        };
        let written = forest.tables.get(&table).cloned().unwrap_or_default();
        let indices: Vec<u16> = match missing {
            Some(_) => (0..512).collect(),
            None => written.keys().copied().collect(),
        };
        for index in indices {
            let mut to = path.clone();
            to.push(index);
            let (first, last) = extent(forest, &to);
            if last < range.0 || first > range.1 {
                continue;
            }
            let cell = |raw, thing, reading| Cell {
                table: table << 12,
                raw,
                thing,
                reading,
            };
            if let Some(missing) = missing.clone() {
                tree.insert(to, cell(None, missing, Reading::default()));
                continue;
            }
            let raw = written[&index];
            let Some(reading) = naive::read(raw, level, &forest.paging) else {
                continue;
            };
            let thing = if reading.reserved != 0 {
                Thing::Malformed(reading.reserved)
            } else if reading.page_shift.is_some() {
                Thing::Page
            } else if tables.contains(&(reading.address >> 12)) {
                Thing::Loop
            } else {
                let mut below = tables.clone();
                below.push(reading.address >> 12);
                todo.push((to.clone(), below));
                Thing::Table
            };
            tree.insert(to, cell(Some(raw), thing, reading));
        }
    }
    tree
}

/// The first and last address an entry stands for.
pub(super) fn extent(forest: &Forest, path: &[u16]) -> (u64, u64) {
    let first = address_of(path, usize::from(forest.paging.levels));
    let below = usize::from(forest.paging.levels) - path.len();
    (first, first + ((0x1000 << (9 * below)) - 1))
}

/// What is to be said about one pair of entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Shared,
    Equal,
    Differs(BTreeSet<&'static str>),
    OnlyLeft,
    OnlyRight,
    Unknown(Option<Thing>, Option<Thing>),
}

#[derive(Clone, Debug)]
pub(super) struct Finding {
    pub(super) path: Path,
    pub(super) verdict: Verdict,
    /// Whether two tables are entered below it.
    pub(super) goes_on: bool,
}

/// How to compare.
pub(super) struct Manner<'a> {
    /// Whether Accessed and Dirty count.
    pub(super) strict: bool,
    /// Whether what is below two tables is wanted where an entry names one, then the other.
    pub(super) below: bool,
    /// Whether a frame is the same memory in both trees.
    pub(super) is_one: &'a dyn Fn(u64) -> bool,
}

/// All there is to say, and the paths at which two different tables were entered.
pub(super) fn compare(
    left: &Tree,
    right: &Tree,
    manner: &Manner<'_>,
) -> (Vec<Finding>, BTreeSet<Path>) {
    let Manner {
        strict,
        below,
        is_one,
    } = *manner;
    let mut entered = BTreeSet::from([Path::new()]);
    let mut findings = BTreeMap::new();
    let paths: BTreeSet<&Path> = left.keys().chain(right.keys()).collect();
    for path in paths {
        if !entered.contains(&path[..path.len() - 1]) {
            continue;
        }
        let (l, r) = (left.get(path), right.get(path));
        let mut verdicts = Vec::new();
        let mut goes_on = false;
        let broken = |cell: Option<&Cell>| {
            cell.map(|cell| cell.thing.clone())
                .filter(|thing| matches!(thing, Thing::NoMemory | Thing::Device))
        };
        let looping = |cell: &Cell| Some(Thing::Loop).filter(|_| cell.thing == Thing::Loop);
        match (l, r) {
            _ if broken(l).or(broken(r)).is_some() => {
                verdicts.push(Verdict::Unknown(broken(l), broken(r)));
            }
            (Some(l), Some(r)) => {
                let mut words = differences(l, r, strict);
                let is_link = |cell: &Cell| matches!(cell.thing, Thing::Table | Thing::Loop);
                let (to, other) = (l.reading.address, r.reading.address);
                let is_same_table = to == other && is_one(to >> 12);
                let same = match (&l.thing, &r.thing) {
                    (Thing::Malformed(a), Thing::Malformed(b)) => Some(Verdict::Unknown(
                        Some(Thing::Malformed(*a)),
                        Some(Thing::Malformed(*b)),
                    )),
                    _ if !is_link(l) || !is_link(r) => Some(Verdict::Equal),
                    _ if is_same_table => Some(Verdict::Shared),
                    _ => None,
                };
                // One entry as it was and as it is, which names another table now.
                let is_named =
                    l.table == r.table && is_link(l) && is_link(r) && to != other && !below;
                if is_named {
                    words.insert("frame");
                }
                match (same, words.is_empty()) {
                    (Some(same), true) => verdicts.push(same),
                    (_, false) => verdicts.push(Verdict::Differs(words)),
                    (None, true) => {}
                }
                if is_link(l) && is_link(r) && !is_same_table && !is_named {
                    let loops = (looping(l), looping(r));
                    if loops == (None, None) {
                        goes_on = true;
                        entered.insert(path.clone());
                    } else {
                        verdicts.push(Verdict::Unknown(loops.0, loops.1));
                    }
                }
            }
            (Some(_), None) => verdicts.push(Verdict::OnlyLeft),
            (None, _) => verdicts.push(Verdict::OnlyRight),
        }
        for (number, verdict) in verdicts.into_iter().enumerate() {
            let path = path.clone();
            findings.insert(
                (path.clone(), number),
                Finding {
                    path,
                    verdict,
                    goes_on,
                },
            );
        }
    }
    // Two tables about which nothing was said, the lowest first.
    for path in entered.iter().rev().filter(|path| !path.is_empty()) {
        if !findings.keys().any(|(other, _)| other.starts_with(path)) {
            let finding = Finding {
                path: path.clone(),
                verdict: Verdict::Equal,
                goes_on: false,
            };
            findings.insert((path.clone(), 0), finding);
        }
    }
    (findings.into_values().collect(), entered)
}

fn differences(l: &Cell, r: &Cell, strict: bool) -> BTreeSet<&'static str> {
    let (a, b) = (l.reading, r.reading);
    if a.reserved != b.reserved {
        return BTreeSet::from(["reserved"]);
    }
    if a.reserved != 0 {
        return BTreeSet::new();
    }
    let pages = a.page_shift.is_some() && b.page_shift.is_some();
    let alike = a.page_shift == b.page_shift;
    let all = [
        ("frame", pages && a.address != b.address),
        ("W", a.write != b.write),
        ("U", a.user != b.user),
        ("NX", a.no_execute != b.no_execute),
        ("size", !alike),
        ("type", alike && a.pat_index != b.pat_index),
        ("G", pages && a.global != b.global),
        ("A", strict && a.accessed != b.accessed),
        ("D", strict && pages && a.dirty != b.dirty),
    ];
    all.into_iter()
        .filter(|one| one.1)
        .map(|one| one.0)
        .collect()
}

/// The pages below an entry, itself included, by size (4 KiB first), and how often they could
/// not be followed.
pub(super) fn count(tree: &Tree, path: &[u16]) -> ([u64; 3], u64) {
    let (mut pages, mut holes) = ([0; 3], 0);
    for (at, cell) in tree
        .range(path.to_vec()..)
        .take_while(|(at, _)| at.starts_with(path))
    {
        match cell.thing {
            Thing::Table => {}
            Thing::Page => {
                pages[cell
                    .reading
                    .page_shift
                    .map_or(0, |shift| shift as usize / 9 - 1)] += 1
            }
            Thing::Malformed(_) | Thing::Loop => holes += 1,
            Thing::NoMemory | Thing::Device => {
                // Neighbours that are not there are one hole.
                let mut before = at.clone();
                let index = before.pop().unwrap_or(0);
                before.push(index.wrapping_sub(1));
                let follows = tree.get(&before).is_some_and(|cell| cell.raw.is_none());
                holes += u64::from(!follows);
            }
        }
    }
    (pages, holes)
}
