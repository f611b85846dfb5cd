//! `diff` against a naive comparer of random pairs of trees.

use std::collections::BTreeSet;
use std::string::ToString;
use std::vec::Vec;

use super::capture::reachable;
use super::forest::{Dice, Forest};
use super::side_by_side::{
    Cell, Finding, Manner, Path, Thing, Tree, Verdict, compare, count, extent, write_down,
};
use crate::{
    Compared, DiffOptions, DiffRow, HoleWhy, Level, PhysAddr, PhysMemory, Place, Range, ReadError,
    Side, SideBySide, Simulated, Slots, VirtAddr, diff_sides,
};

/// How many pairs each of the three tests takes that go through many: 102,000 together.
/// RINGWALK_CASES asks for another number.
const CASES: u64 = 34_000;

fn cases() -> u64 {
    let asked = std::env::var("RINGWALK_CASES").ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or(CASES)
}

/// Two memories that differ in the frames captured.
struct Both<'a> {
    sides: [Simulated; 2],
    captured: &'a BTreeSet<u64>,
}

impl SideBySide for Both<'_> {
    fn read_u64(&mut self, side: Side, at: PhysAddr) -> Result<u64, ReadError> {
        let [left, right] = &mut self.sides;
        match side {
            Side::Left => left.read_u64(at),
            Side::Right => right.read_u64(at),
        }
    }

    fn is_same_memory(&mut self, frame: PhysAddr) -> bool {
        !self.captured.contains(&(frame.0 >> 12))
    }
}

/// One comparison: the naive answer, and ours.
struct Case {
    seed: u64,
    forest: Forest,
    /// The frames that the left side has a copy of, from before the right side was changed.
    captured: BTreeSet<u64>,
    trees: [Tree; 2],
    findings: Vec<Finding>,
    entered: BTreeSet<Path>,
    options: DiffOptions,
    rows: Vec<DiffRow>,
    slots: [Slots; 2],
}

impl Case {
    /// Two trees in one memory.
    fn live(seed: u64) -> Case {
        let mut dice = Dice(seed);
        let forest = Forest::random(&mut dice);
        Case::new(seed, dice, forest.clone(), forest, BTreeSet::new())
    }

    /// A copy of the tables of one tree, and the memory after some of it has been written over.
    fn since(seed: u64) -> Case {
        let mut dice = Dice(seed);
        let mut before = Forest::random(&mut dice);
        if dice.one_in(2) {
            before.roots[1] = before.roots[0];
        }
        let captured = reachable(&before, before.roots[0]);
        let captured = captured
            .into_iter()
            .filter(|frame| before.tables.contains_key(frame))
            .collect();
        let mut after = before.clone();
        if !dice.one_in(8) {
            after.scribble(&mut dice);
        }
        Case::new(seed, dice, before, after, captured)
    }

    fn new(
        seed: u64,
        mut dice: Dice,
        before: Forest,
        forest: Forest,
        captured: BTreeSet<u64>,
    ) -> Case {
        // What was not captured is read as it is now.
        let mut left = forest.clone();
        for frame in &captured {
            left.tables.insert(*frame, before.tables[frame].clone());
        }
        let mut options = DiffOptions {
            accessed_dirty: dice.one_in(4),
            count_shared: dice.one_in(4),
            ..DiffOptions::default()
        };
        if dice.one_in(3) {
            let mut end = || {
                let path: Vec<u16> = (0..forest.paging.levels)
                    .map(|_| dice.below(5) as u16)
                    .collect();
                extent(&forest, &path).0 | (0u64.wrapping_sub(dice.below(2)) >> 1 & 0xfff)
            };
            let (a, b) = (end(), end());
            let last = if seed.is_multiple_of(2) {
                u64::MAX
            } else {
                a.max(b)
            };
            options.range = Range::new(VirtAddr(a.min(b)), VirtAddr(last));
        }
        options.below = dice.one_in(3);
        let range = (options.range.first.0, options.range.last.0);
        let [first, second] = forest.roots;
        let trees = [
            write_down(&left, first, range),
            write_down(&forest, second, range),
        ];
        let is_one = |frame| !captured.contains(&frame);
        let manner = Manner {
            strict: options.accessed_dirty,
            below: options.below,
            is_one: &is_one,
        };
        let (findings, entered) = compare(&trees[0], &trees[1], &manner);
        let both = Both {
            sides: [left.machine(), forest.machine()],
            captured: &captured,
        };
        let [left, right] = forest.roots.map(|root| PhysAddr((root << 12) | 0x18));
        let mut ours = diff_sides(both, forest.paging, left, right, options);
        let rows = ours.by_ref().collect();
        let slots = ours.slots();
        Case {
            seed,
            forest,
            captured,
            trees,
            findings,
            entered,
            options,
            rows,
            slots,
        }
    }

