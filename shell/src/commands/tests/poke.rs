//! `poke-entry` and `undo`.

use machine::{Entry, PhysAddr, PhysMemory as _, VirtAddr};

use super::{failed, ok};
use crate::testing::{Machine, ROOT, output, process_root};
use crate::{Flush, Status};

#[track_caller]
fn run(machine: &mut Machine, line: &str) -> String {
    let (text, status) = output(machine, line);
    assert_eq!(status, Status::Ok, "{text}");
    text
}

fn entry(machine: &mut Machine, at: u64) -> u64 {
    machine
        .memory
        .read_u64(PhysAddr(at))
        .expect("it has memory")
}

/// Each bit has its name, at the levels where it means something.
#[test]
fn a_setting_changes_its_bit_and_nothing_else() {
    let mut machine = Machine::full();
    run(&mut machine, "spawn spinner &");
    // The entries on the way to the stack of process 1, from its PML4 down.
    let top = process_root(1).0;
    let pdpt = entry(&mut machine, top) & 0xff_ffff_f000;
    let pd = (entry(&mut machine, pdpt) & 0xff_ffff_f000) + 3 * 8;
    let pt = entry(&mut machine, pd) & 0xff_ffff_f000;
    let bits = [
        ("p", 0),
        ("w", 1),
        ("u", 2),
        ("pwt", 3),
        ("pcd", 4),
        ("a", 5),
        ("d", 6),
        ("g", 8),
        ("nx", 63),
    ];
    for (level, at, seven) in [
        ("pml4", top, "ps"),
        ("pdpt", pdpt, "ps"),
        ("pd", pd, "ps"),
        ("PT", pt, "pat"),
    ] {
        for (name, bit) in bits.into_iter().chain([(seven, 7)]) {
            let old = entry(&mut machine, at);
            let set = u64::from(old >> bit & 1 == 0);
            let line = format!("poke-entry 1 0x60_0008 {level} {name}={set}");
            run(&mut machine, &line);
            assert_eq!(entry(&mut machine, at) ^ old, 1 << bit, "{line}");
            run(&mut machine, "undo");
            assert_eq!(entry(&mut machine, at), old, "{line}");
        }
    }
    let flushed = machine.pencil.expect("it can be written").flushed;
    let page = Flush::Page(VirtAddr(0x60_0000));
    assert_eq!(flushed.len(), 80);
    assert_eq!(flushed.iter().filter(|flush| **flush == page).count(), 20);
}

#[test]
fn a_frame_is_put_between_the_other_bits() {
    let mut machine = Machine::full();
    let line = "spawn spinner &; poke-entry 1 0x40_0000 pt 0x8000000000073007 frame=0xf_ffff_ffff_f000 d=1";
    let text = run(&mut machine, line);
    assert!(
        text.contains("now PT   0x0000_0010_b000 [  0] 800ffffffffff047 malformed"),
        "{text}"
    );
    // The PAT bit of a large page is no part of its address.
    let text = run(
        &mut machine,
        "poke-entry 1 0x40_0000 pd 0x83 pat=1 frame=0x4000_0000",
    );
    assert!(
        text.contains("[  2] 0000000040001083 page  0x0000_4000_0000"),
        "{text}"
    );
    let (text, _) = output(&mut machine, "poke-entry 1 0x40_0000 pd frame=0x1000");
    assert_eq!(
        text,
        "poke-entry: `0x1000` is not where a large page can be\n"
    );
}

#[test]
fn who_has_the_table_is_said() {
    let mut machine = Machine::full();
    let two = "spawn spinner &; spawn spinner &; ";
    let text = run(
        &mut machine,
        &format!("{two}poke-entry 1 0xffff_8000_0000_0000 pd w=1"),
    );
    assert!(
        text.contains("warning: all 3 spaces have this table\n"),
        "{text}"
    );
    let text = run(&mut machine, "poke-entry 1 0xffff_a000_0000_0000 pml4 nx=1");
    assert!(
        text.contains("warning: an entry of the kernel half, and only in pid 1\n"),
        "{text}"
    );
    // A table that two processes share by an edit is found in both, by its address as well.
    let top = PhysAddr(process_root(1).0);
    let raw = entry(&mut machine, top.0);
    run(&mut machine, &format!("poke-entry 2 0 pml4 {raw:#x}"));
    let pdpt = raw & 0xff_ffff_f000;
    let text = run(&mut machine, &format!("poke-entry {pdpt:#x} w=0"));
    assert!(
        text.contains("warning: 2 spaces have this table\n"),
        "{text}"
    );
    assert!(text.contains("was PDPT "), "{text}");
}

