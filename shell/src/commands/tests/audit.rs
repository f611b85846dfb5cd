//! `frames audit`, on a machine whose books are right but for one thing.

use machine::{Entry, PageSize, PhysAddr, PhysMemory as _, VirtAddr};

use crate::testing::ledger::{FRAMEBUFFER, HEAP, IMAGE, IST, PHYSMAP, STACKS};
use crate::testing::{Machine, ROOT, Scripted, output, process_root};
use crate::{FrameOwner, Shell, Status};

const DATA: u64 = Entry::WRITABLE | Entry::NO_EXECUTE;
const USER: u64 = Entry::USER;
/// A frame that nobody has.
const FREE: u64 = 0x60_0000;

/// The rows of an audit, each without the summary, after one thing has been spoiled.
#[track_caller]
fn rows(spoil: impl FnOnce(&mut Machine)) -> Vec<String> {
    let mut machine = Machine::audited();
    spoil(&mut machine);
    let (text, status) = output(&mut machine, "frames audit");
    assert_eq!(status, Status::Failed, "nothing was found\n{text}");
    let mut rows: Vec<String> = text.lines().map(str::to_string).collect();
    let message = rows.pop().expect("a message");
    let verdict = rows.pop().expect("a verdict");
    let noun = if rows.len() == 1 { "" } else { "s" };
    let expected = format!("{} disagreement{noun}", rows.len());
    assert!(verdict.ends_with(&format!(": {expected}")), "{text}");
    assert_eq!(message, format!("frames: {expected}"));
    rows
}

/// The entry of a page or table, down to a level.
fn entry(machine: &mut Machine, root: PhysAddr, va: u64, level: machine::Level) -> PhysAddr {
    let paging = machine.memory.paging;
    let walk = machine::walk(&mut machine.memory, &paging, root, VirtAddr(va));
    let mut steps = walk.steps().iter();
    let step = steps.find(|step| step.entry.level == level);
    step.expect("it goes that far").entry_address()
}

fn master_entry(machine: &mut Machine, va: u64) -> PhysAddr {
    entry(machine, PhysAddr(ROOT), va, machine::Level::Pt)
}

fn map_in(machine: &mut Machine, root: PhysAddr, va: u64, at: u64, flags: u64) {
    let (va, at) = (VirtAddr(va), PhysAddr(at));
    machine.memory.map_in(root, va, at, PageSize::Size4K, flags);
}

#[test]
fn where_everything_agrees_there_is_only_a_verdict() {
    let (text, status) = output(&mut Machine::audited(), "frames audit; assert $_ == 0");
    assert_eq!(
        (text.as_str(), status),
        (
            "2048 frames, 28 tables, 20 pages mapped in 3 spaces: all accounted for\n",
            Status::Ok
        )
    );
}

#[test]
fn a_table_that_no_root_leads_to_is_a_leak() {
    assert_eq!(
        rows(|machine| machine.books().give(FREE, FrameOwner::PageTable)),
        ["0x0000_0060_0000 page tables: no root leads to it"]
    );
}

#[test]
fn a_table_that_was_given_back_is_named_by_its_entry() {
    let rows = rows(|machine| {
        let at = entry(machine, process_root(1), 0x40_0000, machine::Level::Pd);
        let table = machine.memory.read_u64(at).expect("a table") & !0xfff;
        machine.books().give(table, FrameOwner::Free);
    });
    assert_eq!(
        rows,
        ["0x0000_0011_4000 free: an entry names it as a table; \
          pid 1 PD 0x0000_0011_3010 0000000000114007 for 0x0000_0000_0040_0000"]
    );
}

#[test]
fn something_else_than_a_table_is_named_as_one() {
    let rows = rows(|machine| {
        let at = PhysAddr(process_root(2).0 + 8 * 7);
        machine.memory.write_u64(at, 0x21_0000 | 7);
    });
    assert_eq!(
        rows,
        ["0x0000_0021_0000 heap: an entry names it as a table; \
          pid 2 PML4 0x0000_0030_2038 0000000000210007 for 0x0000_0380_0000_0000"]
    );
}

