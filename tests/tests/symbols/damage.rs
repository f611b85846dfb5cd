//! Damaged files: no panic, no endless work, whatever is in them.
//!
//! A seed and a number say which file it was. `RINGWALK_MUTATIONS=1000000` makes the long run.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use object::{Object as _, ObjectSection as _};
use symbolizer::Index;
use symbolizer::dwarf::{Debug, Elf};
use tests::random::Random;

use crate::files;

const SEED: u64 = 0xda4a_6e00;
/// How many files of each kind, unless somebody asks for more.
const USUAL: u64 = 1500;
/// The longest that one file may take, on a machine with other things to do.
const LONGEST: Duration = Duration::from_secs(5);
/// The most memory that may ever be in use, in KiB: files are some 10 KiB long.
const MOST_MEMORY: u64 = 1 << 20;

/// Which part of the whole to do.
fn count() -> u64 {
    let asked = std::env::var("RINGWALK_MUTATIONS").ok();
    asked.and_then(|count| count.parse().ok()).unwrap_or(USUAL)
}

/// Changes some bytes: where debug information is, if there are places that count.
fn damage(bytes: &mut Vec<u8>, places: &[std::ops::Range<usize>], random: &mut Random) {
    for _ in 0..=random.below(6) {
        let whole = 0..bytes.len();
        let range = match random.below(8) {
            0 => &whole,
            _ if places.is_empty() => &whole,
            _ => random.pick(places),
        };
        let length = (range.end - range.start) as u64;
        if length == 0 {
            continue;
        }
        let at = range.start + random.below(length) as usize;
        match random.below(8) {
            0 => bytes[at] = 0,
            1 => bytes[at] = 0xff,
            2 => bytes[at] = 0x7f,
            3 => bytes[at] ^= 1 << random.below(8),
            4 => bytes[at] = bytes[at].wrapping_add(1),
            5 => {
                // A piece of the file somewhere else in it.
                let from = random.below(bytes.len() as u64) as usize;
                let length = (random.below(16) as usize).min(bytes.len() - from.max(at));
                bytes.copy_within(from..from + length, at);
            }
            6 => {
                let number = [
                    0u64,
                    1,
                    0x7fff_ffff,
                    u64::from(u32::MAX),
                    u64::MAX,
                    random.number(),
                ];
                let word = random.pick(&number).to_le_bytes();
                let length = 8.min(bytes.len() - at);
                bytes[at..at + length].copy_from_slice(&word[..length]);
            }
            _ => bytes[at] = random.below(256) as u8,
        }
    }
    if random.below(40) == 0 {
        bytes.truncate(random.below(bytes.len() as u64) as usize);
    }
}

fn watch<T>(what: &str, number: u64, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    let took = start.elapsed();
    assert!(took < LONGEST, "{what} {number}: {took:?}");
    result
}

/// The most memory this process has ever had, in KiB.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().split(' ').next()?.parse().ok())
        .unwrap_or(0)
}

/// Asks a file everything that can be asked.
fn read(bytes: &[u8], random: &mut Random) -> bool {
    let Ok(elf) = Elf::read(bytes) else {
        return false;
    };
    let Ok(debug) = Debug::read(&elf) else {
        return false;
    };
    let mut asked = vec![0, 1, u64::MAX, random.number()];
    for range in elf.code().iter().take(4) {
        let length = range.end.saturating_sub(range.start).clamp(1, 1 << 20);
        asked.extend((0..8).map(|_| range.start.saturating_add(random.below(length))));
    }
    for address in asked {
        let _ = debug.frames(address);
    }
    true
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
    for number in 0..count() {
        let mut random = Random::new(SEED ^ number);
        let which = random.below(whole.len() as u64) as usize;
        let mut bytes = whole[which].clone();
        damage(&mut bytes, &places[which], &mut random);
        watch("file", number, || {
            readable += u64::from(read(&bytes, &mut random));
            if let Ok(index) = symbolizer::build::index(&bytes) {
                indexed += 1;
                assert!(Index::open(&index).is_ok(), "file {number}");
            }
        });
    }
    println!(
        "{} files, {readable} readable, {indexed} with an index",
        count()
    );
    // Had nearly all been refused at the door, nothing would have been tried.
    assert!(readable > count() / 4, "{readable}");
    assert!(memory() < MOST_MEMORY, "{} KiB", memory());
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

/// Everything that an index can be asked, printed, so that every text is put together.
fn ask(index: &Index<'_>, random: &mut Random) -> usize {
    let mut printed = 0;
    let mut on = |stretch: symbolizer::index::Stretch<'_>| {
        printed += usize::from(stretch.bytes > 0);
        match printed > 1000 {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    };
    index.line("inlined.rs", 20, &mut on);
    index.inlined("map", &mut on);
    index.inlined_only("o", |_| ControlFlow::Continue(()));
    let mut starts: Vec<u64> = index
        .symbols()
        .take(8)
        .map(|symbol| symbol.address)
        .collect();
    starts.extend([0, u64::MAX, random.number()]);
    for start in starts {
        let address = start.wrapping_add(random.below(200));
        if let Some(found) = index.lookup(address) {
            printed += found.to_string().len();
            printed += found
                .frames
                .map(|frame| frame.to_string().len())
                .sum::<usize>();
        }
        let _ = index.lookup_call(address);
    }
    printed
}

#[test]
fn damaged_indexes_are_refused_and_even_with_the_right_checksum_never_panicked_at() {
    let file = std::fs::read(&files::fixtures()[0].path).expect("readable");
    let whole = symbolizer::build::index(&file).expect("an index");
    let mut opened = 0u64;
    for number in 0..count() * 4 {
        let mut random = Random::new(SEED.rotate_left(8) ^ number);
        let mut bytes = whole.clone();
        damage(&mut bytes, &[], &mut random);
        watch("index", number, || {
            let is_whole = bytes.get(..whole.len()) == Some(&whole);
            assert_eq!(Index::open(&bytes).is_ok(), is_whole, "index {number}");
            // Whoever damages it on purpose computes the checksum, too.
            symbolizer::build::seal(&mut bytes);
            if let Ok(index) = Index::open(&bytes) {
                opened += 1;
                ask(&index, &mut random);
            }
        });
    }
    println!("{} indexes, {opened} opened", count() * 4);
    assert!(opened > count() * 2, "{opened}");
}
