use super::*;
use crate::{Level, PageSize, Paging, Paths, PhysAddr, Progress, Range, Simulated};
use std::string::ToString;
use std::vec::Vec;

const ROOT: PhysAddr = PhysAddr(0x1000);
const HIGH: u64 = 0xffff_8000_0000_0000;
const W: u64 = Entry::WRITABLE;
const U: u64 = Entry::USER;
const NX: u64 = Entry::NO_EXECUTE;

/// One page at an address, with these flags, and bits that are cleared and set in the entry
/// that a walk meets at a depth.
fn machine(va: u64, flags: u64, depth: u64, clear: u64, set: u64) -> Simulated {
    let mut machine = Simulated::new(Paging::four_level(40), ROOT);
    machine.map(VirtAddr(va), PhysAddr(0x9000), PageSize::Size4K, flags);
    machine.add_ram(PhysAddr(0x9000), 8);
    // The tables follow one another.
    let level = Level::ALL[depth as usize + 1];
    let at = PhysAddr(ROOT.0 + depth * 0x1000 + level.index(VirtAddr(va)) as u64 * 8);
    let raw = machine.read_u64(at).expect("it is there");
    machine.write_u64(at, (raw & !clear) | set);
    machine
}

fn paths(machine: &mut Simulated) -> Vec<Path> {
    let mut paths = Paths::new(machine.paging, ROOT, Range::ALL);
    let mut all = Vec::new();
    loop {
        match paths.advance(machine) {
            Progress::Row(path) => all.push(path),
            Progress::Working => {}
            Progress::Done => return all,
        }
    }
}

/// All that a rule finds: the flaw, and the level of the entry that has it.
fn found(
    mut machine: Simulated,
    rule: impl Fn(&Path, &mut Simulated) -> Option<Finding>,
) -> Vec<(Flaw, Level)> {
    let all = paths(&mut machine);
    let found = all.iter().filter_map(|path| rule(path, &mut machine));
    found
        .map(|finding| (finding.flaw, finding.entry.entry.level))
        .collect()
}

fn site(half: Half, expected: Option<&str>) -> Site {
    Site {
        half,
        expected: expected.map(|rights| Rights {
            user: false,
            write: rights.contains('w'),
            execute: rights.contains('x'),
        }),
        is_stack: false,
    }
}

// SDM volume 3A, "Determination of Access Rights": a write needs R/W at every level, a fetch XD
// clear at every level.
#[test]
fn the_highest_entry_that_takes_a_right_away_is_blamed() {
    let any = site(Half::Kernel, None);
    for (depth, level) in [(0, Level::Pml4), (1, Level::Pdpt), (2, Level::Pd)] {
        let found_write = found(machine(HIGH, W | NX, depth, W, 0), |p, _| writes(p, &any));
        assert_eq!(found_write, [(Flaw::WriteLost, level)]);
        let found_execute = found(machine(HIGH, 0, depth, 0, NX), |p, _| executes(p, &any));
        assert_eq!(found_execute, [(Flaw::ExecuteLost, level)]);
        let user = site(Half::Process, None);
        let found_user = found(machine(0, U, depth, U, 0), |p, _| user_bits(p, &user));
        assert_eq!(found_user, [(Flaw::UserLost, level)]);
    }
    // What the page's own entry forbids is nobody's loss.
    assert_eq!(
        found(machine(HIGH, NX, 1, W, 0), |p, _| writes(p, &any)),
        []
    );
}

#[test]
fn what_a_page_should_allow_is_told_by_its_region() {
    let cases: [(u64, &str, &[Flaw], &[Flaw]); 6] = [
        (0, "rx", &[], &[]),
        (W | NX, "rw", &[], &[]),
        (W, "rw", &[Flaw::WriteAndExecute], &[Flaw::Executable]),
        (NX, "rw", &[Flaw::ReadOnly], &[]),
        (W | NX, "rx", &[Flaw::Writable], &[Flaw::NotExecutable]),
        (0, "r", &[], &[Flaw::Executable]),
    ];
    for (flags, rights, write, execute) in cases {
        let site = site(Half::Kernel, Some(rights));
        let flaws = |rule: fn(&Path, &Site) -> Option<Finding>| -> Vec<Flaw> {
            let found = found(machine(HIGH, flags, 3, 0, 0), |p, _| rule(p, &site));
            found.into_iter().map(|(flaw, _)| flaw).collect()
        };
        assert_eq!(flaws(writes), write, "{flags:#x} {rights}");
        assert_eq!(flaws(executes), execute, "{flags:#x} {rights}");
    }
}

#[test]
fn user_pages_belong_to_processes() {
    let flaws = |half, va, flags| -> Vec<Flaw> {
        let site = site(half, None);
        let found = found(machine(va, flags, 3, 0, 0), |p, _| user_bits(p, &site));
        found.into_iter().map(|(flaw, _)| flaw).collect()
    };
    assert_eq!(
        flaws(Half::Kernel, HIGH, U),
        [Flaw::UserInKernel { reachable: true }]
    );
    assert_eq!(flaws(Half::Kernel, HIGH, 0), []);
    assert_eq!(flaws(Half::Master, 0, U), [Flaw::UserInMaster]);
    assert_eq!(flaws(Half::Process, 0, U), []);
    assert_eq!(flaws(Half::Process, 0, 0), [Flaw::NotForUser]);
    assert_eq!(flaws(Half::Unknown, 0, 0), []);
    let hidden = found(machine(HIGH, U, 0, U, 0), |p, _| {
        user_bits(p, &site(Half::Kernel, None))
    });
    let flaw = Flaw::UserInKernel { reachable: false };
    assert_eq!(hidden, [(flaw, Level::Pt)]);
}