#[test]
fn tables_and_pages_beyond_ram_are_named() {
    let of_table = rows(|machine| {
        let at = PhysAddr(process_root(2).0 + 8 * 7);
        machine.memory.write_u64(at, 0xfd00_0000 | 7);
    });
    assert_eq!(
        of_table,
        [
            "0x0000_fd00_0000 not in the books: an entry names it as a table; \
          pid 2 PML4 0x0000_0030_2038 00000000fd000007 for 0x0000_0380_0000_0000"
        ]
    );
    let of_page = rows(|machine| {
        map_in(machine, process_root(1), 0x40_5000, 0xfd00_0000, USER);
    });
    assert_eq!(
        of_page,
        ["0x0000_fd00_0000 not in the books: mapped for a process; \
          pid 1 PT 0x0000_0011_4028 00000000fd000005 for 0x0000_0000_0040_5000"]
    );
}

#[test]
fn a_page_is_mapped_more_often_than_it_is_shared() {
    assert_eq!(
        rows(|machine| map_in(machine, process_root(1), 0x40_5000, 0x51_0000, USER)),
        ["0x0000_0051_0000 user pages: mapped 2 times, the books say 1"]
    );
    assert_eq!(
        rows(|machine| machine.books().share(0x40_0000, 0)),
        ["0x0000_0040_0000 user pages: mapped 2 times, the books say 1"]
    );
}

#[test]
fn a_page_is_mapped_less_often_than_it_is_shared() {
    let of_code = rows(|machine| {
        let at = entry(machine, process_root(2), 0x40_0000, machine::Level::Pt);
        machine.memory.write_u64(at, 0);
    });
    assert_eq!(
        of_code,
        ["0x0000_0040_0000 user pages: mapped 1 time, the books say 2"]
    );
    assert_eq!(
        rows(|machine| machine.books().give(FREE, FrameOwner::User)),
        ["0x0000_0060_0000 user pages: mapped 0 times, the books say 1"]
    );
}

#[test]
fn a_page_that_was_given_back_is_still_mapped() {
    assert_eq!(
        rows(|machine| machine.books().give(0x52_1000, FrameOwner::Free)),
        ["0x0000_0052_1000 free: mapped for a process; \
          pid 2 PT 0x0000_0011_9008 8000000000521007 for 0x0000_0000_0060_1000"]
    );
}

#[test]
fn the_kernels_memory_is_mapped_for_a_process() {
    assert_eq!(
        rows(|machine| map_in(machine, process_root(1), 0x40_5000, 0x21_1000, USER)),
        ["0x0000_0021_1000 heap: mapped for a process; \
          pid 1 PT 0x0000_0011_4028 0000000000211005 for 0x0000_0000_0040_5000"]
    );
}

#[test]
fn a_large_page_counts_for_each_of_its_frames() {
    let rows = rows(|machine| {
        let (root, flags) = (process_root(1), DATA | USER);
        let (va, at) = (VirtAddr(0x80_0000), PhysAddr(0x40_0000));
        machine.memory.map_in(root, va, at, PageSize::Size2M, flags);
    });
    // The page of code, the four of the processes' own, and the first that is nobody's.
    assert_eq!(rows.len(), 6, "{rows:#?}");
    assert_eq!(
        rows[0],
        "0x0000_0040_1000 free: mapped for a process; \
         pid 1 PD 0x0000_0011_3020 8000000000400087 for 0x0000_0000_0080_0000"
    );
    assert_eq!(
        rows[1],
        "0x0000_0040_0000 user pages: mapped 3 times, the books say 2"
    );
}