/// Everything that would take the stack of the kernel away, at every level, and nothing else.
#[test]
fn what_the_kernel_stands_on_is_kept() {
    let stack = "0xffff_c900_0000_1000";
    for change in ["p=0", "w=0", "u=1 frame=0x7_4000", "0", "frame=0x7_6000"] {
        for level in ["pt", "pd", "pdpt"] {
            if change.starts_with('u') && level != "pt" {
                continue;
            }
            let text = failed(&format!("poke-entry master {stack} {level} {change}"));
            assert!(
                text.starts_with(
                    "poke-entry: the kernel would not survive it: \
                     0xffff_c900_0000_1000 (kernel stacks) in the master "
                ),
                "{level} {change}: {text}"
            );
            let forced = format!("poke-entry master {stack} {level} {change} --force");
            assert!(
                ok(&forced)
                    .contains("warning: 0xffff_c900_0000_1000 (kernel stacks) in the master ")
            );
        }
    }
    for change in ["a=0", "nx=1", "g=1", "pcd=1", "x=0"] {
        let (text, status) = output(
            &mut Machine::full(),
            &format!("poke-entry master {stack} pt {change}"),
        );
        assert_eq!(status == Status::Ok, change != "x=0", "{text}");
    }
    // The guard page is not vital, nor what is not the kernel's.
    ok("poke-entry master 0xffff_c900_0000_0000 pt 0x7_5003");
    ok("poke-entry master 0x40_0000 pml4 p=0");
    // A process's own entry to the same stack: the kernel would die once the process runs.
    let line = "spawn spinner &; poke-entry 1 0xffff_c900_0000_1000 pml4";
    let text = failed(&format!("{line} p=0"));
    assert!(text.contains(" in pid 1 would not be mapped; "), "{text}");
    let text = failed(&format!("{line} ps=1"));
    assert!(text.contains(" in pid 1 would be malformed; "), "{text}");
}

// SMEP and SMAP: what is user code's is lost to the kernel. One level alone does not make it so.
#[test]
fn a_page_that_becomes_user_codes_is_lost() {
    let mut machine = Machine::full();
    let stack = "0xffff_c900_0000_1000";
    // The machine's upper tables have U; here they shall not.
    let top = ROOT + 402 * 8;
    let raw = entry(&mut machine, top);
    machine.memory.write_u64(PhysAddr(top), raw & !Entry::USER);
    run(&mut machine, &format!("poke-entry master {stack} pt u=1"));
    let (text, _) = output(&mut machine, &format!("poke-entry master {stack} pml4 u=1"));
    assert!(text.contains(" would be for user code; "), "{text}");
}

#[test]
fn an_edit_that_is_no_more_is_refused_and_the_one_before_it_taken_back() {
    let mut machine = Machine::full();
    run(
        &mut machine,
        "spawn spinner &; poke-entry 1 0x40_0000 pt w=1; poke-entry 1 0x60_0000 pt nx=0; \
         poke-entry 1 0x40_0000 pd pcd=1",
    );
    let pt = PhysAddr(0x10_c000);
    if let Some(pencil) = &mut machine.pencil {
        pencil.list.forget_table(pt);
    }
    let list = run(&mut machine, "undo list");
    let states: Vec<_> = list
        .lines()
        .filter_map(|line| line.split(' ').nth_back(1))
        .collect();
    assert_eq!(states.len(), 4, "{list}");
    assert!(list.contains("  2 PT   0x0000_0010_c000 8000000000501007 -> 0000000000501007 gone     0x0000_0000_0060_0000\n"), "{list}");
    let (text, status) = output(&mut machine, "undo all");
    assert_eq!(status, Status::Failed);
    assert!(
        text.contains("undo: edit 2 of 0x0000_0010_c000: its table has been given back since; it is off the list\n"),
        "{text}"
    );
    assert_eq!(entry(&mut machine, 0x10_b000), 0x7_3005);
    assert_eq!(run(&mut machine, "undo list"), "0 edits\n");
}

#[test]
fn there_is_room_for_so_many() {
    let line = "spawn spinner &; repeat 32 poke-entry 1 0x40_0000 pt a=1";
    let text = failed(&format!("{line}; poke-entry 1 0x40_0000 pt a=1"));
    assert!(
        text.ends_with("poke-entry: 32 edits are remembered, and no more; `undo` some\n"),
        "{text}"
    );
    let (text, _) = output(
        &mut Machine::bare(),
        "poke-entry 0x10_0000 0; undo; undo list",
    );
    assert!(
        text.lines()
            .all(|line| line.ends_with(": this target has no way to write entries")),
        "{text}"
    );
}
