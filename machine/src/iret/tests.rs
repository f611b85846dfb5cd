//! Expected values are the manual's: Intel SDM volume 2, "IRET/IRETD/IRETQ", "64-Bit Mode
//! Exceptions", written down case by case.

use super::*;
use crate::{
    Controls, Entry, PageSize, Paging, PhysAddr, Registers, Selector, Simulated, TablePointer,
};
use std::vec::Vec;

const GDT: u64 = 0xffff_8000_0000_0000;
const CODE: u64 = 0x40_0000;
const STACK_END: u64 = 0x60_1000;
const GOOD: Frame = Frame {
    rip: CODE,
    cs: 0x23,
    rflags: 0x202,
    rsp: STACK_END - 0x20,
    ss: 0x1b,
};

/// The descriptors, and the selectors of the tests by their place.
const DESCRIPTORS: [u64; 13] = [
    0,
    0x00af_9b00_0000_ffff, // 0x08 kernel code
    0x00cf_9300_0000_ffff, // 0x10 kernel data
    0x00cf_f300_0000_ffff, // 0x18 user data
    0x00af_fb00_0000_ffff, // 0x20 user code
    0x00af_7b00_0000_ffff, // 0x28 user code, not present
    0x00cf_7300_0000_ffff, // 0x30 user data, not present
    0x00ef_fb00_0000_ffff, // 0x38 user code with L and D
    0x00cf_f100_0000_ffff, // 0x40 user data, read-only
    0x00af_9f00_0000_ffff, // 0x48 conforming code, DPL 0
    0x0040_fb00_0000_0fff, // 0x50 32-bit user code, limit 0xfff
    0x00af_ff00_0000_ffff, // 0x58 conforming code, DPL 3
    0x00af_fa00_0000_ffff, // 0x60 user code, never used
];

fn machine() -> (Simulated, Situation) {
    let mut machine = Simulated::new(Paging::four_level(40), PhysAddr(0x1000));
    let data = Entry::WRITABLE | Entry::NO_EXECUTE;
    for (va, pa, flags) in [
        (GDT, 0x10_0000, data),
        (CODE, 0x10_1000, Entry::USER),
        (STACK_END - 0x1000, 0x10_2000, data | Entry::USER),
    ] {
        machine.map(VirtAddr(va), PhysAddr(pa), PageSize::Size4K, flags);
        machine.add_ram(PhysAddr(pa), 0x1000);
    }
    // The kernel's half has no USER.
    machine.write_u64(
        PhysAddr(0x1000 + 256 * 8),
        machine_entry(&mut machine.clone()) & !4,
    );
    for (index, word) in (0..).zip(DESCRIPTORS) {
        machine.write_u64(PhysAddr(0x10_0000 + index * 8), word);
    }
    let registers = Registers {
        cr0: 1 << 16,
        cr4: 0b11 << 20,
        efer: 1 << 11,
        gdtr: TablePointer {
            base: GDT,
            limit: DESCRIPTORS.len() as u16 * 8 - 1,
        },
        ..Registers::default()
    };
    let now = Situation::new(machine.paging, machine.root(), &registers);
    (machine, now)
}

fn machine_entry(machine: &mut Simulated) -> u64 {
    machine
        .read_u64(PhysAddr(0x1000 + 256 * 8))
        .expect("it was mapped")
}

fn outcome(frame: Frame) -> Outcome {
    let (mut machine, now) = machine();
    iret(&mut machine, &now, frame).outcome
}

fn at_iretq(vector: u8, code: u64) -> Outcome {
    Outcome::AtIretq(Raised::with_code(vector, code))
}

#[test]
fn the_usual_frame_enters_ring_3() {
    let (mut machine, now) = machine();
    let report = iret(&mut machine, &now, GOOD);
    assert_eq!(report.outcome, Outcome::Enters(3));
    assert_eq!(report.findings().count(), 0);
    assert_eq!((report.push, report.top), (None, None));
    assert_eq!(report.deviating(), None);
}

#[test]
fn nt_in_the_flags_of_now_is_gp_0_whatever_the_frame() {
    let (mut machine, mut now) = machine();
    now.nested = true;
    for frame in [GOOD, Frame { cs: 0x10, ..GOOD }] {
        let report = iret(&mut machine, &now, frame);
        assert_eq!(report.outcome, at_iretq(13, 0));
        assert_eq!(report.deviating(), None);
    }
}