#[test]
fn guard_pages_and_stacks_of_nobody_are_mapped() {
    let guard = rows(|machine| {
        map_in(machine, PhysAddr(ROOT), STACKS + 0x6000, FREE, DATA);
    });
    assert_eq!(
        guard,
        [
            "0x0000_0060_0000 free: mapped where the layout has the guard page of kernel stack 2 (pid 2); \
          master PT 0x0000_0010_e030 8000000000600003 for 0xffff_c900_0000_6000"
        ]
    );
    let ist = rows(|machine| map_in(machine, PhysAddr(ROOT), IST, FREE, DATA));
    assert!(
        ist[0].contains(": mapped where the layout has the guard page of IST stack 1; master PT"),
        "{ist:?}"
    );
    let free = rows(|machine| {
        machine.books().give(FREE, FrameOwner::KernelStack);
        map_in(machine, PhysAddr(ROOT), STACKS + 0xd000, FREE, DATA);
    });
    assert_eq!(
        free,
        [
            "0x0000_0060_0000 kernel stacks: mapped where the layout has kernel stack 4, which is free; \
             master PT 0x0000_0010_e068 8000000000600003 for 0xffff_c900_0000_d000",
            "0x0000_0060_0000 kernel stacks: mapped 0 times, the layout says once"
        ]
    );
}

#[test]
fn memory_of_the_kernel_is_mapped_twice_or_not_at_all() {
    // The second page of the heap where the first one is.
    let swapped = rows(|machine| {
        let at = master_entry(machine, HEAP);
        machine.memory.write_u64(at, 0x21_1000 | DATA | 1);
    });
    assert_eq!(
        swapped,
        [
            "0x0000_0021_0000 heap: mapped 0 times, the layout says once",
            "0x0000_0021_1000 heap: mapped 2 times, the layout says once"
        ]
    );
    let elsewhere = rows(|machine| {
        let at = master_entry(machine, IST + 0x1000);
        machine.memory.write_u64(at, 0x22_0000 | DATA | 1);
    });
    assert_eq!(
        elsewhere,
        [
            "0x0000_0022_0000 kernel stacks: mapped where the layout has IST stack 1; \
             master PT 0x0000_0011_1008 8000000000220003 for 0xffff_c980_0000_1000",
            "0x0000_0023_0000 IST stacks: mapped 0 times, the layout says once"
        ]
    );
    let image = rows(|machine| {
        let at = master_entry(machine, IMAGE + 0x2000);
        machine.memory.write_u64(at, 0);
    });
    assert_eq!(
        image,
        ["0x0000_0020_1000 kernel data: mapped 0 times, the layout says at least once"]
    );
}

#[test]
fn something_is_mapped_where_the_layout_has_nothing() {
    assert_eq!(
        rows(|machine| map_in(machine, PhysAddr(ROOT), HEAP + 0x2000, FREE, DATA)),
        [
            "0x0000_0060_0000 free: mapped where the layout has nothing; \
          master PT 0x0000_0010_b010 8000000000600003 for 0xffff_c800_0000_2000"
        ]
    );
    let device = rows(|machine| {
        let at = master_entry(machine, FRAMEBUFFER);
        machine.memory.write_u64(at, FREE | DATA | 1);
    });
    assert!(
        device[0].starts_with("0x0000_0060_0000 free: mapped where the layout has a device; "),
        "{device:?}"
    );
}

#[test]
fn a_stack_in_use_lacks_a_page() {
    let rows = rows(|machine| {
        let at = master_entry(machine, STACKS + 0xa000);
        machine.memory.write_u64(at, 0);
        machine.books().give(0x22_6000, FrameOwner::Free);
    });
    assert_eq!(
        rows,
        ["kernel stacks: 7 frames, but those in use have 8 pages"]
    );
}

#[test]
fn the_physmap_has_all_of_ram_in_order() {
    let pd = |machine: &mut Machine, page: u64| {
        let va = PHYSMAP + (page << 21);
        entry(machine, PhysAddr(ROOT), va, machine::Level::Pd)
    };
    let swapped = rows(|machine| {
        let at = pd(machine, 3);
        machine.memory.write_u64(at, 0x20_0000 | DATA | 0x81);
    });
    assert_eq!(
        swapped,
        [
            "0x0000_0020_0000 kernel image: mapped where the layout has 0x0000_0060_0000; \
          master PD 0x0000_0010_2018 8000000000200083 for 0xffff_8000_0060_0000"
        ]
    );
    let missing = rows(|machine| {
        let at = pd(machine, 3);
        machine.memory.write_u64(at, 0);
    });
    assert_eq!(missing, ["the physmap has 1536 of 2048 frames of RAM"]);
}

