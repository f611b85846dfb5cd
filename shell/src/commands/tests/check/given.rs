//! `check` of one root, and of tables that are broken in every way.

use machine::{Entry, PageSize, PhysAddr, VirtAddr};
use proptest::prelude::*;

use super::parts;
use crate::testing::sound::{CODE, DATA, HEAP, STACKS, USER_STACK};
use crate::testing::{Machine, ROOT, Scripted, output, process_root};
use crate::{Shell, Status};

fn lines(machine: &mut Machine, line: &str) -> (Vec<String>, Status) {
    let (text, status) = output(machine, line);
    (text.lines().map(str::to_string).collect(), status)
}

#[test]
fn of_a_root_everything_is_looked_at_and_rows_have_its_name() {
    let mut machine = Machine::sound();
    machine.change(process_root(1).0, HEAP, 2, 0, Entry::NO_EXECUTE);
    let row = "0xffff_c800_0000_0000..0xffff_c800_001f_ffff PD   0x0000_0010_6000 \
               0000000000400083 R/W set, XD clear: both writable and executable, in heap";
    // What the master has wrong, every space has, but it is said once.
    for (root, name) in [("", "master"), (" 2", "pid 2"), (" 0x30_1000", "0x30_1000")] {
        let (lines, status) = lines(&mut machine, &format!("check wx{root}; assert $_ == 1"));
        assert_eq!(lines[1], format!("  {name} {row}"));
        assert_eq!((lines.len(), status), (3, Status::Failed));
    }
}

#[test]
fn the_parts_that_are_named_are_the_ones_that_are_asked() {
    let (lines, status) = lines(&mut Machine::sound(), "check loops kernel-half 1");
    assert_eq!(
        lines,
        [
            "kernel-half  pass  1 space, 256 slots",
            "loops        pass  1 space, 40 entries",
            "2 parts passed"
        ]
    );
    assert_eq!(status, Status::Ok);
    let (lines, _) = self::lines(&mut Machine::sound(), "check kernel-half master");
    assert_eq!(lines, ["kernel-half  pass  1 space, 256 slots"]);
}

#[test]
fn mistakes_are_one_line() {
    let mut machine = Machine::sound();
    for (line, message) in [
        ("check", "check: which part?\n"),
        (
            "check everything",
            "check: `everything` is not a part; `check --help` lists them\n",
        ),
        (
            "check wx everything",
            "check: `everything` is not a root; that is cr3, master, a pid, @name, or the \
             physical address of a PML4\n",
        ),
        ("check wx 1 nx", "check: `nx` is one argument too many\n"),
        (
            "check wx 9",
            "check: there is no such process: 9; `ps` lists them\n",
        ),
    ] {
        assert_eq!(
            output(&mut machine, line),
            (message.to_string(), Status::Failed)
        );
    }
}

#[test]
fn what_a_target_lacks_is_skipped_among_others_and_missed_by_itself() {
    let mut bare = Machine::bare();
    let (text, _) = output(&mut bare, "check all");
    assert_eq!(
        text,
        "check: this target has no master table; name a root\n"
    );
    let (text, _) = output(&mut bare, "check stacks 0x10_0000");
    assert_eq!(text, "check: this target has no record of stacks\n");
    let (lines, _) = lines(&mut bare, "check all 0x10_0000");
    assert_eq!(
        lines[0],
        "kernel-half  skipped  this target has no master table"
    );
    assert_eq!(
        lines[1],
        "stacks       skipped  this target has no record of stacks"
    );
    let last = "descriptors  skipped  this target has no registers";
    assert!(lines.iter().any(|line| line == last), "{lines:#?}");
}

// After a fork both sides have their stacks read-only, marked to be copied.
#[test]
fn a_user_stack_that_waits_to_be_copied_is_sound() {
    let mut machine = Machine::sound();
    let root = process_root(1).0;
    machine.change(root, USER_STACK, 3, 1 << 9, Entry::WRITABLE);
    assert_eq!(output(&mut machine, "check stacks wx").1, Status::Ok);
    assert_eq!(output(&mut machine, "stacks verify").1, Status::Ok);
    machine.change(root, USER_STACK, 3, 0, 1 << 9);
    let (lines, _) = lines(&mut machine, "check stacks");
    assert!(lines[1].contains(" cannot be written: "), "{lines:#?}");
    // A stack of the kernel never waits.
    let mut machine = Machine::sound();
    machine.change(ROOT, STACKS + 0x1000, 3, 1 << 9, Entry::WRITABLE);
    let (lines, _) = self::lines(&mut machine, "check stacks");
    assert!(lines[1].contains(" cannot be written: "), "{lines:#?}");
}

#[test]
fn more_findings_than_there_is_room_for_are_counted() {
    let mut machine = Machine::sound();
    for page in 0..40_u64 {
        let (va, at) = (
            VirtAddr(DATA + 0x1_0000 + page * 0x2000),
            PhysAddr(0x53_0000),
        );
        let root = process_root(1);
        let flags = Entry::WRITABLE | Entry::USER;
        machine.memory.map_in(root, va, at, PageSize::Size4K, flags);
    }
    let (lines, _) = lines(&mut machine, "check wx; assert $_ == 40");
    assert_eq!(lines.len(), 1 + 16 + 1 + 1);
    assert_eq!(lines[17], "  and 24 more");
    assert_eq!(lines[18], "check: 40 findings");
}