    /// Every row holds exactly the findings that come next, and says the same as they do.
    fn check(&self) {
        let mut rest = &self.findings[..];
        for row in &self.rows {
            let (these, others) = rest
                .split_at_checked(row.entries as usize)
                .unwrap_or_else(|| panic!("seed {}: more than there is: {row:x?}", self.seed));
            self.check_row(row, these);
            if let (Some(last), Some(next)) = (these.last(), others.first()) {
                let joined = self.could_join(last, next);
                assert!(
                    !joined,
                    "seed {}: could be one row: {last:?} {next:?}",
                    self.seed
                );
            }
            rest = others;
        }
        assert!(rest.is_empty(), "seed {}: not found: {rest:x?}", self.seed);
        self.check_slots();
        self.check_pages();
    }

    fn check_row(&self, row: &DiffRow, findings: &[Finding]) {
        let note = std::format!("seed {}: {row:x?}\n{findings:x?}", self.seed);
        let (first, last) = (&findings[0], &findings[findings.len() - 1]);
        assert_eq!(row.first.0, extent(&self.forest, &first.path).0, "{note}");
        assert_eq!(row.last.0, extent(&self.forest, &last.path).1, "{note}");
        let is_same =
            |finding: &Finding| matches!(finding.verdict, Verdict::Shared | Verdict::Equal);
        let name = if is_same(first) {
            assert!(findings.iter().all(is_same), "{note}");
            let name = self.name_of(findings);
            let is_shared =
                name == first.path && findings.iter().all(|one| one.verdict == Verdict::Shared);
            assert_eq!(row.kind == Compared::Shared, is_shared, "{note}");
            assert!(row.kind.is_same(), "{note}");
            name
        } else {
            for (one, two) in findings.iter().zip(&findings[1..]) {
                assert!(self.could_join(one, two), "{note}");
            }
            assert_eq!(verdict(&row.kind), first.verdict, "{note}");
            first.path.clone()
        };
        let top = 5 - usize::from(self.forest.paging.levels);
        assert_eq!(row.level, Level::ALL[top + name.len() - 1], "{note}");
        for (place, tree) in [(row.left, &self.trees[0]), (row.right, &self.trees[1])] {
            self.check_place(place.expect("the roots are two"), tree.get(&name), &note);
        }
        self.check_counts(row, findings, &note);
    }

    fn check_place(&self, place: Place, cell: Option<&Cell>, note: &str) {
        match cell {
            Some(cell) => {
                assert_eq!((place.table.0, place.raw), (cell.table, cell.raw), "{note}");
            }
            None => assert_eq!(place.raw.map(|raw| raw & 1), Some(0), "{note}"),
        }
    }

    /// The highest entry under which there is nothing but these, or their first one.
    fn name_of(&self, findings: &[Finding]) -> Path {
        let path = &findings[0].path;
        let is_all = |name: &&[u16]| {
            let under =
                |list: &[Finding]| list.iter().filter(|one| one.path.starts_with(name)).count();
            under(&self.findings) == under(findings) && self.entered.contains(*name)
        };
        let mut prefixes = (1..path.len()).map(|len| &path[..len]);
        prefixes.find(is_all).unwrap_or(path).to_vec()
    }