#[test]
fn a_table_is_named_twice_or_from_below() {
    let twice = rows(|machine| {
        let at = PhysAddr(process_root(2).0 + 8);
        let raw = machine.memory.read_u64(process_root(2)).expect("a table");
        machine.memory.write_u64(at, raw);
    });
    assert_eq!(
        twice,
        [
            "0x0000_0011_6000 page tables: another entry names the same table; \
          pid 2 PML4 0x0000_0030_2008 0000000000116007 for 0x0000_0080_0000_0000"
        ]
    );
    let looped = rows(|machine| {
        let at = PhysAddr(ROOT + 8 * 300);
        machine.memory.write_u64(at, ROOT | 3);
        for pid in [1, 2] {
            let at = PhysAddr(process_root(pid).0 + 8 * 300);
            machine.memory.write_u64(at, ROOT | 3);
        }
    });
    assert_eq!(
        looped,
        ["0x0000_0010_0000 page tables: an entry below it names it; \
          master PML4 0x0000_0010_0960 0000000000100003 for 0xffff_9600_0000_0000"]
    );
    // One process reaches into another.
    let across = rows(|machine| {
        let raw = machine.memory.read_u64(process_root(1)).expect("a table");
        machine
            .memory
            .write_u64(PhysAddr(process_root(2).0 + 8), raw);
    });
    assert_eq!(across.len(), 1);
    assert!(
        across[0].starts_with("0x0000_0011_2000 page tables: another entry"),
        "{across:?}"
    );
}

#[test]
fn the_kernel_half_of_a_process_is_the_masters() {
    let slot = |pid| PhysAddr(process_root(pid).0 + 8 * 402);
    let missing = rows(|machine| machine.memory.write_u64(slot(1), 0));
    assert_eq!(
        missing,
        [
            "0x0000_0010_c000 page tables: the master's, but pid 1 does not have it; \
          pid 1 PML4 0x0000_0030_1c90 0000000000000000 for 0xffff_c900_0000_0000"
        ]
    );
    // A copy of the PDPT names the same tables below.
    let private = rows(|machine| {
        machine.books().give(FREE, FrameOwner::PageTable);
        let raw = machine
            .memory
            .read_u64(PhysAddr(0x10_c000))
            .expect("a table");
        machine.memory.write_u64(PhysAddr(FREE), raw);
        machine.memory.write_u64(slot(1), FREE | 7);
    });
    assert_eq!(
        private,
        [
            "0x0000_0060_0000 page tables: in the kernel's half, but not the master's; \
          pid 1 PML4 0x0000_0030_1c90 0000000000600007 for 0xffff_c900_0000_0000"
        ]
    );
}

#[test]
fn a_malformed_entry_still_has_its_table() {
    let mut machine = Machine::audited();
    let raw = machine.memory.read_u64(process_root(1)).expect("a table");
    machine.memory.write_u64(process_root(1), raw | Entry::HUGE);
    assert_eq!(output(&mut machine, "frames audit").1, Status::Ok);
}

#[test]
fn a_table_that_cannot_be_read_is_named() {
    let rows = rows(|machine| {
        let at = entry(machine, process_root(1), 0x60_0000, machine::Level::Pd);
        let table = machine.memory.read_u64(at).expect("a table") & !0xfff;
        machine.memory.remove_frame(PhysAddr(table));
    });
    assert_eq!(
        rows,
        [
            "0x0000_0011_5000 page tables: its entries cannot be read",
            "0x0000_0051_0000 user pages: mapped 0 times, the books say 1",
            "0x0000_0051_1000 user pages: mapped 0 times, the books say 1"
        ]
    );
}