#[test]
fn global_is_for_pages_of_the_kernel_that_are_no_stacks() {
    const G: u64 = Entry::GLOBAL;
    let kernel = site(Half::Kernel, None);
    let stack = Site {
        is_stack: true,
        ..kernel
    };
    let at = |depth, site: Site| {
        found(machine(HIGH, W | NX, depth, 0, G), move |p, _| {
            global(p, &site)
        })
    };
    assert_eq!(at(3, kernel), []);
    assert_eq!(at(3, stack), [(Flaw::GlobalStack, Level::Pt)]);
    assert_eq!(at(1, kernel), [(Flaw::GlobalTable, Level::Pdpt)]);
    let user = site(Half::Process, None);
    let found = found(machine(0, U | G, 3, 0, 0), |p, _| global(p, &user));
    assert_eq!(found, [(Flaw::GlobalInUserHalf, Level::Pt)]);
}

#[test]
fn an_address_without_memory_is_blamed_on_the_entry_that_names_it() {
    let at = |depth, raw| {
        let machine = machine(0, U, depth, !0, raw);
        found(machine, |p, memory| reserved(p, memory))
    };
    let missing = ReadError::NoMemory {
        at: PhysAddr(0x9_9000),
    };
    assert_eq!(at(0, 0x9_9007), [(Flaw::NoTable(missing), Level::Pml4)]);
    assert_eq!(at(2, 0x9_9007), [(Flaw::NoTable(missing), Level::Pd)]);
    assert_eq!(at(3, 0x9_9007), [(Flaw::NoPage, Level::Pt)]);
    assert_eq!(at(0, 0x2087), [(Flaw::Reserved(0x80), Level::Pml4)]);
    // A device answers there; it is not read.
    let mut machine = machine(0, U, 3, 0, 0);
    machine.add_device(PhysAddr(0x9000), 0x1000);
    assert_eq!(found(machine, |p, memory| reserved(p, memory)), []);
}

#[test]
fn an_entry_that_leads_back_is_a_loop_wherever_it_is() {
    for (depth, to, level) in [(0, 0x1000, Level::Pml4), (2, 0x2000, Level::Pd)] {
        let machine = machine(0, U, depth, !0, to | 7);
        assert_eq!(found(machine, |p, _| loops(p)), [(Flaw::Loop, level)]);
    }
}

// SDM volume 3A, "4-Level Paging and 5-Level Paging": which bits are reserved where.
#[test]
fn reserved_bits_are_named_with_the_rule_they_break() {
    let paging = Paging::four_level(40);
    let old = Paging {
        nxe: false,
        gib_pages: false,
        ..paging
    };
    let present = Entry::PRESENT;
    let huge = present | Entry::HUGE;
    let cases = [
        (paging, Level::Pml4, huge, "bit 7 set in a PML4"),
        (
            paging,
            Level::Pdpt,
            huge | 0x3fff_e000,
            "bits 29:13 set, inside a 1G page",
        ),
        (
            paging,
            Level::Pd,
            huge | 0x1f_e000,
            "bits 20:13 set, inside a 2M page",
        ),
        (
            paging,
            Level::Pd,
            huge | 1 << 13,
            "bit 13 set, inside a 2M page",
        ),
        (
            paging,
            Level::Pt,
            present | 1 << 40,
            "bit 40 set, beyond the 40 physical address bits",
        ),
        (
            paging,
            Level::Pd,
            present | 0xfff << 40,
            "bits 51:40 set, beyond the 40 physical address bits",
        ),
        (
            paging,
            Level::Pd,
            present | 1 << 40 | 1 << 42,
            "bits 0x50000000000 set, beyond the 40 physical address bits",
        ),
        (
            old,
            Level::Pt,
            present | NX,
            "bit 63 set while EFER.NXE is clear",
        ),
        (
            old,
            Level::Pdpt,
            huge,
            "bit 7 set, and there are no 1G pages",
        ),
        (
            old,
            Level::Pd,
            huge | NX | 1 << 45 | 1 << 14,
            "bit 63 set while EFER.NXE is clear; bit 45 set, beyond the 40 physical address bits; \
             bit 14 set, inside a 2M page",
        ),
    ];
    for (paging, level, raw, words) in cases {
        let Kind::Reserved { bits } = paging.decode(raw, level).kind else {
            panic!("{raw:#x} is well-formed in a {level}");
        };
        assert_eq!(reserved_bits(bits, level, &paging).to_string(), words);
    }
    // No value has no answer.
    for shift in 0..64 {
        for level in Level::ALL {
            let odd = Paging {
                phys_bits: shift as u8,
                ..paging
            };
            assert_ne!(reserved_bits(1 << shift, level, &odd).to_string(), "");
            reserved_bits(!0 >> shift, level, &odd).to_string();
        }
    }
}