#[test]
fn every_cs_has_its_exception() {
    for (cs, expected) in [
        (0, at_iretq(13, 0)),
        (3, at_iretq(13, 0)),
        // TI set and no LDT: beyond its limit, and no null selector.
        (4, at_iretq(13, 4)),
        (0x27, at_iretq(13, 0x24)),
        // Data; beyond the limit; the kernel's code with another RPL.
        (0x1b, at_iretq(13, 0x18)),
        (0x13, at_iretq(13, 0x10)),
        (0x6b, at_iretq(13, 0x68)),
        (0xfffb, at_iretq(13, 0xfff8)),
        (0x0b, at_iretq(13, 0x08)),
        // The user's code with another RPL: DPL is not RPL.
        (0x21, at_iretq(13, 0x20)),
        (0x22, at_iretq(13, 0x20)),
        (0x2b, at_iretq(11, 0x28)),
        (0x3b, at_iretq(13, 0x38)),
        // Conforming: DPL may be below RPL, and not above it.
        (0x4b, Outcome::Enters(3)),
        (0x5b, Outcome::Enters(3)),
        (0x5a, at_iretq(13, 0x58)),
        // The upper bits of the word do not count.
        (0xdead_0000_0023, Outcome::Enters(3)),
    ] {
        assert_eq!(outcome(Frame { cs, ..GOOD }), expected, "CS {cs:#x}");
    }
}

#[test]
fn every_ss_has_its_exception() {
    for (ss, expected) in [
        (0, at_iretq(13, 0)),
        (3, at_iretq(13, 0)),
        (0x1f, at_iretq(13, 0x1c)),
        (0x10, at_iretq(13, 0x10)),
        (0x13, at_iretq(13, 0x10)),
        (0x18, at_iretq(13, 0x18)),
        (0x1a, at_iretq(13, 0x18)),
        (0x23, at_iretq(13, 0x20)),
        (0x43, at_iretq(13, 0x40)),
        (0x6b, at_iretq(13, 0x68)),
        (0x33, at_iretq(12, 0x30)),
        (0xffff_001b, Outcome::Enters(3)),
    ] {
        assert_eq!(outcome(Frame { ss, ..GOOD }), expected, "SS {ss:#x}");
    }
}

#[test]
fn a_return_to_ring_0_may_have_a_null_ss_of_its_own_ring_only() {
    for (ss, expected) in [
        (
            0x10,
            Outcome::AtFetch(Raised::page_fault(0x11, VirtAddr(CODE)), 0),
        ),
        (
            0,
            Outcome::AtFetch(Raised::page_fault(0x11, VirtAddr(CODE)), 0),
        ),
        (3, at_iretq(13, 0)),
        (0x1b, at_iretq(13, 0x18)),
    ] {
        // SMEP forbids the fetch in the end: the page is the user's.
        assert_eq!(outcome(Frame { cs: 8, ss, ..GOOD }), expected, "SS {ss:#x}");
    }
    let (mut machine, now) = machine();
    let report = iret(
        &mut machine,
        &now,
        Frame {
            cs: 8,
            ss: 3,
            ..GOOD
        },
    );
    assert_eq!(
        report
            .deviations()
            .map(|known| known.id)
            .collect::<Vec<_>>(),
        ["D-13"]
    );
}

#[test]
fn a_fetch_fault_has_the_error_code_of_ring_3() {
    let fetch = |code, rip| Outcome::AtFetch(Raised::page_fault(code, VirtAddr(rip)), 3);
    for (rip, expected) in [
        (0, fetch(0x14, 0)),
        (CODE + 0x1000, fetch(0x14, CODE + 0x1000)),
        (STACK_END - 8, fetch(0x15, STACK_END - 8)),
        (GDT, fetch(0x15, GDT)),
        (1 << 47, at_iretq(13, 0)),
        ((1 << 47) - 1, fetch(0x14, (1 << 47) - 1)),
        (0xffff_7fff_ffff_ffff, at_iretq(13, 0)),
    ] {
        assert_eq!(outcome(Frame { rip, ..GOOD }), expected, "RIP {rip:#x}");
    }
}

