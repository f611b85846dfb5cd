//! Damaged files: no panic, no endless work, whatever is in them.
//!
//! A seed and a number say which file it was. `cargo xtask mutations` makes the long run: a million of them.

use std::time::{Duration, Instant};

use object::{Object as _, ObjectSection as _};
use symbolizer::Index;
use tests::damage::{ask_file, ask_index, ask_tables, damage, unwind_tables};
use tests::random::Random;

use crate::files;

const SEED: u64 = 0xda4a_6e00;
/// How many there are of all kinds together, unless somebody asks for more.
const USUAL: u64 = 40_000;
/// The longest that one may take, on a machine with other things to do.
const LONGEST: Duration = Duration::from_secs(5);
/// The most memory that may ever be in use, in KiB: files are some 10 KiB long.
const MOST_MEMORY: u64 = 1 << 20;

/// How many of one kind: a quarter are files, half are indexes, and a quarter are unwind tables.
fn count(quarters: u64) -> u64 {
    let asked = std::env::var("RINGWALK_MUTATIONS").ok();
    let all = asked.map_or(USUAL, |count| {
        count.parse().expect("RINGWALK_MUTATIONS is a number")
    });
    all * quarters / 4
}

/// How it went with one kind.
struct Watch {
    what: &'static str,
    count: u64,
    since: Instant,
    longest: Duration,
}

impl Watch {
    fn new(what: &'static str, count: u64) -> Self {
        Watch {
            what,
            count,
            since: Instant::now(),
            longest: Duration::ZERO,
        }
    }

    /// Does it with each number in turn.
    fn each(&mut self, seed: u64, mut work: impl FnMut(u64, &mut Random)) {
        for number in 0..self.count {
            let mut random = Random::new(seed ^ number);
            let start = Instant::now();
            let work = std::panic::AssertUnwindSafe(|| work(number, &mut random));
            let done = std::panic::catch_unwind(work);
            assert!(done.is_ok(), "{} {number} panics", self.what);
            let took = start.elapsed();
            assert!(took < LONGEST, "{} {number}: {took:?}", self.what);
            self.longest = self.longest.max(took);
        }
    }

    fn report(&self, more: &str) {
        println!(
            "{} {}: {more}; {:.1} s, the longest {:.3} s, {} KiB at most",
            self.count,
            self.what,
            self.since.elapsed().as_secs_f64(),
            self.longest.as_secs_f64(),
            memory()
        );
        assert!(memory() < MOST_MEMORY, "{} KiB", memory());
    }
}

/// The most memory this process has ever had, in KiB.
pub(super) fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().split(' ').next()?.parse().ok())
        .unwrap_or(0)
}

#[test]
fn damaged_elf_files_and_dwarf_are_refused_or_read_but_never_panicked_at() {
    let samples = files::fixtures();
    let whole: Vec<Vec<u8>> = samples
        .iter()
        .map(|sample| std::fs::read(&sample.path).expect("readable"))
        .collect();
    let places: Vec<Vec<_>> = whole.iter().map(|file| debug_sections(file)).collect();
    let (mut readable, mut indexed) = (0u64, 0u64);
    let mut watch = Watch::new("files", count(1));
    watch.each(SEED, |number, random| {
        let which = random.below(whole.len() as u64) as usize;
        let mut bytes = whole[which].clone();
        damage(&mut bytes, &places[which], random);
        readable += u64::from(ask_file(&bytes, random));
        // That takes ten times as long as all else.
        if number.is_multiple_of(16)
            && let Ok(index) = symbolizer::build::index(&bytes)
        {
            indexed += 1;
            assert!(Index::open(&index).is_ok(), "file {number}");
        }
    });
    watch.report(&format!("{readable} readable, {indexed} with an index"));
    // Had nearly all been refused at the door, nothing would have been tried.
    assert!(readable > count(1) / 4, "{readable}");
}

/// Where the file has what we read.
fn debug_sections(file: &[u8]) -> Vec<std::ops::Range<usize>> {
    let parsed = object::File::parse(file).expect("an ELF file");
    let debug = parsed.sections().filter(|section| {
        let name = section.name().unwrap_or_default();
        name.starts_with(".debug_") || name.ends_with("tab")
    });
    let ranges = debug.filter_map(|section| section.file_range());
    ranges
        .map(|(start, bytes)| start as usize..(start + bytes) as usize)
        .collect()
}

#[test]
fn damaged_indexes_are_refused_and_even_with_the_right_checksum_never_panicked_at() {
    let file = std::fs::read(&files::fixtures()[0].path).expect("readable");
    let whole = symbolizer::build::index(&file).expect("an index");
    let mut opened = 0u64;
    let mut watch = Watch::new("indexes", count(2));
    watch.each(SEED.rotate_left(8), |number, random| {
        let mut bytes = whole.clone();
        damage(&mut bytes, &[], random);
        let is_whole = bytes.get(..whole.len()) == Some(&whole);
        assert_eq!(Index::open(&bytes).is_ok(), is_whole, "index {number}");
        // Whoever damages it on purpose computes the checksum, too.
        symbolizer::build::seal(&mut bytes);
        if let Ok(index) = Index::open(&bytes) {
            opened += 1;
            ask_index(&index, random);
        }
    });
    watch.report(&format!("{opened} opened"));
    assert!(opened > count(2) / 2, "{opened}");
}

#[test]
fn damaged_unwind_tables_end_a_walk_and_are_never_panicked_at() {
    let mut steps = 0;
    let mut watch = Watch::new("unwind tables", count(1));
    watch.each(SEED.rotate_left(16), |_, random| {
        let mut bytes = unwind_tables(random);
        if random.below(4) > 0 {
            damage(&mut bytes, &[], random);
        }
        steps += ask_tables(&bytes, random);
    });
    watch.report(&format!("{steps} steps up"));
    assert!(steps as u64 > count(1), "{steps}");
}
