//! `faults` and `fault`.

use machine::{Code, Named, Paging, PhysAddr, Rights, Simulated, VirtAddr};

use super::{failed, ok};
use crate::testing::{Machine, Names, Scripted, output};
use crate::{FaultRecord, ProcessName, Region, Shell};

#[test]
fn faults_are_listed_with_their_causes() {
    assert_eq!(
        ok("faults; assert $_ == 4"),
        "   3 #PF 0x7 0x0000_0000_0040_0123 user write at 0x0000_0000_0040_0000 refused: PT entry \
         0 has W=0; in scribbler (pid 2)\n   \
         4 #DF 0x0 0xffff_8000_0000_0042 an exception could not be delivered: the stack at \
         0xffff_c900_0000_1000 is used up; in the kernel\n\
         2 faults, 2 overwritten\n"
    );
}

#[test]
fn a_report_is_whole() {
    assert_eq!(
        ok("fault 3; assert $_ == 3"),
        "\
fault 3: user write at 0x0000_0000_0040_0000 refused: PT entry 0 has W=0; in scribbler (pid 2)
#PF page fault, vector 14, error code 0x7
error code bits: P W/R U/S
RIP 0x0000_0000_0040_0123 CS 0x23 RFLAGS 0x202 RSP 0x0000_0000_0060_0f00 SS 0x1b
CR2 0x0000_0000_0040_0000 CR3 0x302000 (pid 2)
RAX 0x0000_0000_0040_0000 RBX 0x0000_0000_0000_0000 RCX 0x0000_0000_0000_0000
RDX 0x0000_0000_0000_0000 RSI 0x0000_0000_0000_0000 RDI 0xffff_8000_0000_1000
RBP 0x0000_0000_0000_0000 R8  0x0000_0000_0000_0000 R9  0x0000_0000_0000_0000
R10 0x0000_0000_0000_0000 R11 0x0000_0000_0000_0000 R12 0x0000_0000_0000_0000
R13 0x0000_0000_0000_0000 R14 0x0000_0000_0000_0000 R15 0x0000_0000_0000_0000
=> 0x0000_0000_0040_0123 c60001               mov byte [rax], 0x1
RDI -> physmap + 0x1000
PML4 0x0000_0030_2000 [  0] 0000000000106007 urwx
PDPT 0x0000_0010_6000 [  0] 0000000000107007 urwx
PD   0x0000_0010_7000 [  2] 0000000000108007 urwx
PT   0x0000_0010_8000 [  0] 0000000000073005 ur-x  <- decided
RSP is on stack of the program: 0x100 of 0x1000 bytes in use
backtrace:
#0  0x0000_0000_0040_0123
#1  0x0000_0000_0040_0200
next: `events pid=2 last=20`
"
        .replace("0000000000106007", &raw(3, 0))
        .replace("0x0000_0010_6000", &table(3, 0))
        .replace("0000000000107007", &raw(3, 1))
        .replace("0x0000_0010_7000", &table(3, 1))
        .replace("0000000000108007", &raw(3, 2))
        .replace("0x0000_0010_8000", &table(3, 2))
    );
}

/// The raw entry on the way to the address that fault `_seq` is about, as `walk` shows it.
fn raw(_seq: u64, step: usize) -> String {
    let text = ok("walk 0x40_0000 0x302000");
    let line = text.lines().nth(step).expect("a step").to_owned();
    let from = line.find("] ").expect("an index") + 2;
    line[from..from + 16].to_owned()
}

/// The table that it references.
fn table(seq: u64, step: usize) -> String {
    let raw = u64::from_str_radix(&raw(seq, step), 16).expect("hex");
    PhysAddr(raw & 0x000f_ffff_ffff_f000).to_string()
}

#[test]
fn whoever_set_the_entry_that_decided_is_named() {
    let first = |program: &str, regions: &'static [Region]| {
        let mut machine = Machine::full();
        machine.symbols = Some(Names::new());
        machine.regions = regions;
        let faults = machine.faults.as_mut().expect("it has them");
        faults.0[0].name = ProcessName::try_from(program).expect("it fits");
        let (text, _) = output(&mut machine, "fault 3");
        text.lines().next().expect("a line").to_owned()
    };
    let constants = |rights| Region {
        first: VirtAddr(0x40_0000),
        last: VirtAddr(0x40_0fff),
        name: "kernel rodata",
        rights: Some(rights),
    };
    let none = Rights {
        user: false,
        write: false,
        execute: false,
    };
    let all = Rights {
        write: true,
        ..none
    };
    let refused = "fault 3: user write at 0x0000_0000_0040_0000 refused: PT entry 0 has W=0";
    for (program, regions, words) in [
        ("scribbler", vec![], ", set by the loader for .rodata"),
        (
            "faulter",
            vec![],
            ", though the loader allowed it for .data: who changed that?",
        ),
        ("nobody", vec![], ""),
        (
            "scribbler",
            vec![constants(none)],
            ", set for kernel rodata",
        ),
        (
            "scribbler",
            vec![constants(all)],
            ", though kernel rodata must allow it: who changed that?",
        ),
    ] {
        let line = first(program, regions.leak());
        assert_eq!(line, format!("{refused}{words}; in {program} (pid 2)"));
    }
}