#[test]
fn a_root_without_memory_is_no_pass() {
    let mut machine = Machine::sound();
    let (lines, status) = lines(&mut machine, "check wx 0x77_7000; assert $_ == 0");
    assert_eq!(
        lines,
        [
            "wx           unknown  1 space, 2 entries; 2 entries could not be followed",
            "check: not everything could be looked at"
        ]
    );
    assert_eq!(status, Status::Failed);
    let (lines, _) = self::lines(&mut machine, "check reserved 0x77_7000");
    assert_eq!(
        lines[1],
        "  0x77_7000 0x0000_0000_0000_0000..0x0000_007f_ffff_ffff PML4 0x0000_0077_7000 \
         0000000000000000 its table cannot be read: no memory at 0x0000_0077_7000"
    );
}

/// Tables that reference each other with every entry, four levels deep, in so many ways that
/// no one could follow all of them.
fn tangled(machine: &mut Machine) -> u64 {
    let first = 0x200_0000;
    for table in 0..4 {
        let at = first + table * 0x1000;
        for index in 0..512 {
            let raw = (at + 0x1000) | Entry::PRESENT | Entry::WRITABLE | Entry::USER;
            machine.memory.write_u64(PhysAddr(at + index * 8), raw);
        }
    }
    machine.memory.add_ram(PhysAddr(first + 0x4000), 0x1000);
    first
}

#[test]
fn a_look_without_end_comes_to_one_and_can_be_left() {
    let mut machine = Machine::sound();
    let root = tangled(&mut machine);
    let (lines, status) = lines(&mut machine, &format!("check loops {root:#x}"));
    assert_eq!(lines.len(), 2, "{lines:#?}");
    assert!(
        lines[0].starts_with("loops        unknown  1 space, "),
        "{lines:#?}"
    );
    assert!(
        lines[0].ends_with("; there is more, which was not looked at"),
        "{lines:#?}"
    );
    assert_eq!(status, Status::Failed);

    let mut terminal = Scripted::new(80, 24);
    terminal.interrupt_after = Some(3);
    let line = format!("check loops {root:#x}");
    let status = Shell::new().execute(&line, &mut machine, &mut terminal);
    assert_eq!(status, Status::Interrupted);
}

// The disagreements themselves are tested with `frames audit`.
#[test]
fn what_an_audit_finds_is_found() {
    let mut machine = Machine::audited();
    let (lines, status) = lines(&mut machine, "check frames");
    assert!(
        lines[0].starts_with("frames       pass  3 spaces, "),
        "{lines:#?}"
    );
    assert_eq!((lines.len(), status), (1, Status::Ok));
    if let Some(books) = &mut machine.books {
        books.totals.free += 1;
    }
    let (lines, _) = self::lines(&mut machine, "check frames; assert $_ == 1");
    assert!(
        lines[1].starts_with("  the allocator counts "),
        "{lines:#?}"
    );
    assert_eq!(lines[2], "check: 1 finding");
    let (lines, _) = self::lines(&mut machine, "check frames 1");
    assert_eq!(lines, ["check: `frames` is about all spaces; give no root"]);
}

#[test]
fn with_json_each_row_is_a_record() {
    let mut machine = Machine::sound();
    machine.change(process_root(1).0, CODE, 0, 0, Entry::USER);
    let (text, _) = output(&mut machine, "check user-bits loops --json");
    let rows: Vec<serde_json::Value> = text
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    let kinds: Vec<&str> = rows.iter().filter_map(|row| row["row"].as_str()).collect();
    assert_eq!(kinds, ["part", "finding", "part", "summary"], "{text}");
    assert_eq!(rows[1]["space"], "pid 1");
    assert_eq!(rows[1]["entry"], "0x301000");
    assert_eq!(rows[1]["value"], "0x10e003");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    // Whatever tables hold: each part ends, with a verdict.
    #[test]
    fn any_tables_have_an_answer(words in proptest::collection::vec(any::<(u16, u64, u8)>(), 0..60)) {
        let mut machine = Machine::sound();
        let first = 0x200_0000_u64;
        machine.memory.add_ram(PhysAddr(first), 0x6000);
        for (place, raw, kind) in words {
            let table = first + u64::from(place >> 9) % 6 * 0x1000;
            let at = PhysAddr(table + u64::from(place & 511) % 4 * 128 * 8);
            // Mostly entries that lead somewhere among the tables; sometimes anything.
            let entry = match kind % 4 {
                0 => raw,
                _ => (raw & 0x8000_0000_0000_01ff) | 1 | (first + raw % 7 * 0x1000),
            };
            machine.memory.write_u64(at, entry);
        }
        let (text, status) = output(&mut machine, &format!("check all {first:#x}"));
        let (parts, rest) = parts(&text);
        prop_assert_eq!(parts.len(), 10, "{}", text);
        prop_assert!(status != Status::Interrupted);
        prop_assert!(!rest.is_empty(), "{}", text);
    }

    #[test]
    fn any_descriptor_tables_have_an_answer(words in proptest::collection::vec(any::<u64>(), 64), limits in any::<[u16; 2]>(), selectors in any::<[u16; 3]>()) {
        let mut machine = Machine::sound();
        for (index, word) in (0..).zip(words) {
            machine.memory.write_u64(PhysAddr(0x20_3000 + index * 8), word);
            machine.memory.write_u64(PhysAddr(0x20_4000 + index * 8), word.rotate_left(7));
        }
        if let Some(registers) = &mut machine.registers {
            (registers.gdtr.limit, registers.idtr.limit) = (limits[0], limits[1]);
            [registers.cs, registers.ss, registers.tr] = selectors;
        }
        let (text, status) = output(&mut machine, "check descriptors");
        prop_assert_eq!(parts(&text).0.len(), 1, "{}", text);
        prop_assert!(status != Status::Interrupted);
    }
}
