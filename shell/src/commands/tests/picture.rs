//! `picture`.

use machine::{Entry, PhysAddr};

use super::failed;
use crate::testing::{Machine, ROOT, Scripted, output, process_root};
use crate::{Shell, Status};

/// The lines of a picture without its colours, which go to whoever sees some.
#[track_caller]
fn lines(machine: &mut Machine, line: &str) -> Vec<String> {
    let (text, status) = output(machine, line);
    assert_eq!(status, Status::Ok, "{text}");
    let mut plain = String::new();
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once('\x1b') {
        plain.push_str(before);
        rest = after.split_once('m').expect("a sequence ends").1;
    }
    plain.push_str(rest);
    plain.lines().map(str::to_string).collect()
}

fn slot(root: PhysAddr, index: u64) -> PhysAddr {
    PhysAddr(root.0 + index * 8)
}

#[test]
fn a_process_has_the_masters_upper_half_and_a_lower_one_of_its_own() {
    let picture = lines(&mut Machine::audited(), "picture 1; assert $_ == 1");
    assert_eq!(picture.len(), 17, "{picture:#?}");
    let dots = ".".repeat(29);
    assert_eq!(picture[0], format!("0x0000_0000_0000_0000 P..{dots}"));
    assert_eq!(
        picture[8],
        format!("0xffff_8000_0000_0000 SSSS{}", &dots[1..]).replace("SSSS", "S.SS")
    );
    assert_eq!(
        picture[12],
        format!(
            "0xffff_c000_0000_0000 {}S.SS{}",
            ".".repeat(16),
            ".".repeat(12)
        )
    );
    assert_eq!(
        picture[16],
        "S 6 shared, P 1 private, ! 0 malformed, ? 0 unknown, . 505 empty"
    );
}

#[test]
fn each_slot_of_two_has_its_letter() {
    let mut machine = Machine::audited();
    let [one, two] = [1, 2].map(process_root);
    let table = |machine: &mut Machine, at: u64, entry: u64| {
        machine.memory.write_u64(PhysAddr(at), entry);
        at | 7
    };
    // 1: equal; 2 and 3: on one side; 4: cannot be read on one; 5: differs in a right.
    let [left, right] = [0x60_0000, 0x60_1000].map(|at| table(&mut machine, at, 0x83));
    for (root, index, raw) in [
        (one, 1, left),
        (two, 1, right),
        (one, 2, left),
        (two, 3, right),
        (one, 4, 0x9900_0007),
        (two, 4, right),
        (one, 5, left),
        (two, 5, left & !Entry::WRITABLE),
    ] {
        machine.memory.write_u64(slot(root, index), raw);
    }
    let picture = lines(&mut machine, "picture 1 2; assert $_ == 5");
    assert_eq!(
        picture[0],
        format!("0x0000_0000_0000_0000 DELR?D{}", ".".repeat(26))
    );
    assert_eq!(
        picture[16],
        "S 6 shared, E 1 equal, D 2 differs, L 1 only left, R 1 only right, ? 1 unknown, . 500 empty"
    );
}

#[test]
fn what_is_malformed_or_leads_back_is_not_a_table() {
    let mut machine = Machine::audited();
    let root = PhysAddr(ROOT);
    machine.memory.write_u64(slot(root, 3), ROOT | 3);
    machine.memory.write_u64(slot(root, 4), 0x60_0083);
    let picture = lines(&mut machine, "picture master; assert $_ == 2");
    assert!(
        picture[0].ends_with(&format!(" ...!!{}", ".".repeat(27))),
        "{picture:#?}"
    );
    machine.memory.remove_frame(root);
    let picture = lines(&mut machine, "picture 0x10_0000; assert $_ == 512");
    assert!(picture[15].ends_with(&"?".repeat(32)), "{picture:#?}");
}

#[test]
fn colours_are_for_those_who_see_some() {
    let (text, _) = output(&mut Machine::audited(), "picture 1");
    assert!(
        text.contains("0x0000_0000_0000_0000 \x1b[30;44mP\x1b[90m..."),
        "{text:?}"
    );
    let (text, _) = output(&mut Machine::audited(), "picture 1 | grep private");
    assert_eq!(
        text,
        "S 6 shared, P 1 private, ! 0 malformed, ? 0 unknown, . 505 empty\n"
    );
    let (mut shell, mut terminal) = (Shell::new(), Scripted::new(80, 24));
    shell.execute("framing on", &mut Machine::audited(), &mut terminal);
    terminal.wire.clear();
    shell.execute("picture 1", &mut Machine::audited(), &mut terminal);
    assert!(!terminal.wire.contains('\x1b'), "{:?}", terminal.wire);
    assert!(
        terminal.wire.contains("\n|0x0000_0000_0000_0000 P..."),
        "{:?}",
        terminal.wire
    );
    assert!(terminal.shown.contains("\x1b[30;42mS"));
}

#[test]
fn a_comparison_in_a_picture_can_be_left() {
    let mut machine = Machine::audited();
    for (first, root) in [(0x60_0000_u64, 1), (0x70_0000, 2)] {
        for table in 0..4 {
            let at = first + table * 0x1000;
            for index in 0..512 {
                machine
                    .memory
                    .write_u64(PhysAddr(at + index * 8), (at + 0x1000) | 7);
            }
        }
        machine
            .memory
            .write_u64(slot(process_root(root), 9), first | 7);
    }
    let mut terminal = Scripted::new(80, 24);
    terminal.interrupt_after = Some(3);
    let status = Shell::new().execute("picture 1 2", &mut machine, &mut terminal);
    assert_eq!(status, Status::Interrupted);
}

#[test]
fn mistakes_in_a_picture_are_one_line() {
    assert_eq!(
        failed("picture master cr3 1"),
        "picture: `1` is one argument too many\n"
    );
    assert_eq!(
        failed("picture 9"),
        "picture: there is no such process: 9; `ps` lists them\n"
    );
    assert_eq!(
        output(&mut Machine::bare(), "picture"),
        (
            "picture: this target has no registers\n".to_string(),
            Status::Failed
        )
    );
}
