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

/// A program of DWARF `version`, or nothing if nobody can compile it. Each test has its own: they run at once.
fn compiled(test: &str, version: u8) -> Option<PathBuf> {
    let name = format!("inlined-c-{test}-{version}");
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
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
        .args(options.split_whitespace())
        .arg("-e")
        .arg(file)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
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
        let Some(file) = compiled("options", version) else {
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

/// A C++ program, and its functions' addresses.
fn compiled_cpp() -> Option<(PathBuf, Vec<u64>)> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (source, file) = (folder.join("names.cpp"), folder.join("names"));
    std::fs::write(&source, CPP).expect("writable");
    let status = Command::new("g++")
        .args(["-O1", "-g", "-nostdlib", "-static", "-fno-exceptions"])
        .arg(&source)
        .arg("-o")
        .arg(&file)
        .status();
    let Ok(status) = status else {
        println!("skipped: there is no g++");
        return None;
    };
    assert!(status.success(), "g++ compiles it");
    let bytes = std::fs::read(&file).expect("readable");
    let elf = Elf::read(&bytes).expect("an ELF file");
    let functions = elf.symbols().iter().filter(|symbol| symbol.is_code);
    let all = functions.map(|symbol| symbol.address).collect();
    Some((file, all))
}

const CPP: &str = "
namespace space { struct Thing { int value; int get(int) const; }; }
__attribute__((noinline)) int space::Thing::get(int factor) const { return value * factor; }
template <class T> __attribute__((noinline)) T twice(T value) { volatile T copy = value; return copy + copy; }
volatile int sink;
extern \"C\" void _start() {
    space::Thing thing { sink };
    for (;;) sink = thing.get(sink) + twice<int>(sink) + int(twice<long>(sink));
}
";

#[test]
fn what_a_user_of_addr2line_types_is_answered_the_same() {
    let Some(file) = compiled("typed", 5) else {
        return;
    };
    let bytes = std::fs::read(&file).expect("readable");
    let elf = Elf::read(&bytes).expect("an ELF file");
    let text = elf.start_of(".text").expect("it has code");
    let mut symbols = elf.symbols().iter();
    let last = symbols.rfind(|symbol| symbol.is_code);
    let last = last.expect("a function").address;
    let lists = [
        // No option at all; no 0x, another one, and a number that is too large for any program.
        format!("{text:x}\n0X{last:X}\nffffffffffffffff\n"),
        // What other tools print beside an address, a line that is empty, and one that is something else.
        format!("{text:x} t main\n  {last:#x}:\n\nzebra\n{text:#x}, and on\n"),
        String::new(),
    ];
    let options = [
        "",
        "-f",
        "-fip",
        "--functions --inlines --basenames",
        "--pretty-print --functions --demangle=gnu-v3",
        "-r -b elf64-x86-64 -fC",
        "-R -fi",
    ];
    let mut cases: Vec<(String, &str)> = Vec::new();
    for options in options {
        // Without an option, what begins with more than an address is a log.
        let lists = lists
            .iter()
            .filter(|list| !options.is_empty() || !list.contains("main"));
        cases.extend(lists.map(|list| (options.to_owned(), list.as_str())));
        cases.push((format!("{options} {text:x} 0x{last:x} 1"), ""));
    }
    for options in ["-j .text", "-fa -j .text", "--section=.text -fip"] {
        cases.push((options.to_owned(), "0\n10\n"));
    }
    for (options, list) in cases {
        let Some(theirs) = says("addr2line", &options, &file, list) else {
            return;
        };
        let ours = says(env!("CARGO_BIN_EXE_symbolize"), &options, &file, list).expect("it runs");
        assert_eq!(ours, without_discriminators(&theirs), "{options}\n{list}");
    }
    let Some((file, functions)) = compiled_cpp() else {
        return;
    };
    assert!(functions.len() >= 4, "{functions:x?}");
    let list: String = functions.iter().map(|at| format!("{at:x}\n")).collect();
    for options in ["-f", "-fC", "-fCip"] {
        let Some(theirs) = says("addr2line", options, &file, &list) else {
            return;
        };
        let ours = says(env!("CARGO_BIN_EXE_symbolize"), options, &file, &list).expect("it runs");
        assert_eq!(ours, without_discriminators(&theirs), "{options}");
    }
}
