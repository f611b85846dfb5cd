//! `frame` and `whatis`.

use machine::{Entry, PageSize, PhysAddr, VirtAddr};

use super::failed;
use crate::testing::ledger::{HEAP, STACKS};
use crate::testing::{Machine, Scripted, output, process_root};
use crate::{FrameOwner, Shell, Status};

/// What a line prints on the machine whose books are right.
#[track_caller]
fn ok(line: &str) -> String {
    let (text, status) = output(&mut Machine::audited(), line);
    assert_eq!(status, Status::Ok, "{text}");
    text
}

#[track_caller]
fn last(line: &str) -> String {
    ok(line).lines().last().unwrap_or("").to_string()
}

#[test]
fn a_page_of_two_processes_is_shown_with_both_entries() {
    assert_eq!(
        ok("frame 0x40_0fff; assert $_ == 2"),
        "PD   0x0000_0010_2000 [  2] 8000000000400083 page  0xffff_8000_0040_0000 -rw- (2M page) in master and 2 others, physmap\n\
         PT   0x0000_0011_4000 [  0] 0000000000400005 page  0x0000_0000_0040_0000 ur-x (4K page) in pid 1\n\
         PT   0x0000_0011_8000 [  0] 0000000000400005 page  0x0000_0000_0040_0000 ur-x (4K page) in pid 2\n\
         0x0000_0040_0000 is code of pid 1 and 1 more process; 2 mappings and the physmap's; books: user pages, 2 have it\n"
    );
}

#[test]
fn the_role_of_a_frame_is_what_it_is_used_for() {
    for (at, role) in [
        (
            process_root(1).0,
            "PML4 of pid 1; 0 mappings and the physmap's, 2 roots; books: page tables",
        ),
        (
            0x11_2000,
            "PDPT of pid 1; 0 mappings and the physmap's, 1 reference; books: page tables",
        ),
        (
            0x11_3000,
            "PD of pid 1; 0 mappings and the physmap's, 1 reference; books: page tables",
        ),
        (
            0x11_4000,
            "PT of pid 1; 0 mappings and the physmap's, 1 reference; books: page tables",
        ),
        (
            0x10_c000,
            "PDPT of master and 2 spaces more; 0 mappings and the physmap's, 3 references; books: page tables",
        ),
        (
            0x10_e000,
            "PT of master and 2 spaces more; 0 mappings and the physmap's, 1 reference; books: page tables",
        ),
        (
            0x51_1000,
            "data of pid 1; 1 mapping and the physmap's; books: user pages",
        ),
        (
            0x21_1000,
            "heap at 0xffff_c800_0000_1000; 1 mapping and the physmap's; books: heap",
        ),
        (
            0x20_0000,
            "kernel image at 0xffff_8100_0000_0000; 2 mappings and the physmap's; books: kernel image",
        ),
        (
            0x22_0000,
            "kernel stack 0 at 0xffff_c900_0000_1000; 1 mapping and the physmap's; books: kernel stacks",
        ),
        (
            0x22_7000,
            "kernel stack 3 (pid 3) at 0xffff_c900_0000_b000; 1 mapping and the physmap's; books: kernel stacks",
        ),
        (
            0x23_0000,
            "IST stack 1 at 0xffff_c980_0000_1000; 1 mapping and the physmap's; books: IST stacks",
        ),
        (0x60_0000, "free; 0 mappings and the physmap's; books: free"),
        (
            0x1000,
            "low 1 MiB; 0 mappings and the physmap's; books: low 1 MiB",
        ),
        (0xfd00_0000, "device memory; 1 mapping"),
        (0x9000_0000, "no memory; 0 mappings"),
    ] {
        let expected = format!("{} is {role}", PhysAddr(at));
        assert_eq!(last(&format!("frame {at:#x}")), expected);
    }
}

#[test]
fn registers_that_name_a_frame_are_shown() {
    let text = ok("frame $cr3");
    let rows: Vec<_> = text.lines().collect();
    assert_eq!((rows[0], rows[2]), ("root of master", "CR3"));
    let text = ok(&format!("frame {:#x}", process_root(2).0));
    let rows: Vec<_> = text.lines().collect();
    assert_eq!((rows[1], rows[2]), ("root of pid 2", "saved CR3 of pid 2"));
}

#[test]
fn a_freed_page_and_a_leaked_table_are_said_to_be_so() {
    let mut machine = Machine::audited();
    machine.books().give(0x51_0000, FrameOwner::Free);
    machine.books().give(0x60_0000, FrameOwner::PageTable);
    let (text, _) = output(&mut machine, "frame 0x51_0000");
    assert!(
        text.ends_with("\n0x0000_0051_0000 is free; 1 mapping and the physmap's; books: free\n"),
        "{text}"
    );
    let (text, _) = output(&mut machine, "frame 0x60_0000");
    assert!(
        text.contains(" is page table that nothing names; "),
        "{text}"
    );
}

