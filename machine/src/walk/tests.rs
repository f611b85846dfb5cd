//! Walks through small tables written out by hand.

use super::*;
use crate::Simulated;
use std::string::ToString;

const ALL: u64 = Entry::PRESENT | Entry::WRITABLE | Entry::USER;

fn follow(machine: &mut Simulated, va: u64) -> Walk {
    let (paging, root) = (machine.paging, machine.root());
    walk(machine, &paging, root, VirtAddr(va))
}

/// Tables at 0x1000, 0x2000, 0x3000 and 0x4000, each the next of entry 0 of the last.
fn machine(flags: [u64; 4], page: u64) -> Simulated {
    let mut machine = Simulated::new(Paging::four_level(40), PhysAddr(0x1000));
    for (table, flags) in [0x1000, 0x2000, 0x3000].into_iter().zip(flags) {
        machine.write_u64(PhysAddr(table), (table + 0x1000) | flags);
    }
    machine.write_u64(PhysAddr(0x4000 + 8 * 0x123), page | flags[3]);
    machine
}

#[test]
fn every_entry_on_the_way_is_a_step() {
    let walk = follow(&mut machine([ALL; 4], 0x7_3000), 0x12_3456);
    assert_eq!(walk.va, VirtAddr(0x12_3456));
    let entries: std::vec::Vec<_> = walk
        .steps()
        .iter()
        .map(|step| {
            (
                step.entry.level,
                step.entry_address().0,
                step.index,
                step.entry.raw,
            )
        })
        .collect();
    assert_eq!(
        entries,
        [
            (Level::Pml4, 0x1000, 0, 0x2007),
            (Level::Pdpt, 0x2000, 0, 0x3007),
            (Level::Pd, 0x3000, 0, 0x4007),
            (Level::Pt, 0x4918, 0x123, 0x7_3007),
        ]
    );
    assert_eq!(walk.end().to_string(), "0x0000_0007_3456 urwx (4K page)");
}

#[test]
fn any_level_can_forbid_and_is_named() {
    let read_only = ALL & !Entry::WRITABLE;
    let mut machine = machine(
        [
            ALL,
            read_only,
            Entry::NO_EXECUTE | ALL & !Entry::USER,
            read_only,
        ],
        0x7_3000,
    );
    let walk = follow(&mut machine, 0x12_3000);
    let End::Mapped { rights, .. } = walk.end() else {
        panic!("mapped: {walk:?}");
    };
    assert_eq!((rights, walk.rights()), (Rights::NONE, Rights::NONE));
    assert_eq!(walk.decided_by(Right::Write), Some(Level::Pdpt));
    assert_eq!(walk.decided_by(Right::User), Some(Level::Pd));
    assert_eq!(walk.decided_by(Right::Execute), Some(Level::Pd));
}

#[test]
fn nobody_is_named_for_a_right_that_is_left() {
    let walk = follow(&mut machine([ALL; 4], 0x7_3000), 0x12_3000);
    for right in [Right::User, Right::Write, Right::Execute] {
        assert_eq!(walk.decided_by(right), None);
    }
}

#[test]
fn an_absent_entry_is_the_last_step_and_decides_nothing() {
    let walk = follow(&mut machine([ALL; 4], 0x7_3000), 0x12_2000);
    assert_eq!(walk.end(), End::Absent { level: Level::Pt });
    assert_eq!(
        (walk.steps().len(), walk.decided_by(Right::User)),
        (4, None)
    );
    assert_eq!(walk.end().to_string(), "PT entry not present");
}

