//! `can`.

use machine::PhysAddr;

use super::{failed, ok};
use crate::Status;
use crate::testing::{Machine, ROOT, output};

/// The last line of the answer.
#[track_caller]
fn answer(line: &str) -> String {
    ok(line).lines().last().unwrap_or("").to_string()
}

#[test]
fn can_shows_the_entry_that_decides_and_then_the_answer() {
    assert_eq!(
        ok("can r user 0x40_0123"),
        "PT   0x0000_0010_3000 [  0] 0000000000073005 page  0x0000_0007_3000 ur-x\n\
         yes: user read of 0x0000_0000_0040_0123 (4K page, ur-x)\n"
    );
    assert_eq!(
        ok("can w user 0x40_0123"),
        "PT   0x0000_0010_3000 [  0] 0000000000073005 page  0x0000_0007_3000 ur-x\n\
         no: user write of 0x0000_0000_0040_0123: PT entry forbids write (R/W clear), #PF error code 0x7 (P W/R U/S)\n"
    );
    assert_eq!(
        answer("can x user 0x40_1000"),
        "no: user fetch of 0x0000_0000_0040_1000: PT entry forbids execute (XD set), #PF error code 0x15 (P U/S I/D)"
    );
    assert_eq!(
        answer("can r user 0x40_2000"),
        "no: user read of 0x0000_0000_0040_2000: PT entry not present, #PF error code 0x4 (U/S)"
    );
    assert_eq!(
        answer("can r kernel 0xffff_8000_0040_0000"),
        "no: kernel read of 0xffff_8000_0040_0000: PD entry not present, #PF error code 0x0"
    );
    assert_eq!(
        ok("can x user 1 << 47"),
        "no: user fetch of 0x0000_8000_0000_0000: the address is not canonical, #GP and no #PF\n"
    );
    assert!(answer("can r 1 << 47").ends_with("#GP or, for the stack, #SS, and no #PF"));
}

#[test]
fn control_bits_can_be_given() {
    let page = "kernel 0x40_1000";
    assert_eq!(
        answer(&format!("can r {page}")),
        "no: kernel read of 0x0000_0000_0040_1000: a user page (U/S set at every level, SMAP set, AC clear), #PF error code 0x1 (P)"
    );
    assert_eq!(
        answer(&format!("can r {page} ac=1")),
        "yes: kernel read of 0x0000_0000_0040_1000 (4K page, urw-, AC set)"
    );
    assert_eq!(
        answer(&format!("can r {page} cr3 smap=0")),
        "yes: kernel read of 0x0000_0000_0040_1000 (4K page, urw-)"
    );
    assert_eq!(
        answer("can x kernel 0x40_0000"),
        "no: kernel fetch of 0x0000_0000_0040_0000: a user page (U/S set at every level, SMEP set), #PF error code 0x11 (P I/D)"
    );
    assert!(answer("can x kernel 0x40_0000 smep=0").starts_with("yes: "));
    assert!(answer("can w kernel 0x40_0000 smap=0").contains("(R/W clear, WP set)"));
    assert_eq!(
        answer("can w kernel 0x40_0000 smap=0 wp=0"),
        "yes: kernel write of 0x0000_0000_0040_0000 (4K page, ur-x, WP clear)"
    );
    // Bit 63 is then reserved: not even reading succeeds, and a fetch is not told apart.
    assert_eq!(
        ok("can x kernel 0xffff_8000_0000_0000 nxe=0 smep=0"),
        "PD   0x0000_0010_5000 [  0] 8000000000000083 malformed: reserved bits 0x8000000000000000 are set\n\
         no: kernel fetch of 0xffff_8000_0000_0000: PD entry has reserved bits set, 0x8000000000000000, #PF error code 0x9 (P RSVD)\n"
    );
}

#[test]
fn an_entry_above_the_page_can_be_the_one() {
    let mut machine = Machine::full();
    machine.memory.write_u64(PhysAddr(ROOT), 0x10_1003);
    let (text, _) = output(&mut machine, "can w user 0x40_0000");
    assert_eq!(
        text,
        "PML4 0x0000_0010_0000 [  0] 0000000000101003 table 0x0000_0010_1000 -rwx\n\
         no: user write of 0x0000_0000_0040_0000: PML4 entry forbids user (U/S clear), #PF error code 0x7 (P W/R U/S)\n"
    );
}

