//! `check iret`, `check switch`, `spoil`, and what `iretq` makes of them.

use machine::{Level, PhysAddr, VirtAddr};

use super::failed;
use crate::testing::{Machine, Needs, output};
use crate::{Rsp0, Spoil, Status};

/// A machine with user segments in its GDT, and knowledge of switches.
fn machine() -> Machine {
    let mut machine = Machine::full();
    machine.switches = Some(Needs::new());
    // After the kernel's two and the task state segment: user data 0x2b, user code 0x33.
    machine
        .memory
        .write_u64(PhysAddr(0x7_5028), 0x00cf_f300_0000_ffff);
    machine
        .memory
        .write_u64(PhysAddr(0x7_5030), 0x00af_fb00_0000_ffff);
    machine.registers.as_mut().expect("full").gdtr.limit = 0x37;
    machine
}

#[track_caller]
fn last(text: &str) -> &str {
    text.lines().last().unwrap_or("")
}

#[test]
fn a_frame_is_judged_word_by_word_and_the_last_line_is_the_answer() {
    let good = "check iret 0x40_0000 0x33 0x202 0x40_1800 0x2b";
    let (text, status) = output(&mut machine(), good);
    assert_eq!(status, Status::Ok, "{text}");
    assert_eq!(last(&text), "enters ring 3 at 0x0000_0000_0040_0000");
    assert!(
        text.contains("cs     ok   0x0033 gdt[6] rpl 3 code 64-bit dpl 3\n"),
        "{text}"
    );
    let (text, _) = output(&mut machine(), &format!("{good}; eval $_"));
    assert!(text.contains("hex     0x0\n"), "{text}");
    let bad = "check iret 0x40_0000 0x10 0x202 0x40_1800 0x2b";
    let (text, status) = output(&mut machine(), &format!("{bad}; assert $_ == 0x20d"));
    assert_eq!(status, Status::Failed);
    assert_eq!(
        last(&text),
        "check: #GP general protection, error code 0x10, in ring 0 at the IRETQ"
    );
}

#[test]
fn a_switch_lists_its_needs_and_says_where_it_would_stop() {
    let mut machine = machine();
    let pid = machine.processes().child("hello", &[], 0);
    let (text, _) = output(&mut machine, &format!("check switch {pid}"));
    assert!(
        text.starts_with(
            "ok   way    return address 0xffff_c900_0000_1000 -rw-\n\
             ok   way    stack in use 0xffff_c900_0000_1000..0xffff_c900_0000_1fff -rw-\n\
             ok   trap   guard below it 0xffff_c900_0000_0000..0xffff_c900_0000_0fff not mapped\n"
        ),
        "{text}"
    );
    let needs = &mut machine.switches.as_mut().expect("set").needs;
    needs[1].first = VirtAddr(0xffff_c900_0000_3000);
    let (text, status) = output(&mut machine, &format!("check switch {pid}; eval $_"));
    assert_eq!(status, Status::Failed);
    assert!(
        text.contains(
            "FAIL way    stack in use 0xffff_c900_0000_3000..0xffff_c900_0000_3fff: PT entry at 0x"
        ),
        "{text}"
    );
    assert!(
        text.contains("stops at: stack in use: #PF page fault at 0xffff_c900_0000_3000, error code 0x2 (W/R), then "),
        "{text}"
    );
    assert!(text.contains("check: 1 of 3 needs is not met\n"), "{text}");
    assert!(text.contains("hex     0x1\n"), "{text}");
}

#[test]
fn an_rsp0_that_is_another_stacks_is_a_need_not_met() {
    let mut machine = machine();
    let pid = machine.processes().child("hello", &[], 0);
    machine.switches.as_mut().expect("set").rsp0 = Rsp0 {
        value: VirtAddr(0xffff_c900_0000_1800),
        should_be: VirtAddr(0xffff_c900_0000_2000),
    };
    let (text, status) = output(&mut machine, &format!("check switch {pid}"));
    assert_eq!(status, Status::Failed);
    assert!(
        text.contains(
            "FAIL trap   RSP0 0xffff_c900_0000_1800: its kernel stack ends at 0xffff_c900_0000_2000\n"
        ),
        "{text}"
    );
}

#[test]
fn ways_to_break_a_process_are_read() {
    let mut machine = machine();
    let pid = machine.processes().child("spinner", &[], 0);
    let line = format!("spoil {pid} pt:0x40_0000+0x10:absent PML4:$rsp:no-execute rsp0=8");
    let (text, status) = output(&mut machine, &line);
    assert_eq!((text.as_str(), status), ("", Status::Ok));
    let entry = |va, level, clear, set| Spoil::Entry {
        va: VirtAddr(va),
        level,
        clear,
        set,
    };
    assert_eq!(
        machine.switches.expect("set").spoiled,
        [
            (pid, entry(0x40_0010, Level::Pt, 1, 0)),
            (pid, entry(0xffff_c900_0000_1ff0, Level::Pml4, 0, 1 << 63)),
            (pid, Spoil::Rsp0(VirtAddr(8))),
        ]
    );
}

#[test]
fn bad_ways_to_break_a_process_get_one_line() {
    for (words, message) in [
        ("", "which way to break it?"),
        (
            "pt:0",
            "`pt:0` is not a way to break an entry; that is LEVEL:ADDRESS:CHANGE",
        ),
        (
            "p1:0:absent",
            "`p1` is not a level; those are pml4, pdpt, pd and pt",
        ),
        (
            "pt:0:gone",
            "`gone` is not a change; those are absent, read-only, supervisor, no-execute and reserved",
        ),
        ("rsp1=0", "`rsp1=0` is not `rsp0=` or LEVEL:ADDRESS:CHANGE"),
    ] {
        let mut machine = machine();
        let pid = machine.processes().child("spinner", &[], 0);
        let (text, status) = output(&mut machine, &format!("spoil {pid} {words}"));
        assert_eq!(
            (text, status),
            (format!("spoil: {message}\n"), Status::Failed)
        );
    }
    assert_eq!(
        failed("spoil 9 rsp0=0"),
        "spoil: there is no such process: 9; `ps` lists them\n"
    );
}

#[test]
fn a_target_without_knowledge_of_switches_says_so() {
    let mut machine = Machine::full();
    let pid = machine.processes().child("spinner", &[], 0);
    let (text, _) = output(&mut machine, &format!("check switch {pid}"));
    assert_eq!(
        text,
        "check: this target has no knowledge of what a switch needs\n"
    );
}
