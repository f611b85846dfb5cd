//! Names held against `llvm-symbolizer`, and damaged files.
//!
//! What is compared is the kernel's own file and a small program compiled with DWARF 4 and 5, plain and
//! compressed. Nothing is booted here.

mod corpora;
mod damage;
mod files;
mod objects;
mod oracle;

use std::collections::BTreeMap;

use files::Sample;
use oracle::{Answer, Reason};
use symbolizer::Index;
use symbolizer::dwarf::{Debug, Elf, demangle};
use tests::random::Random;

/// How many random addresses are asked beside every function's first.
const RANDOM: usize = 10_000;
const SEED: u64 = 0x5eed_0006;

/// Every function's entry, and random addresses of code.
fn addresses(sample: &Sample) -> Vec<u64> {
    let bytes = std::fs::read(&sample.path).expect("readable");
    let elf = Elf::read(&bytes).expect("an ELF file");
    let mut random = Random::new(SEED);
    let mut all: Vec<u64> = elf
        .symbols()
        .iter()
        .filter(|symbol| symbol.is_code)
        .map(|symbol| symbol.address)
        .collect();
    let bytes: u64 = elf.code().iter().map(|range| range.end - range.start).sum();
    for _ in 0..RANDOM {
        let mut at = random.below(bytes);
        for range in elf.code() {
            let length = range.end - range.start;
            if at < length {
                all.push(range.start + at);
                break;
            }
            at -= length;
        }
    }
    all
}

/// Ours and theirs at every address; the reasons of those that differ, and how many there are.
fn compare(sample: &Sample, asked: &[u64], least: f64) {
    let bytes = std::fs::read(&sample.path).expect("readable");
    let elf = Elf::read(&bytes).expect("an ELF file");
    let debug = Debug::read(&elf).expect("debug information");
    assert!(debug.damaged().is_empty(), "{:?}", debug.damaged());
    let made = symbolizer::build::index(&bytes).expect("an index");
    let index = Index::open(&made).expect("its own index");
    let theirs = oracle::ask(&sample.path, asked);

    let mut reasons: BTreeMap<Reason, usize> = BTreeMap::new();
    let mut longest = 0;
    for (address, theirs) in asked.iter().zip(&theirs) {
        let direct = Answer::direct(&debug, *address);
        let by_index = Answer::by_index(&index, *address);
        longest = longest.max(theirs.frames.len());
        // The index is made from the other form: there, nothing may differ.
        assert_eq!(
            by_index,
            direct.demangled(),
            "{} at {address:#x}",
            sample.name
        );
        if direct != *theirs {
            let reason = Reason::of(&direct, theirs);
            let reason = reason.unwrap_or_else(|| {
                panic!(
                    "{} at {address:#x}: {direct:#?}, llvm-symbolizer: {theirs:#?}",
                    sample.name
                )
            });
            *reasons.entry(reason).or_default() += 1;
        }
    }
    let different: usize = reasons.values().sum();
    let equal = 100.0 * (asked.len() - different) as f64 / asked.len() as f64;
    println!(
        "{}: {equal:.2} % of {} addresses equal, up to {longest} frames, differences {reasons:?}",
        sample.name,
        asked.len()
    );
    assert!(equal >= least, "{}: {equal} %", sample.name);
}

#[test]
fn the_kernels_addresses_have_the_names_that_llvm_symbolizer_gives_them() {
    let sample = files::kernel();
    if oracle::is_missing() {
        return;
    }
    compare(&sample, &addresses(&sample), 99.5);
}

#[test]
fn both_versions_of_dwarf_are_read_plain_and_compressed() {
    if oracle::is_missing() {
        return;
    }
    for sample in files::fixtures() {
        compare(sample, &addresses(sample), 99.5);
    }
}

#[test]
fn every_form_of_a_file_has_the_same_index() {
    let mut made = BTreeMap::new();
    for sample in files::fixtures() {
        let bytes = std::fs::read(&sample.path).expect("readable");
        let index = symbolizer::build::index(&bytes).expect("an index");
        let entry = made.entry(sample.version).or_insert_with(|| index.clone());
        assert_eq!(*entry, index, "{}", sample.name);
    }
    assert_eq!(made.len(), 2);
}

#[test]
fn the_kernels_index_is_a_tenth_of_its_debug_information_at_most() {
    let bytes = std::fs::read(files::kernel().path).expect("readable");
    let index = symbolizer::build::index(&bytes).expect("an index");
    let debug = files::debug_bytes(&bytes);
    println!(
        "{} bytes of {debug}: {:.2} %",
        index.len(),
        100.0 * index.len() as f64 / debug as f64
    );
    assert!(
        index.len() as u64 * 10 <= debug,
        "{} of {debug}",
        index.len()
    );
}

#[test]
fn every_name_of_the_kernel_is_found_again_and_every_function_by_its_line() {
    let bytes = std::fs::read(files::kernel().path).expect("readable");
    let elf = Elf::read(&bytes).expect("an ELF file");
    let made = symbolizer::build::index(&bytes).expect("an index");
    let index = Index::open(&made).expect("its own index");
    for symbol in elf.symbols() {
        let name = demangle(symbol.name);
        let mut found = index.symbols().filter(|other| other.name.is(&name));
        assert!(found.any(|other| other.address == symbol.address), "{name}");
    }
    let mut random = Random::new(SEED);
    let functions: Vec<_> = elf
        .symbols()
        .iter()
        .filter(|symbol| symbol.is_code)
        .collect();
    for _ in 0..100 {
        let symbol = random.pick(&functions);
        let Some(frame) = index
            .lookup(symbol.address)
            .and_then(|mut found| found.frames.next())
        else {
            continue;
        };
        if frame.line == 0 {
            continue;
        }
        let mut is_there = false;
        index.line(&frame.file.to_string(), frame.line, |stretch| {
            is_there |=
                (stretch.address..stretch.address + stretch.bytes).contains(&symbol.address);
            std::ops::ControlFlow::Continue(())
        });
        assert!(is_there, "{frame} at {:#x}", symbol.address);
    }
}