    fn check_counts(&self, row: &DiffRow, findings: &[Finding], note: &str) {
        let (mut left, mut right, mut holes, mut uncounted) = ([0; 3], [0; 3], 0, 0);
        for finding in findings {
            let [l, r] = [&self.trees[0], &self.trees[1]].map(|tree| count(tree, &finding.path));
            let things = [&self.trees[0], &self.trees[1]]
                .map(|tree| tree.get(&finding.path).map(|cell| cell.thing.clone()));
            let is_link = |thing: &Option<Thing>| matches!(thing, Some(Thing::Table | Thing::Loop));
            let both_links = things.iter().all(is_link);
            let (take_left, take_right) = match &finding.verdict {
                Verdict::Unknown(..) => (false, false),
                Verdict::Differs(words) if words.contains("reserved") => (false, false),
                Verdict::Differs(words) if words.contains("frame") => (true, true),
                Verdict::Differs(_) | Verdict::Equal | Verdict::Shared if both_links => {
                    // Two tables, entered or looped: others speak about what is below them.
                    let apart = finding.goes_on || self.entered.contains(&finding.path);
                    let same = self.same_table(&finding.path);
                    uncounted += u64::from(same && !apart && !self.options.count_shared);
                    let counted = same && self.options.count_shared;
                    (counted, counted)
                }
                _ => (true, true),
            };
            let shared = both_links && take_left && self.same_table(&finding.path);
            if take_left {
                add(&mut left, l.0);
                holes += l.1;
            }
            if take_right {
                add(&mut right, if shared { l.0 } else { r.0 });
                holes += if shared { 0 } else { r.1 };
            }
        }
        let counts = [row.left_pages, row.right_pages];
        let counts = counts.map(|pages| [pages.of_4k, pages.of_2m, pages.of_1g]);
        assert_eq!(counts, [left, right], "{note}");
        assert_eq!((row.holes, row.uncounted), (holes, uncounted), "{note}");
    }

    fn same_table(&self, path: &Path) -> bool {
        let [left, right] = [&self.trees[0], &self.trees[1]].map(|tree| {
            let raw = tree.get(path).and_then(|cell| cell.raw).unwrap_or(0);
            Some((raw & 0xff_ffff_f000) >> 12)
        });
        left == right && left.is_some_and(|to| !self.captured.contains(&to))
    }

    /// Whether two findings, one after the other, have to be in one row.
    fn could_join(&self, one: &Finding, next: &Finding) -> bool {
        let is_same =
            |finding: &Finding| matches!(finding.verdict, Verdict::Shared | Verdict::Equal);
        if is_same(one) && is_same(next) {
            let is_top =
                |finding: &Finding| finding.path.len() == 1 && finding.verdict == Verdict::Shared;
            let half = |finding: &Finding| finding.path[0] / 256;
            return one.path[0] == next.path[0]
                || (is_top(one) && is_top(next) && half(one) == half(next));
        }
        one.verdict == next.verdict
            && one.path.len() == next.path.len()
            && extent(&self.forest, &one.path).1.wrapping_add(1)
                == extent(&self.forest, &next.path).0
    }

    /// Every top-level entry is counted once, as the worst that was said under it.
    fn check_slots(&self) {
        let mut expected = [Slots::default(); 2];
        for index in 0..512u16 {
            let (first, last) = extent(&self.forest, &[index]);
            let half = &mut expected[usize::from(index / 256)];
            if last < self.options.range.first.0 || first > self.options.range.last.0 {
                continue;
            }
            half.total += 1;
            let under: Vec<_> = self
                .findings
                .iter()
                .filter(|one| one.path[0] == index)
                .collect();
            let differs = |one: &&Finding| {
                matches!(
                    one.verdict,
                    Verdict::Differs(_) | Verdict::OnlyLeft | Verdict::OnlyRight
                )
            };
            if under.iter().any(differs) {
                half.differing += 1;
            } else if under
                .iter()
                .any(|one| matches!(one.verdict, Verdict::Unknown(..)))
            {
                half.unknown += 1;
            } else if self.entered.contains(&[index][..]) {
                half.equal += 1;
            } else {
                half.shared += 1;
            }
        }
        assert_eq!(self.slots, expected, "seed {}", self.seed);
    }

    /// No page that is mapped on one side only, or in another way, lies outside the rows that
    /// say so; this knows nothing of entries above the pages but what they allow.
    fn check_pages(&self) {
        let [left, right] = [&self.trees[0], &self.trees[1]];
        for path in left.keys().chain(right.keys()) {
            let [l, r] = [left, right].map(|tree| {
                let cell = tree.get(path).filter(|cell| cell.thing == Thing::Page)?;
                let raws = (1..=path.len()).filter_map(|len| tree.get(&path[..len])?.raw);
                let allowed = raws.fold(6 | 1 << 63, |allowed, raw| allowed & (raw ^ 1 << 63));
                let shift = 12 + 9 * (usize::from(self.forest.paging.levels) - path.len());
                Some(((cell.raw.unwrap_or(0) & 0xff_ffff_f000) >> shift, allowed))
            });
            // Which pages are behind a loop depends on where one begins.
            let is_loop = |tree: &Tree| {
                let mut above = (1..path.len()).filter_map(|len| tree.get(&path[..len]));
                above.any(|cell| cell.thing == Thing::Loop)
            };
            if l == r || is_loop(left) || is_loop(right) {
                continue;
            }
            let (first, _) = extent(&self.forest, path);
            let says_so =
                |row: &DiffRow| !row.kind.is_same() && row.first.0 <= first && first <= row.last.0;
            assert!(
                self.rows.iter().any(says_so),
                "seed {}: nothing about {path:?}",
                self.seed
            );
        }
    }
}