#[test]
fn of_two_faults_the_first_in_the_manual_decides() {
    for (frame, expected) in [
        // Null CS before a bad SS, a bad RIP before a bad CS, CS before SS.
        (
            Frame {
                cs: 0,
                ss: 0x23,
                ..GOOD
            },
            at_iretq(13, 0),
        ),
        (
            Frame {
                cs: 0x10,
                rip: 1 << 47,
                ..GOOD
            },
            at_iretq(13, 0),
        ),
        (
            Frame {
                cs: 0x10,
                ss: 0x23,
                ..GOOD
            },
            at_iretq(13, 0x10),
        ),
        (
            Frame {
                cs: 0x2b,
                ss: 0x33,
                ..GOOD
            },
            at_iretq(11, 0x28),
        ),
        // A null SS is #GP(0) before anything is read of CS.
        (
            Frame {
                cs: 0x2b,
                ss: 0,
                ..GOOD
            },
            at_iretq(13, 0),
        ),
        (
            Frame {
                ss: 0x33,
                rip: 0,
                ..GOOD
            },
            at_iretq(12, 0x30),
        ),
    ] {
        assert_eq!(outcome(frame), expected, "{frame:x?}");
    }
}

#[test]
fn what_qemu_does_otherwise_is_named() {
    let (mut machine, now) = machine();
    let protection = |code| Outcome::AtIretq(Raised::protection(code));
    for (frame, id, deviating) in [
        (
            Frame {
                rip: 1 << 47,
                ..GOOD
            },
            "D-02",
            Outcome::AtFetch(Raised::protection(0), 3),
        ),
        (Frame { cs: 0x3b, ..GOOD }, "D-13", Outcome::Enters(3)),
        (Frame { ss: 0x33, ..GOOD }, "D-22", at_iretq(11, 0x30)),
        (
            Frame {
                cs: 0x1b,
                ss: 0,
                ..GOOD
            },
            "D-23",
            protection(0x18),
        ),
    ] {
        let report = iret(&mut machine, &now, frame);
        assert_eq!(report.deviating(), Some(deviating), "{id}");
        assert_eq!(report.deviations().next().map(|known| known.id), Some(id));
    }
    let report = iret(
        &mut machine,
        &now,
        Frame {
            rsp: 1 << 63,
            ..GOOD
        },
    );
    assert_eq!(report.outcome, Outcome::Enters(3));
    assert_eq!(report.push, Some(Raised::with_code(12, 0)));
    assert_eq!(report.deviating_push(), Some(Raised::protection(0)));
    assert_eq!(
        report
            .deviations()
            .map(|known| known.id)
            .collect::<Vec<_>>(),
        ["D-05"]
    );
}

fn warnings(frame: Frame) -> Vec<What> {
    let (mut machine, now) = machine();
    let report = iret(&mut machine, &now, frame);
    report
        .findings()
        .filter(|found| found.raises.is_none())
        .map(|found| found.what)
        .collect()
}

#[test]
fn flags_raise_nothing_but_tf() {
    for (rflags, expected) in [
        (0x200, What::Bit1),
        (0x2, What::NoInterrupts),
        (0x3202, What::Iopl(3)),
        (0x4202, What::KeepsNestedTask),
        (0x2_0202, What::Ignored(0x2_0000)),
        (0x20a, What::Ignored(8)),
        (0x1_0000_0202, What::Ignored(0x1_0000_0000)),
    ] {
        let frame = Frame { rflags, ..GOOD };
        assert_eq!(warnings(frame), [expected], "{rflags:#x}");
        assert_eq!(outcome(frame), Outcome::Enters(3), "{rflags:#x}");
    }
    let frame = Frame {
        rflags: 0x302,
        ..GOOD
    };
    assert_eq!(outcome(frame), Outcome::AfterFirst(Raised::debug(), 3));
    // RF, AC, ID, VIF, VIP and the status flags are taken without a word.
    assert!(
        warnings(Frame {
            rflags: 0x3d_0ed7,
            ..GOOD
        })
        .is_empty()
    );
}

#[test]
fn the_exclusive_end_of_a_stack_is_a_warning_and_the_push_lands_below() {
    let at_end = Raised::page_fault(4, VirtAddr(STACK_END));
    assert_eq!(
        warnings(Frame {
            rsp: STACK_END,
            ..GOOD
        }),
        [What::ExclusiveEnd(at_end)]
    );
    let (mut machine, now) = machine();
    for (rsp, push) in [
        (STACK_END, None),
        (
            STACK_END + 8,
            Some(Raised::page_fault(6, VirtAddr(STACK_END))),
        ),
        (
            STACK_END - 0x1000,
            Some(Raised::page_fault(6, VirtAddr(STACK_END - 0x1008))),
        ),
        (
            0,
            Some(Raised::page_fault(6, VirtAddr(0xffff_ffff_ffff_fff8))),
        ),
        (CODE + 8, Some(Raised::page_fault(7, VirtAddr(CODE)))),
        (
            GDT + 0x800,
            Some(Raised::page_fault(7, VirtAddr(GDT + 0x7f8))),
        ),
        // 8 below the first non-canonical address is the last canonical one.
        (
            1 << 47,
            Some(Raised::page_fault(6, VirtAddr((1 << 47) - 8))),
        ),
    ] {
        let report = iret(&mut machine, &now, Frame { rsp, ..GOOD });
        assert_eq!(
            (report.outcome, report.push),
            (Outcome::Enters(3), push),
            "{rsp:#x}"
        );
    }
}