/// Words by SDM volume 3A, "Segment Descriptors" and "64-Bit Mode IDT".
#[test]
fn the_descriptor_that_an_error_code_names_is_told() {
    for (vector, error, named, line) in [
        (
            11,
            0x40,
            Named::Words {
                low: 0x00cf_7300_0000_ffff,
                high: 0,
            },
            "GDT entry 8: 00cf73000000ffff data dpl 3 writable, not present",
        ),
        (
            13,
            0x1230,
            Named::Beyond { limit: 0x7f },
            "GDT entry 582: the table ends before it, limit 0x7f",
        ),
        (
            13,
            0x14,
            Named::NoTable,
            "LDT entry 2: there is no LDT, LDTR is null",
        ),
        (
            11,
            0x103,
            Named::Words {
                low: 0x0006_0e00_0008_58a0,
                high: 0xffff_8000,
            },
            "IDT gate 0x20: 00060e00000858a0 00000000ffff8000 interrupt gate dpl 0, not present -> \
             0xffff_8000_0006_58a0",
        ),
    ] {
        let mut machine = Machine::full();
        let faults = machine.faults.as_mut().expect("it has them");
        let record = faults.0.last_mut().expect("there are some");
        (record.vector, record.error, record.named) = (vector, error, Some(named));
        let (text, _) = output(&mut machine, "fault");
        assert!(text.lines().any(|other| other == line), "{line}: {text}");
    }
}