fn add(sum: &mut [u64; 3], more: [u64; 3]) {
    sum.iter_mut()
        .zip(more)
        .for_each(|(sum, more)| *sum += more);
}

/// Our words for the same thing.
fn verdict(kind: &Compared) -> Verdict {
    let thing = |why: HoleWhy| match why {
        HoleWhy::Reserved { bits } => Thing::Malformed(bits),
        HoleWhy::Loop => Thing::Loop,
        HoleWhy::Unreadable(ReadError::Device { .. }) => Thing::Device,
        HoleWhy::Unreadable(ReadError::NoMemory { .. }) => Thing::NoMemory,
        HoleWhy::Unreadable(ReadError::Lost) => panic!("the forest is never lost"),
    };
    match *kind {
        Compared::Shared => Verdict::Shared,
        Compared::Equal => Verdict::Equal,
        Compared::OnlyLeft => Verdict::OnlyLeft,
        Compared::OnlyRight => Verdict::OnlyRight,
        Compared::Unknown(left, right) => Verdict::Unknown(left.map(thing), right.map(thing)),
        Compared::Differs(what) => {
            let names = [
                "frame", "W", "U", "NX", "size", "type", "G", "reserved", "A", "D",
            ];
            let text = what.to_string();
            Verdict::Differs(
                names
                    .into_iter()
                    .filter(|name| text.split(' ').any(|word| word == *name))
                    .collect(),
            )
        }
    }
}

// The seeds are dealt out to two tests, so that two cores can share the work.
#[test]
fn diff_agrees_with_the_naive_comparer_on_even_seeds() {
    (0..cases()).for_each(|case| Case::live(case * 2).check());
}

#[test]
fn diff_agrees_with_the_naive_comparer_on_odd_seeds() {
    (0..cases()).for_each(|case| Case::live(case * 2 + 1).check());
}

// The left side is a copy from before some entries were written over.
#[test]
fn what_has_changed_since_a_copy_is_what_the_naive_comparer_finds() {
    let mut kinds = BTreeSet::new();
    for case in 0..cases() {
        let case = Case::since(case);
        case.check();
        kinds.extend(case.rows.iter().map(|row| match row.kind {
            Compared::Differs(_) => "differs",
            Compared::Equal => "equal",
            Compared::Shared => "shared",
            Compared::OnlyLeft | Compared::OnlyRight => "only",
            Compared::Unknown(..) => "unknown",
        }));
    }
    assert_eq!(kinds.len(), 5, "{kinds:?}");
}

// Trees that are all alike, or have nothing in common, would prove nothing.
#[test]
fn random_forests_are_interesting() {
    let mut seen = std::collections::BTreeMap::new();
    for seed in 0..400 {
        let case = Case::live(seed);
        let kinds: BTreeSet<_> = case
            .rows
            .iter()
            .map(|row| match row.kind {
                Compared::Differs(what) => what.to_string(),
                Compared::Unknown(..) => "unknown".to_string(),
                kind => std::format!("{kind:?}"),
            })
            .collect();
        kinds
            .into_iter()
            .for_each(|kind| *seen.entry(kind).or_insert(0) += 1);
        if case.rows.len() > 4 {
            *seen.entry("many rows".to_string()).or_insert(0) += 1;
        }
    }
    for kind in [
        "Shared",
        "Equal",
        "OnlyLeft",
        "OnlyRight",
        "unknown",
        "many rows",
    ] {
        assert!(seen.get(kind) > Some(&20), "{kind}: {seen:?}");
    }
    for kind in ["frame", "W", "U", "NX", "type", "reserved"] {
        assert!(seen.get(kind) > Some(&3), "{kind}: {seen:?}");
    }
}