#[test]
fn large_pages_end_the_walk_early() {
    let mut machine = Simulated::new(Paging::four_level(40), PhysAddr(0x1000));
    machine.map(
        VirtAddr(0x4000_0000),
        PhysAddr(0x8000_0000),
        PageSize::Size1G,
        0,
    );
    machine.map(
        VirtAddr(0x20_0000),
        PhysAddr(0x60_0000),
        PageSize::Size2M,
        Entry::PAT_HUGE,
    );
    let walk = follow(&mut machine, 0x4000_0000 | 0x3fff_ffff);
    assert_eq!(walk.steps().len(), 2);
    assert!(matches!(
        walk.end(),
        End::Mapped {
            at: PhysAddr(0xbfff_ffff),
            size: PageSize::Size1G,
            memory_type: MemoryType::WB,
            ..
        }
    ));
    machine.paging.pat = 0x01 << 32; // field 4, that of the PAT bit alone: WC
    let walk = follow(&mut machine, 0x3f_fffe);
    assert!(matches!(
        walk.end(),
        End::Mapped {
            at: PhysAddr(0x7f_fffe),
            size: PageSize::Size2M,
            memory_type: MemoryType::WC,
            ..
        }
    ));
}

#[test]
fn a_table_without_memory_is_unknown_and_not_unmapped() {
    let mut machine = machine([ALL; 4], 0x7_3000);
    machine.write_u64(PhysAddr(0x2000), 0x9_9007);
    let walk = follow(&mut machine, 0x12_3000);
    let why = ReadError::NoMemory {
        at: PhysAddr(0x9_9000),
    };
    assert_eq!(
        walk.end(),
        End::Unreadable {
            level: Level::Pd,
            why
        }
    );
    assert_eq!(walk.steps().len(), 2);
    assert_eq!(
        walk.end().to_string(),
        "PD entry unreadable, no memory at 0x0000_0009_9000"
    );
}

#[test]
fn reserved_bits_end_the_walk() {
    let mut machine = machine([ALL; 4], 0x7_3000);
    machine.write_u64(PhysAddr(0x1000), 0x2087);
    let walk = follow(&mut machine, 0x12_3000);
    assert_eq!(
        walk.end(),
        End::Reserved {
            level: Level::Pml4,
            bits: 0x80
        }
    );
    assert_eq!(
        walk.end().to_string(),
        "PML4 entry has reserved bits set, 0x80"
    );
}

#[test]
fn no_table_is_asked_about_an_address_that_is_not_canonical() {
    let mut machine = machine([ALL; 4], 0x7_3000);
    let walk = follow(&mut machine, 0x8000_0000_0000);
    assert_eq!((walk.end(), walk.steps()), (End::NonCanonical, &[][..]));
    assert_eq!(machine.reads, 0);
}

#[test]
fn five_levels_are_five_steps() {
    let mut machine = Simulated::new(Paging::five_level(52), PhysAddr(0x1000));
    let va = VirtAddr(0xff12_3456_789a_b000);
    machine.map(va, PhysAddr(0xf_edcb_a987_6000), PageSize::Size4K, 0);
    let walk = follow(&mut machine, va.0 | 0xcde);
    let levels: std::vec::Vec<_> = walk.steps().iter().map(|step| step.entry.level).collect();
    assert_eq!(levels, Level::ALL);
    assert_eq!(
        walk.end().to_string(),
        "0x000f_edcb_a987_6cde -r-x (4K page)"
    );
}

#[test]
fn a_root_can_be_a_value_of_cr3() {
    let mut machine = machine([ALL; 4], 0x7_3000);
    let paging = machine.paging;
    let root = PhysAddr(1 << 63 | 0x1000 | 0xabc);
    let walk = walk(&mut machine, &paging, root, VirtAddr(0x12_3000));
    assert_eq!(
        walk.steps().first().map(|step| step.table),
        Some(PhysAddr(0x1000))
    );
    assert!(matches!(walk.end(), End::Mapped { .. }));
}

// With a recursive PML4 entry the tables themselves have addresses.
#[test]
fn a_recursive_entry_is_followed_as_the_cpu_does() {
    let mut machine = machine([ALL; 4], 0x7_3000);
    machine.write_u64(PhysAddr(0x1000 + 8 * 510), 0x1000 | ALL);
    let walk = follow(&mut machine, 0xffff_ff7f_bfdf_e000);
    assert_eq!(walk.end().to_string(), "0x0000_0000_1000 urwx (4K page)");
    assert!(
        walk.steps()
            .iter()
            .all(|step| step.table == PhysAddr(0x1000))
    );
}