#[test]
fn recursion_interruptions_and_the_guard_page_are_told() {
    let text = ok("fault");
    for line in [
        "fault 4: an exception could not be delivered: the stack at 0xffff_c900_0000_1000 is used \
         up; in the kernel",
        "CR2 0xffff_c900_0000_0ff8 CR3 0x100000 (master)",
        "CR2 is in the guard page of kernel stack 7, 0x8 bytes below its last byte",
        "RSP is on kernel stack 7: 0x10000 of 0x10000 bytes in use",
        "#0  0xffff_8000_0000_0042",
        "#1  0xffff_8000_0000_0050 (by RBP)",
        "    and 111 more from the same place",
        "   --- interrupted in ring 0 ---",
        "#113 0xffff_8000_0000_0099",
        "    ends here: no unwind table is about it",
        "next: `stacks`, `events last=20`",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
}

/// The report of fault 3, changed like this, on a machine with names.
fn changed(change: impl Fn(&mut FaultRecord)) -> String {
    let mut machine = Machine::full();
    machine.symbols = Some(Names::new());
    let faults = machine.faults.as_mut().expect("it has some");
    change(faults.0.first_mut().expect("it has some"));
    output(&mut machine, "fault 3").0
}

#[test]
fn registers_say_what_they_point_at_and_only_if_that_is_known() {
    let text = changed(|record| {
        record.name = "hello".try_into().expect("it fits");
        record.registers.rip = 0x40_0012;
        // CALL to `stop`, MOV RDX to a variable; the rest is half an instruction.
        record.code = Code::new(&[
            0xe8, 0x69, 0, 0, 0, 0x48, 0x89, 0x15, 0x62, 0x10, 0, 0, 0x48, 0x89,
        ]);
        record.registers.rax = 0x40_0084;
        record.registers.rbx = 0x40_1084;
        record.registers.rcx = 0x60_0f00;
        record.registers.rdx = 0x60_0f00;
        record.registers.rsi = 0x5f_fff8;
        record.registers.rdi = 0xffff_8000_0000_1004;
        record.registers.r8 = 0xffff_8000_0f00_0000;
        record.registers.r9 = 7;
    });
    let wanted = "\
=> 0x0000_0000_0040_0012 e869000000           call 0x0000_0000_0040_0080  <hello::stop>
   0x0000_0000_0040_0017 48891562100000       mov qword [rip + 0x1062], rdx ; 0x0000_0000_0040_1080  <kernel::COUNT>
CR2 -> hello::main
RAX -> hello::stop+0x4
RBX -> kernel::COUNT+0x4
RCX RDX -> stack of the program, 0x100 below its top
RSI -> guard page of stack of the program
RDI -> kernel::go+0x4 (physmap)
R8 -> physmap + 0xf000000
PML4 ";
    assert!(text.contains(wanted), "{text}");
}

#[test]
fn a_null_pointer_and_an_address_that_is_not_canonical_are_those_that_were_used() {
    let null = |record: &mut FaultRecord| {
        record.registers.cr2 = 0x18;
        record.registers.rax = 0;
        record.registers.rcx = 2;
        // MOV RAX, [RAX + RCX * 8 + 8].
        record.code = Code::new(&[0x48, 0x8b, 0x44, 0xc8, 0x08]);
        // Its PML4 has nothing in any entry.
        let root = PhysAddr(0x1000);
        let paging = Paging::four_level(40);
        let mut memory = Simulated::new(paging, root);
        let walk = machine::walk(&mut memory, &paging, root, VirtAddr(0x18));
        record.walk = Some(walk);
    };
    let text = changed(null);
    assert!(text.contains("through a null pointer, 0x18"), "{text}");
    // RBX is 0, too, and has nothing to do with it.
    assert!(
        text.contains("\nRAX -> null\nRCX -> null + 0x2\nRDI "),
        "{text}"
    );
    let text = changed(|record| {
        record.vector = 13;
        record.error = 0;
        record.walk = None;
        record.registers.rcx = 1 << 63;
        record.registers.rdx = 1 << 63;
        // MOV AL, [RCX].
        record.code = Code::new(&[0x8a, 0x01]);
    });
    assert!(text.contains("\nRCX -> not canonical\nRDI "), "{text}");
}

#[test]
fn what_is_no_instruction_is_shown_as_bytes() {
    let text = changed(|record| record.code = Code::new(&[0x06, 0x0f]));
    assert!(text.contains("\ncode at RIP: 06 0f\n"), "{text}");
    assert!(!text.contains("=>"), "{text}");
    let text = changed(|record| record.code = Code::default());
    assert!(
        !text.contains("code at RIP") && !text.contains("=>"),
        "{text}"
    );
}

#[test]
fn a_number_that_is_no_fault_is_refused() {
    assert_eq!(
        failed("fault 2"),
        "fault: there is no fault 2; 3 to 4 are there\n"
    );
    let mut machine = Machine::full();
    machine.faults = None;
    assert_eq!(
        output(&mut machine, "faults").0,
        "faults: this target has no record of faults\n"
    );
}

/// A session, and a machine on which something goes wrong between two lines.
fn after_a_fault(lines: &[&str], panic: bool) -> String {
    let mut machine = Machine::full();
    let mut shell = Shell::new();
    let mut terminal = Scripted::new(80, 24);
    let (last, first) = lines.split_last().expect("there are some");
    for line in first {
        shell.execute(line, &mut machine, &mut terminal);
    }
    let faults = machine.faults.as_mut().expect("it has some");
    for seq in [5, 6] {
        let mut record = faults.0.last().expect("it has some").clone();
        record.seq = seq;
        record.panic = panic.then(|| "no reason".try_into().expect("it fits"));
        faults.0.push(record);
    }
    terminal.wire.clear();
    shell.execute(last, &mut machine, &mut terminal);
    terminal.wire
}

#[test]
fn a_fault_runs_what_is_set_once_and_not_again() {
    let set = "on fault { echo first $_; assert $_ == 6 }";
    assert_eq!(
        after_a_fault(&[set, "echo later; echo at last"], false),
        "later\non fault: echo first $_; assert $_ == 6\nfirst $_\nat last\n"
    );
    // Nothing was set for a panic, and a panic is none.
    assert_eq!(after_a_fault(&[set, "echo later"], true), "later\n");
    let both = "on panic { echo it was; on panic {} }";
    assert_eq!(
        after_a_fault(&[both, "echo later; on"], true),
        "later\non panic: echo it was; on panic {}\nit was\n\
         on panic {}\non fault {}\non exit {}\n"
    );
    // Cleared.
    assert_eq!(
        after_a_fault(&[set, "on fault {}", "echo later"], false),
        "later\n"
    );
}

#[test]
fn what_is_set_is_listed_and_what_is_wrong_is_said() {
    assert_eq!(
        ok("on fault { fault; bt }; on exit {ps}; on"),
        "on panic {}\non fault { fault; bt }\non exit { ps }\n"
    );
    assert_eq!(
        failed("on fault fault"),
        "on: commands belong in braces: on fault { fault }\n"
    );
    assert_eq!(
        failed("on reboot {}"),
        "on: `reboot` is not something to react to: panic, fault or exit\n"
    );
    // A command in it that fails is said, and the line that was typed has not failed.
    let wrong = "on fault { nonsense }";
    let text = after_a_fault(&[wrong, "echo later; assert $? == 0"], false);
    assert!(text.contains("nonsense"), "{text}");
    assert!(!text.contains("assert"), "{text}");
}