#[test]
fn whose_access_it_is_follows_from_the_root_or_the_code_that_runs() {
    assert!(answer("can x $rip").contains(": kernel fetch of"));
    assert!(answer("can r 0x60_0000 master").contains(": kernel read of"));
    let spawn = "spawn spinner &";
    for line in [
        "can r 0x60_0000 1",
        "can r 0x60_0000 0x30_1000",
        "in 1 can r 0x60_0000",
        "in 1 can r 0x60_0000 cr3 wp=0",
    ] {
        assert!(
            answer(&format!("{spawn}; {line}")).contains("yes: user read of"),
            "{line}"
        );
    }
    assert!(answer("spawn spinner &; in 1 can r 0x60_0000 master").contains(": kernel read of"));
    assert!(answer("spawn spinner &; can r kernel 0x60_0000 1").contains(": kernel read of"));
}

#[test]
fn yes_and_no_are_answers_and_unknown_is_neither() {
    ok("can r user 0x40_0000; assert $_ == 1");
    ok("can w user 0x40_0000; assert $? == 0; can w user 0x40_0000; assert $_ == 0");
    let mut machine = Machine::full();
    machine.memory.write_u64(PhysAddr(ROOT + 8), 0x9_9007);
    assert_eq!(
        output(&mut machine, "can r user 0x80_0000_0000"),
        (
            "PML4 0x0000_0010_0000 [  1] 0000000000099007 table 0x0000_0009_9000 urwx\n\
             can: 0x0000_0080_0000_0000 is unknown: PDPT entry unreadable, no memory at 0x0000_0009_9000\n"
                .to_string(),
            Status::Failed
        )
    );
}

#[test]
fn mistakes_are_named() {
    for (line, message) in [
        ("can", "which access?"),
        ("can q 0", "`q` is not an access; that is r, w or x"),
        ("can r", "which address?"),
        ("can r user", "which address?"),
        (
            "can r 0 wp=2",
            "`wp=2` is not a setting; those are wp, smep, smap, ac and nxe, each =0 or =1",
        ),
        (
            "can r 0 cr3 pke=1",
            "`pke=1` is not a setting; those are wp, smep, smap, ac and nxe, each =0 or =1",
        ),
        ("can r 0 cr3 wp", "`wp` is one argument too many"),
        ("can r 0 3", "there is no such process: 3; `ps` lists them"),
    ] {
        assert_eq!(failed(line), format!("can: {message}\n"));
    }
    let (text, _) = output(&mut Machine::bare(), "can r 0 0x10_0000");
    assert_eq!(text, "can: this target has no registers\n");
}

#[test]
fn a_setting_is_given_once() {
    for (line, message) in [
        (
            "can w kernel 0x40_0000 smap=0 smap=1",
            "can: `smap=1` contradicts `smap=0`",
        ),
        ("can r 0x40_0000 wp=1 wp=1", "can: `wp=1` is given twice"),
        (
            "poke-entry master 0x40_0000 pt w=1 w=0",
            "poke-entry: `w` is given twice",
        ),
        (
            "poke-entry master 0x40_0000 pt frame=0x1000 frame=0x2000",
            "poke-entry: `frame` is given twice",
        ),
        (
            "poke-entry 2 0x40_0000",
            "poke-entry: which address and level (pml4, pdpt, pd or pt)?",
        ),
        (
            "poke-entry 2 0x40_0000 top w=1",
            "poke-entry: `top` is not a level: pml4, pdpt, pd or pt",
        ),
        (
            "undo 7",
            "undo: `7` is not list or all; without either, the newest edit is taken back",
        ),
        (
            "frame 0xffff_8000_0000_0000",
            "frame: a physical address has at most 52 bits; `whatis` takes a virtual one",
        ),
    ] {
        assert_eq!(failed(line), format!("{message}\n"), "{line}");
    }
}
