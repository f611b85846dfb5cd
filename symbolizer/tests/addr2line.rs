//! Held against `addr2line` itself: the same options, the same addresses, the same bytes.
//!
//! The file is compiled here by the C compiler that Rust links with. Where that or `addr2line` is missing, the test says
//! so and is done.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use symbolizer::dwarf::Elf;

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/inlined.c");

/// Every combination of the options that are the same in both.
const OPTIONS: [&str; 16] = [
    "-C", "-f", "-i", "-s", "-a", "-p", "-fi", "-fC", "-fiC", "-fip", "-fp", "-ip", "-ap", "-fipa",
    "-fipsaC", "-fisa",
];

/// A program of DWARF `version`, or nothing if nobody can compile it.
fn compiled(version: u8) -> Option<PathBuf> {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("inlined-c-{version}"));
    let status = Command::new("gcc")
        .args([
            "-O2",
            "-nostdlib",
            "-static",
            "-fno-asynchronous-unwind-tables",
        ])
        .arg(format!("-gdwarf-{version}"))
        .args([SOURCE, "-o"])
        .arg(&file)
        .status();
    match status {
        Ok(status) => {
            assert!(status.success(), "gcc compiles it");
            Some(file)
        }
        Err(why) => {
            println!("skipped: gcc cannot be run: {why}");
            None
        }
    }
}

fn says(program: &str, options: &str, file: &Path, lines: &str) -> Option<String> {
    let child = Command::new(program)
        .args([options, "-e"])
        .arg(file)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(why) => {
            println!("skipped: {program} cannot be run: {why}");
            return None;
        }
    };
    let mut stdin = child.stdin.take().expect("piped");
    let lines = lines.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(lines.as_bytes()));
    let output = child.wait_with_output().expect("its output");
    writer
        .join()
        .expect("no panic")
        .expect("it reads everything");
    Some(String::from_utf8(output.stdout).expect("UTF-8"))
}

/// Which of several blocks of code with the same line it is: only `addr2line` says that.
fn without_discriminators(text: &str) -> String {
    let lines = text
        .lines()
        .map(|line| match line.split_once(" (discriminator ") {
            Some((line, _)) => format!("{line}\n"),
            None => format!("{line}\n"),
        });
    lines.collect()
}

#[test]
fn every_option_prints_what_addr2line_prints() {
    for version in [4, 5] {
        let Some(file) = compiled(version) else {
            return;
        };
        let bytes = std::fs::read(&file).expect("readable");
        let elf = Elf::read(&bytes).expect("an ELF file");
        // What fills the gap behind a function is given to it by addr2line, and by us and llvm-symbolizer to nobody.
        let functions = elf.symbols().iter().filter(|symbol| symbol.is_code);
        let code = functions.flat_map(|symbol| symbol.address..symbol.address + symbol.bytes);
        // Beside all code, what is nowhere at all.
        let lines: String = code
            .chain([0, 1, 0x7fff_ffff_ffff])
            .map(|address| format!("{address:#x}\n"))
            .collect();
        for options in OPTIONS {
            let Some(theirs) = says("addr2line", options, &file, &lines) else {
                return;
            };
            let ours =
                says(env!("CARGO_BIN_EXE_symbolize"), options, &file, &lines).expect("it runs");
            let theirs = without_discriminators(&theirs);
            for (number, (ours, theirs)) in ours.lines().zip(theirs.lines()).enumerate() {
                assert_eq!(ours, theirs, "DWARF {version}, {options}, line {number}");
            }
            assert_eq!(ours.len(), theirs.len(), "DWARF {version}, {options}");
        }
    }
}
