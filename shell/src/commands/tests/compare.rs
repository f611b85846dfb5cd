//! `diff` and `tables`.

use machine::{Entry, PageSize, PhysAddr, PhysMemory as _, VirtAddr};

use super::{failed, ok};
use crate::Shell;
use crate::Status;
use crate::testing::{Machine, ROOT, Scripted, output, process_root};

const TWO: &str = "spawn spinner &; spawn spinner &; ";

/// The last line of what a line prints on a machine with two processes.
#[track_caller]
fn last(machine: &mut Machine, line: &str) -> String {
    let (text, status) = output(machine, &format!("{TWO}{line}"));
    assert_eq!(status, Status::Ok, "{text}");
    text.lines().last().unwrap_or("").to_string()
}

#[test]
fn the_kernel_half_of_a_process_is_the_masters() {
    let mut machine = Machine::full();
    assert_eq!(
        last(&mut machine, "diff master 1 kernel"),
        "256 of 256 kernel slots shared"
    );
    let text = ok(&format!("{TWO}diff master 1; assert $_ == 2"));
    let rows: Vec<&str> = text.lines().skip(2).collect();
    assert_eq!(
        rows,
        [
            "0x0000_0000_0040_0000..0x0000_0000_0040_0fff PT   0x0000_0010_3000 0000000000073005 | 0x0000_0010_b000 0000000000073005 equal: pages 1x4K",
            "0x0000_0000_0040_1000..0x0000_0000_0040_1fff PT   0x0000_0010_3008 8000000000074007 | 0x0000_0010_b008 0000000000000000 only in master: pages 1x4K",
            "0x0000_0000_0060_0000..0x0000_0000_007f_ffff PD   0x0000_0010_2018 0000000000000000 | 0x0000_0010_a018 000000000010c007 only in pid 1: pages 1x4K",
            "0xffff_8000_0000_0000..0xffff_c97f_ffff_ffff PML4 0x0000_0010_0800 0000000000104007 | 0x0000_0030_1800 0000000000104007 shared: 2 entries",
            "256 of 256 kernel slots shared; user half: 1 page equal, 1 page only in master, 1 page only in pid 1",
        ]
    );
}

#[test]
fn two_processes_differ_in_the_frames_of_their_own_pages() {
    let text = ok(&format!("{TWO}diff 1 2 --user; assert $_ == 1"));
    assert!(
        text.ends_with(
            "8000000000501007 | 0x0000_0011_0000 8000000000502007 differs in frame\n\
         user half: 1 page equal, 1 entry differs\n"
        ),
        "{text}"
    );
}

#[test]
fn a_right_that_was_taken_away_is_named_with_both_entries() {
    let mut machine = Machine::full();
    let at = PhysAddr(process_root(1).0 + 256 * 8);
    let raw = machine.memory.read_u64(at).unwrap_or(0);
    machine.memory.write_u64(at, raw & !Entry::WRITABLE);
    let line = format!("{TWO}diff 0 1 --kernel; assert $_ == 1");
    let (text, status) = output(&mut machine, &line);
    assert_eq!(status, Status::Ok, "{text}");
    assert!(text.contains(
        "0xffff_8000_0000_0000..0xffff_807f_ffff_ffff PML4 0x0000_0010_0800 0000000000104007 | 0x0000_0030_1800 0000000000104005 differs in W, urwx | ur-x\n"
    ), "{text}");
    assert!(
        text.ends_with("\n255 of 256 kernel slots shared, 1 entry differs\n"),
        "{text}"
    );
}

#[test]
fn sizes_types_and_frames_of_tables_are_told_apart() {
    let mut machine = Machine::full();
    let root = PhysAddr(0x90_0000);
    machine.memory.add_ram(root, 0x1000);
    let mut map = |va: u64, pa, size, flags| {
        machine
            .memory
            .map_in(root, VirtAddr(va), PhysAddr(pa), size, flags);
    };
    let data = Entry::WRITABLE | Entry::NO_EXECUTE;
    map(
        0xffff_8000_0000_0000,
        0,
        PageSize::Size2M,
        data | Entry::CACHE_DISABLE,
    );
    map(0xffff_8000_0020_0000, 0x20_0000, PageSize::Size4K, data);
    map(0xffff_c900_0000_1000, 0x7_5000, PageSize::Size4K, data);
    let (text, _) = output(&mut machine, "diff master 0x90_0000 kernel; assert $_ == 2");
    let said: Vec<&str> = text
        .lines()
        .filter_map(|line| line.split_once(" | "))
        .map(|(_, said)| said.split_at(34).1)
        .collect();
    assert_eq!(
        said,
        [
            "differs in type, WB | UC-",
            "differs in U NX size, -rw- | urwx, pages 1x2M | 1x4K",
            "equal: pages 1x4K"
        ],
        "{text}"
    );
    assert!(
        text.ends_with("254 of 256 kernel slots shared, 1 equal, 2 entries differ\n"),
        "{text}"
    );
}