#[test]
fn a_large_page_of_a_process_has_the_frame() {
    let mut machine = Machine::audited();
    let (va, at) = (VirtAddr(0x80_0000), PhysAddr(0x60_0000));
    let flags = Entry::USER | Entry::HUGE;
    let root = process_root(2);
    machine.memory.map_in(root, va, at, PageSize::Size2M, flags);
    let (text, _) = output(&mut machine, "frame 0x7f_f123");
    assert!(
        text.contains("600085 page  0x0000_0000_0080_0000 ur-x (2M page) in pid 2\n"),
        "{text}"
    );
}

#[test]
fn a_process_with_a_table_of_its_own_in_the_kernels_half_is_seen() {
    let mut machine = Machine::audited();
    // A PT of its own, which maps another frame where the heap is.
    for (table, next) in [(0x60_0000, 0x60_1000), (0x60_1000, 0x60_2000)] {
        machine.memory.write_u64(PhysAddr(table), next | 7);
    }
    machine.memory.write_u64(PhysAddr(0x60_2000), 0x60_3000 | 3);
    let slot = PhysAddr(process_root(1).0 + 8 * 400);
    machine.memory.write_u64(slot, 0x60_0000 | 7);
    let (text, _) = output(&mut machine, "frame 0x60_3000");
    assert!(
        text.contains("PT   0x0000_0060_2000 [  0] 0000000000603003 page  0xffff_c800_0000_0000 -rwx (4K page) in pid 1\n"),
        "{text}"
    );
    let (text, _) = output(&mut machine, "frame 0x21_0000");
    assert!(
        text.contains(" -rw- (4K page) in master and 1 other\n"),
        "{text}"
    );
}

#[test]
fn a_number_is_all_that_it_could_be() {
    assert_eq!(
        ok("whatis 2"),
        "virtual  0x0000_0000_0000_0002 is not mapped: PML4 entry not present\n\
         physical 0x0000_0000_0002 low 1 MiB\n\
         pid      2 sleeper, sleeping\n"
    );
    assert_eq!(
        ok("whatis 0x60_1234; assert $_ == 0x60_1234"),
        "virtual  0x0000_0000_0060_1234 is not mapped: PML4 entry not present; mapped in pid 1 and 1 other\n\
         physical 0x0000_0060_1234 free\n"
    );
    assert_eq!(
        ok("in 2 whatis 0x60_1234; assert $_ == 0x52_1234"),
        "virtual  0x0000_0000_0060_1234 -> 0x0000_0052_1234 urw- (4K page): data of pid 2; mapped in pid 1 and 1 other\n\
         physical 0x0000_0060_1234 free\n"
    );
    assert_eq!(
        ok("whatis 0x8000_0000_0000"),
        "virtual  0x0000_8000_0000_0000 is not canonical\n"
    );
}

#[test]
fn an_address_of_the_kernels_half_is_named_by_its_place() {
    for (va, said) in [
        (
            STACKS + 0x2abc,
            "kernel stacks + 0x2abc (kernel stack 0) -> 0x0000_0022_1abc -rw- (4K page)",
        ),
        (
            STACKS + 0x3fff,
            "kernel stacks + 0x3fff (the guard page of kernel stack 1 (pid 1)) is not mapped: PT entry not present",
        ),
        (
            STACKS + 0xd000,
            "kernel stacks + 0xd000 (kernel stack 4, which is free) is not mapped: PT entry not present",
        ),
        (HEAP + 0x1008, " (heap) -> 0x0000_0021_1008 -rw- (4K page)"),
        (
            HEAP + 0x2000,
            " (nothing) is not mapped: PT entry not present",
        ),
        (
            0xffff_8000_0060_0010,
            "physmap + 0x600010 (0x0000_0060_0010) -> 0x0000_0060_0010 -rw- (2M page): free",
        ),
        (
            0xffff_8180_0000_0000,
            " (a device) -> 0x0000_fd00_0000 -rw- (4K page): device memory",
        ),
    ] {
        let gap = if said.starts_with(' ') { "" } else { " " };
        let expected = format!("virtual  {}{gap}{said}\n", VirtAddr(va));
        assert_eq!(ok(&format!("whatis {va:#x}")), expected);
    }
}

#[test]
fn a_search_without_end_can_be_left() {
    let mut machine = Machine::audited();
    // Each table names the next one with all of its entries.
    for table in 0..4 {
        for index in 0..512 {
            let at = 0x60_0000 + table * 0x1000;
            machine
                .memory
                .write_u64(PhysAddr(at + index * 8), (at + 0x1000) | 7);
        }
    }
    machine
        .memory
        .write_u64(PhysAddr(process_root(1).0), 0x60_0000 | 7);
    let mut terminal = Scripted::new(80, 24);
    terminal.interrupt_after = Some(100);
    let status = Shell::new().execute("frame 0x7f_0000", &mut machine, &mut terminal);
    assert_eq!(status, Status::Interrupted);
}

#[test]
fn mistakes_are_one_line() {
    assert_eq!(failed("frame"), "frame: which physical address?\n");
    assert_eq!(failed("frame 1 2"), "frame: `2` is one argument too many\n");
    assert_eq!(failed("whatis"), "whatis: which number?\n");
    assert_eq!(
        failed("whatis 1 2 3"),
        "whatis: there is no such process: 2; `ps` lists them\n"
    );
}
