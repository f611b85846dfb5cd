//! What commands print, on a simulated machine with every ability, and with none.

use crate::Status;
use crate::testing::{Machine, output};

/// The output of a line that succeeds.
#[track_caller]
fn ok(line: &str) -> String {
    let (text, status) = output(&mut Machine::full(), line);
    assert_eq!(status, Status::Ok, "{text}");
    text
}

/// The output of a line that fails.
#[track_caller]
fn failed(line: &str) -> String {
    let (text, status) = output(&mut Machine::full(), line);
    assert_eq!(status, Status::Failed, "{text}");
    text
}

#[test]
fn dump() {
    for line in [
        "help",
        "help x",
        "walk $rip",
        "walk 0xffff_8000_0020_0000",
        "walk 0x40_2000",
        "walk 0x8000_0000_0000",
        "map",
        "map leaves",
        "map phys upper",
        "map 0x40_1000..0x40_1fff",
        "regs",
        "cr",
        "gdt",
        "idt",
        "idt 3",
        "idt all",
        "tss",
        "x $rsp 32",
        "x/4g $cr3 phys",
        "x 0x7_3000 4 phys",
        "frames",
        "eval $rsp - 0x100",
        "eval 0x8000_0000_0000",
        "assert 1 == 2",
        "repeat 3 echo hi",
        "repeat 3 'echo a; walk nonsense'",
        "time echo",
        "version",
        "framing",
        "reboot",
        "x $rsp g 4",
        "x/3s $rsp",
        "bogus",
        "wlak 1",
        "re",
        "x 0xffff_8000_0020_0000",
    ] {
        println!("> {line}\n{}", output(&mut Machine::full(), line).0);
    }
    for line in [
        "walk $rip",
        "walk 1",
        "regs",
        "frames",
        "time echo",
        "poweroff",
        "walk 1 master",
        "walk sym:main",
        "walk 0 3",
        "walk 0 @a",
    ] {
        println!("> {line}\n{}", output(&mut Machine::bare(), line).0);
    }
    let _ = (ok("echo"), failed("bogus"));
}