#[test]
fn descriptors_that_the_tables_hide_are_a_page_fault_in_ring_0() {
    let (mut machine, now) = machine();
    machine.write_u64(PhysAddr(0x1000 + 256 * 8), 0);
    let report = iret(&mut machine, &now, GOOD);
    let raised = Raised::page_fault(0, VirtAddr(GDT + 0x20));
    assert_eq!(report.outcome, Outcome::AtIretq(raised));
    assert!(matches!(
        report.findings().next().map(|found| found.what),
        Some(What::Segment(SegmentWhy::Unreachable))
    ));
}

#[test]
fn a_descriptor_that_was_never_used_must_be_in_a_page_that_can_be_written() {
    assert_eq!(outcome(Frame { cs: 0x63, ..GOOD }), Outcome::Enters(3));
    let (mut machine, now) = machine();
    let (va, pa) = (VirtAddr(GDT), PhysAddr(0x10_0000));
    machine.map(va, pa, PageSize::Size4K, Entry::NO_EXECUTE);
    let report = iret(&mut machine, &now, Frame { cs: 0x63, ..GOOD });
    let raised = Raised::page_fault(3, VirtAddr(GDT + 0x60));
    assert_eq!(report.outcome, Outcome::AtIretq(raised));
    assert_eq!(iret(&mut machine, &now, GOOD).outcome, Outcome::Enters(3));
}

#[test]
fn smap_keeps_the_cpu_from_descriptors_in_user_pages_whatever_ac() {
    let (mut machine, mut now) = machine();
    now.gdtr.base = STACK_END - 0x1000;
    for (index, word) in (0..).zip(DESCRIPTORS) {
        machine.write_u64(PhysAddr(0x10_2000 + index * 8), word);
    }
    now.controls.ac = true;
    let raised = Raised::page_fault(1, VirtAddr(STACK_END - 0x1000 + 0x20));
    assert_eq!(
        iret(&mut machine, &now, GOOD).outcome,
        Outcome::AtIretq(raised)
    );
    now.controls = Controls {
        smap: false,
        ..now.controls
    };
    assert_eq!(iret(&mut machine, &now, GOOD).outcome, Outcome::Enters(3));
}

#[test]
fn a_32_bit_segment_limits_rip() {
    let inside = iret_at(0x50, 0xffe);
    assert_eq!(
        inside,
        Outcome::AtFetch(Raised::page_fault(0x14, VirtAddr(0xffe)), 3)
    );
    assert_eq!(iret_at(0x50, 0x1000), at_iretq(13, 0));
}

fn iret_at(cs: u64, rip: u64) -> Outcome {
    outcome(Frame {
        cs: cs | 3,
        rip,
        ..GOOD
    })
}

#[test]
fn unknown_is_neither_yes_nor_no() {
    let (mut machine, now) = machine();
    machine.remove_frame(PhysAddr(0x10_0000));
    let report = iret(&mut machine, &now, GOOD);
    assert!(
        matches!(report.outcome, Outcome::Unknown(..)),
        "{:?}",
        report.outcome
    );
    // A word that is wrong by itself is wrong whatever the table holds.
    assert_eq!(
        iret(&mut machine, &now, Frame { cs: 3, ..GOOD }).outcome,
        at_iretq(13, 0)
    );
}

#[test]
fn any_frame_has_an_answer() {
    let (mut machine, mut now) = machine();
    now.gdtr.base = u64::MAX - 3;
    now.ldtr = Selector(0x18);
    let odd = [
        0,
        1,
        8,
        0x27,
        0x1b,
        u64::MAX,
        1 << 47,
        (1 << 47) - 1,
        u64::MAX - 7,
    ];
    for rip in odd {
        for cs in odd {
            for ss in odd {
                let frame = Frame {
                    rip,
                    cs,
                    ss,
                    rsp: rip ^ 8,
                    rflags: ss,
                };
                let _ = iret(&mut machine, &now, frame);
            }
        }
    }
}