#[test]
fn roots_and_cr3_name_frames_in_use() {
    assert_eq!(
        rows(|machine| machine.books().give(process_root(2).0, FrameOwner::Free)),
        ["0x0000_0030_2000 free: the root of pid 2"]
    );
    let cr3 = rows(|machine| {
        let registers = machine.registers.as_mut().expect("it has some");
        registers.cr3 = FREE | 0x18;
    });
    assert_eq!(
        cr3,
        ["0x0000_0060_0000 free: CR3 names it, and it is nobody's root"]
    );
    let saved = rows(|machine| machine.processes().saved_cr3 = Some(FREE));
    assert_eq!(
        saved,
        [
            "0x0000_0060_0000 free: the saved CR3 of pid 1 names it, whose root is 0x0000_0030_1000",
            "0x0000_0060_0000 free: the saved CR3 of pid 2 names it, whose root is 0x0000_0030_2000"
        ]
    );
    let twice = rows(|machine| {
        let raw = process_root(2).0 | 7;
        machine
            .memory
            .write_u64(PhysAddr(process_root(1).0 + 8 * 9), raw);
    });
    let expected = "0x0000_0030_2000 page tables: the root of pid 2, and a table elsewhere";
    assert!(twice.iter().any(|row| row == expected), "{twice:#?}");
}

#[test]
fn ram_without_an_owner_is_named() {
    assert_eq!(
        rows(|machine| machine.books().give(0x7f_f000, FrameOwner::Hole)),
        [
            "0x0000_007f_f000 no RAM: there is RAM",
            "the physmap has 2048 of 2047 frames of RAM"
        ]
    );
}

#[test]
fn only_pages_of_processes_are_shared() {
    let rows = rows(|machine| {
        machine.books().share(FREE, 2);
        machine.books().share(0x21_0000, 1);
    });
    assert_eq!(
        rows,
        [
            "0x0000_0021_0000 heap: not to be shared, but 1 beside the first have it",
            "0x0000_0060_0000 free: not to be shared, but 2 beside the first have it"
        ]
    );
}

#[test]
fn sums_that_are_not_right_are_named() {
    let rows = rows(|machine| {
        machine.books().owners.retain_mut(|(name, count)| {
            *count += u64::from(*name == "heap");
            true
        });
        machine.books().totals.free += 2;
    });
    assert_eq!(
        rows,
        [
            "heap: the books count 3, there are 2",
            "the allocator counts 1748 free, there are 1746"
        ]
    );
}

#[test]
fn every_disagreement_is_shown_once_however_many_there_are() {
    let rows = rows(|machine| {
        for page in 0..200 {
            machine.books().give(FREE + page * 4096, FrameOwner::User);
        }
    });
    for (page, row) in (0_u64..).zip(&rows) {
        let at = PhysAddr(FREE + page * 4096);
        assert_eq!(
            *row,
            format!("{at} user pages: mapped 0 times, the books say 1")
        );
    }
    assert_eq!(rows.len(), 200);
}

#[test]
fn books_that_change_all_the_while_are_no_evidence() {
    let mut machine = Machine::audited();
    machine.books().is_busy = true;
    let message = "frames: frames were taken or given back all the while; nothing can be said\n";
    assert_eq!(
        output(&mut machine, "frames audit"),
        (message.to_string(), Status::Failed)
    );
}

#[test]
fn tables_that_share_tables_are_read_once_each() {
    let mut machine = Machine::audited();
    // Each of four tables names the next one with all of its entries: 2^36 pages.
    let tables = [process_root(1).0, FREE, FREE + 0x1000, FREE + 0x2000];
    for pair in tables.windows(2) {
        let [table, next] = pair else { continue };
        machine.books().give(*next, FrameOwner::PageTable);
        for index in 0..512 {
            machine
                .memory
                .write_u64(PhysAddr(table + index * 8), next | 7);
        }
    }
    machine.memory.reads = 0;
    let (text, status) = output(&mut machine, "frames audit");
    assert_eq!(status, Status::Failed);
    assert!(text.lines().count() > 1000, "{text}");
    // Each row that is not kept is found again: a pass for every 32 rows.
    let passes = machine.memory.reads / (28 * 512);
    assert!(passes < 200, "{passes}");
}

#[test]
fn ctrl_c_ends_an_audit() {
    let mut terminal = Scripted::new(80, 24);
    terminal.interrupt_after = Some(0);
    let status = Shell::new().execute("frames audit", &mut Machine::audited(), &mut terminal);
    assert_eq!(status, Status::Interrupted);
}
