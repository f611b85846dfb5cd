//! The program `symbolize`, asked about itself.

use std::path::PathBuf;
use std::process::{Command, Output};

use symbolizer::dwarf::{Elf, demangle};

const TOOL: &str = env!("CARGO_BIN_EXE_symbolize");

fn run(arguments: &[&str]) -> Output {
    Command::new(TOOL)
        .args(arguments)
        .output()
        .expect("it runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// Where its `main` is.
fn main_address() -> u64 {
    let file = std::fs::read(TOOL).expect("readable");
    let elf = Elf::read(&file).expect("an ELF file");
    let found = elf
        .symbols()
        .iter()
        .find(|symbol| demangle(symbol.name) == "symbolize::main");
    found.expect("it has a main").address
}

#[test]
fn an_address_is_answered_as_addr2line_does() {
    let address = format!("{:#x}", main_address());
    let said = |options: &str| text(&run(&["-e", TOOL, options, &address]).stdout);
    let source = "symbolizer/src/bin/symbolize.rs";
    let plain = said("-fC");
    let mut lines = plain.lines();
    assert_eq!(lines.next(), Some("symbolize::main"));
    let place = lines.next().expect("a place");
    assert!(
        place.contains(source) && place.ends_with(|c: char| c.is_ascii_digit()),
        "{place}"
    );
    assert_eq!(lines.next(), None);
    let pretty = said("-fpCsa");
    assert!(
        pretty.starts_with("0x0000") && pretty.contains(": symbolize::main at symbolize.rs:"),
        "{pretty}"
    );
    let json: serde_json::Value = serde_json::from_str(&said("--json")).expect("JSON");
    assert_eq!(json["frames"][0]["offset"], 0);
}

#[test]
fn an_address_that_is_nowhere_is_so_in_every_form() {
    assert_eq!(text(&run(&["-e", TOOL, "-f", "0x3"]).stdout), "??\n??:0\n");
    assert_eq!(text(&run(&["-e", TOOL, "-fp", "0x3"]).stdout), "?? ??:0\n");
}

#[test]
fn a_log_comes_out_with_names_and_otherwise_as_it_was() {
    let log = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("boot.log");
    let base = 0xffff_8000_0000_0000_u64;
    let address = base + main_address();
    let line = format!("RIP {address:#x} CS 0x8\r\n");
    let banner = "firmware BIOS, image at 0xffff_8000_0000_0000, physmap at 0x1\r\n";
    // The report comes before the banner that says where the image is.
    let lines = [line.as_bytes(), banner.as_bytes(), b"\xff\xfe 0x10\n"].concat();
    std::fs::write(&log, lines).expect("writable");
    let output = run(&["-e", TOOL, log.to_str().expect("UTF-8")]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    let first = out.lines().next().expect("a line");
    assert!(
        first.starts_with(&format!("RIP {address:#x} <symbolize::main at ")),
        "{first}"
    );
    assert!(first.ends_with("> CS 0x8"), "{first}");
    assert!(out.contains(banner) && out.ends_with(" 0x10\n"), "{out}");
}

#[test]
fn a_mistake_is_a_line_that_names_it() {
    let archive = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("lib.a");
    std::fs::write(&archive, "!<arch>\n").expect("writable");
    let archive = archive.to_str().expect("UTF-8").to_owned();
    for (arguments, named) in [
        (["-e", "/nowhere", "0x1"], "cannot read /nowhere"),
        (
            ["-e", "/etc/hostname", "0x1"],
            "/etc/hostname: not an ELF file",
        ),
        (["-e", TOOL, "/nowhere.log"], "cannot read /nowhere.log"),
        (["-e", TOOL, "--wings"], "--wings"),
        (["-fe", TOOL, "zebra"], "`zebra` is not an address"),
        (["-e", TOOL, "-j.zebra"], "is called `.zebra`"),
        (["-e", &archive, "0x1"], "an archive of object files"),
    ] {
        let output = run(&arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let said = text(&output.stderr);
        assert!(
            said.starts_with("symbolize: ") && said.contains(named),
            "{said}"
        );
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}