#[test]
fn what_cannot_be_followed_is_unknown_and_not_alike() {
    let mut machine = Machine::full();
    machine.memory.write_u64(PhysAddr(ROOT + 8 * 300), 0x9_9007);
    machine
        .memory
        .write_u64(PhysAddr(process_root(1).0 + 8 * 300), 0x9_a007);
    let line = format!("{TWO}diff master 1 kernel; assert $_ == 1");
    let (text, status) = output(&mut machine, &line);
    assert_eq!(status, Status::Ok, "{text}");
    assert!(
        text.contains(
            "PDPT 0x0000_0009_9000 ???????????????? | 0x0000_0009_a000 ???????????????? \
         unknown: unreadable (no memory at 0x0000_0009_9000) in master, \
         unreadable (no memory at 0x0000_0009_a000) in pid 1\n"
        ),
        "{text}"
    );
    assert!(
        text.ends_with("\n255 of 256 kernel slots shared, 1 row unknown\n"),
        "{text}"
    );
}

#[test]
fn accessed_counts_only_if_it_is_asked_for() {
    let mut machine = Machine::full();
    let at = PhysAddr(process_root(1).0 + 256 * 8);
    let raw = machine.memory.read_u64(at).unwrap_or(0);
    machine.memory.write_u64(at, raw | Entry::ACCESSED);
    assert_eq!(
        last(&mut machine, "diff 0 1 kernel"),
        "256 of 256 kernel slots shared"
    );
    assert_eq!(
        last(&mut machine, "diff 0 1 kernel ad"),
        "255 of 256 kernel slots shared, 1 entry differs"
    );
}

#[test]
fn a_comparison_without_end_can_be_left() {
    let mut machine = Machine::full();
    // Each table names the next with all of its entries, and the two sides never meet.
    for (first, step) in [(0x200_0000_u64, 0x1000_u64), (0x300_0000, 0x1000)] {
        for table in 0..4 {
            let at = first + table * step;
            for index in 0..512 {
                machine
                    .memory
                    .write_u64(PhysAddr(at + index * 8), (at + step) | 7);
            }
        }
    }
    let mut terminal = Scripted::new(80, 24);
    terminal.interrupt_after = Some(3);
    let status = Shell::new().execute("diff 0x200_0000 0x300_0000", &mut machine, &mut terminal);
    assert_eq!(status, Status::Interrupted);
}

#[test]
fn mistakes_in_a_comparison_are_one_line() {
    assert_eq!(failed("diff"), "diff: which root?\n");
    assert_eq!(failed("diff master"), "diff: which root?\n");
    assert_eq!(
        failed("diff master cr3 kernel --user"),
        "diff: `user` contradicts `kernel`\n"
    );
    assert_eq!(
        failed("diff master cr3 upper"),
        "diff: `upper` is not kernel, user, all, ad, below, pages or a range\n"
    );
    assert_eq!(
        failed("diff cr3 master 2..1"),
        "diff: the range ends before it begins\n"
    );
    assert_eq!(
        ok("diff master cr3 user 0xffff_8000_0000_0000..0xffff_ffff_ffff_ffff"),
        "no canonical address in the range\n"
    );
}

#[test]
fn tables_are_private_or_shared_and_cost_a_frame_each() {
    let text = ok(&format!("{TWO}tables 2; assert $_ == 10"));
    let rows: Vec<&str> = text.lines().skip(2).collect();
    assert_eq!(
        rows[0],
        "PML4 0x0000_0030_2000 0x0000_0000_0000_0000 private"
    );
    assert_eq!(
        rows[5],
        "PDPT 0x0000_0010_4000 0xffff_8000_0000_0000 shared with 2 spaces"
    );
    assert_eq!(
        rows.last(),
        Some(&"10 tables 40K: 5 private 20K, 5 shared 20K")
    );
}

#[test]
fn a_table_counts_once_in_the_sum_of_all_spaces() {
    let text = ok(&format!("{TWO}tables; assert $_ == 19"));
    let rows: Vec<&str> = text.lines().skip(2).collect();
    assert_eq!(rows.len(), 4, "{text}");
    assert!(rows[1].starts_with("pid 1 "), "{text}");
    assert!(rows[1].ends_with(", 5 private 20K"), "{text}");
    assert_eq!(rows[3], "3 spaces: 19 tables 76K");
    // Without processes the master is all there is.
    assert_eq!(
        output(&mut Machine::bare(), "tables"),
        (
            "tables: this target has no master table\n".to_string(),
            Status::Failed
        )
    );
}
