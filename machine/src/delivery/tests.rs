//! A kernel of a few pages, each of which is taken away in turn. Expected values are worked out
//! from Intel SDM volume 3A, "Conditions for Generating a Double Fault" and the delivery of an
//! exception in 64-bit mode, step by step.

use super::*;
use crate::{Entry, Level, PageSize, Paging, PhysAddr, Registers, Simulated, TablePointer};
use std::vec::Vec;

const KERNEL: u64 = 0xffff_8000_0000_0000;
const TEXT: u64 = KERNEL;
const DF_TEXT: u64 = KERNEL + 0x1000;
const GDT: u64 = KERNEL + 0x2000;
const IDT: u64 = KERNEL + 0x3000;
const TSS: u64 = KERNEL + 0x4000;
const STACK: u64 = KERNEL + 0x6000;
const IST1: u64 = KERNEL + 0x8000;
const RSP0: u64 = KERNEL + 0xa000;
const PAGES: [(u64, u64); 8] = [
    (TEXT, 0),
    (DF_TEXT, 0),
    (GDT, Entry::WRITABLE),
    (IDT, Entry::WRITABLE),
    (TSS, Entry::WRITABLE),
    (STACK, Entry::WRITABLE),
    (IST1, Entry::WRITABLE),
    (RSP0, Entry::WRITABLE),
];

pub(crate) fn kernel() -> (Simulated, Situation) {
    let mut machine = Simulated::new(Paging::four_level(40), PhysAddr(0x1000));
    for (va, flags) in PAGES {
        map(&mut machine, va, flags);
    }
    for (index, word) in (0..).zip([0, 0x00af_9b00_0000_ffff_u64, 0x00cf_9300_0000_ffff]) {
        machine.write_u64(physical(GDT + index * 8), word);
    }
    for vector in 0..32 {
        let entry = if vector == 8 {
            DF_TEXT
        } else {
            TEXT + vector * 16
        };
        gate(&mut machine, vector, entry, u64::from(vector == 8));
    }
    machine.write(physical(TSS + 4), &(RSP0 + 0x1000).to_le_bytes());
    machine.write(physical(TSS + 36), &(IST1 + 0x1000).to_le_bytes());
    let registers = Registers {
        cr0: 1 << 16,
        efer: 1 << 11,
        tr: 0x18,
        gdtr: TablePointer {
            base: GDT,
            limit: 0x27,
        },
        idtr: TablePointer {
            base: IDT,
            limit: 0x1ff,
        },
        ..Registers::default()
    };
    let now = Situation {
        tss: TablePointer {
            base: TSS,
            limit: 0x67,
        },
        ..Situation::new(machine.paging, machine.root(), &registers)
    };
    (machine, now)
}

fn physical(va: u64) -> PhysAddr {
    PhysAddr(0x10_0000 + (va - KERNEL))
}

fn map(machine: &mut Simulated, va: u64, flags: u64) {
    machine.map(VirtAddr(va), physical(va), PageSize::Size4K, flags);
    machine.add_ram(physical(va), 0x1000);
    // None of it is the user's.
    let at = PhysAddr(0x1000 + Level::Pml4.index(VirtAddr(va)) as u64 * 8);
    let raw = machine.read_u64(at).expect("a table");
    machine.write_u64(at, raw & !Entry::USER);
}

fn gate(machine: &mut Simulated, vector: u64, entry: u64, ist: u64) {
    let low = entry & 0xffff | 8 << 16 | ist << 32 | 0x8e << 40 | (entry >> 16 & 0xffff) << 48;
    machine.write_u64(physical(IDT + vector * 16), low);
    machine.write_u64(physical(IDT + vector * 16 + 8), entry >> 32);
}

/// Takes a page away.
fn unmap(machine: &mut Simulated, va: u64) {
    let walk = crate::walk(
        machine,
        &Paging::four_level(40),
        PhysAddr(0x1000),
        VirtAddr(va),
    );
    let entry = walk.steps().last().expect("it was mapped").entry_address();
    machine.write_u64(entry, 0);
}

const FAULT: Raised = Raised::page_fault(0x10, VirtAddr(0xdead_0000));
const RING_0: Place = Place {
    cpl: 0,
    rsp: VirtAddr(STACK + 0x800),
};
const RING_3: Place = Place {
    cpl: 3,
    rsp: VirtAddr(0x1000),
};

/// The vectors raised, and the end, of a fault in a kernel without these pages.
fn without(pages: &[u64], what: Raised, place: Place) -> (Vec<u8>, Ending) {
    let (mut machine, now) = kernel();
    for page in pages {
        unmap(&mut machine, *page);
    }
    let course = deliver(&mut machine, &now, what, place);
    (
        course.steps().map(|raised| raised.vector).collect(),
        course.ending,
    )
}

fn handled(vector: u8, entry: u64, rsp: u64) -> Ending {
    Ending::Handled {
        vector,
        entry: VirtAddr(entry),
        rsp: VirtAddr(rsp),
    }
}

#[test]
fn a_handler_gets_the_stack_of_its_gate_its_ring_or_the_one_in_use() {
    // Five words and an error code, below a multiple of 16.
    let on_stack = handled(14, TEXT + 0xe0, STACK + 0x800 - 48);
    assert_eq!(without(&[], FAULT, RING_0), (vec(&[14]), on_stack));
    let odd = Place {
        cpl: 0,
        rsp: VirtAddr(STACK + 0x80f),
    };
    assert_eq!(without(&[], FAULT, odd).1, on_stack);
    let on_rsp0 = handled(14, TEXT + 0xe0, RSP0 + 0x1000 - 48);
    assert_eq!(without(&[], FAULT, RING_3).1, on_rsp0);
    let no_code = handled(1, TEXT + 0x10, RSP0 + 0x1000 - 40);
    assert_eq!(without(&[], Raised::debug(), RING_3).1, no_code);
    let double = Raised::with_code(8, 0);
    let on_ist = handled(8, DF_TEXT, IST1 + 0x1000 - 48);
    assert_eq!(without(&[], double, RING_0).1, on_ist);
}

fn vec(vectors: &[u8]) -> Vec<u8> {
    vectors.to_vec()
}

#[test]
fn each_page_that_is_missing_has_its_end() {
    let df = handled(8, DF_TEXT, IST1 + 0x1000 - 48);
    for (pages, place, steps, ending) in [
        // The stack: the page fault cannot be pushed, a second one comes, #DF has its own stack.
        (&[STACK][..], RING_0, vec(&[14, 14, 8]), df),
        (&[RSP0], RING_3, vec(&[14, 14, 8]), df),
        // Without that stack, too, it is the end.
        (
            &[STACK, IST1],
            RING_0,
            vec(&[14, 14, 8]),
            Ending::TripleFault,
        ),
        (&[IDT], RING_0, vec(&[14, 14, 8]), Ending::TripleFault),
        (&[GDT], RING_0, vec(&[14, 14, 8]), Ending::TripleFault),
        // In ring 0 a page fault needs no task state segment, the double fault does.
        (
            &[TSS],
            RING_0,
            vec(&[14]),
            handled(14, TEXT + 0xe0, STACK + 0x800 - 48),
        ),
        (&[TSS], RING_3, vec(&[14, 14, 8]), Ending::TripleFault),
        (
            &[TSS, STACK],
            RING_0,
            vec(&[14, 14, 8]),
            Ending::TripleFault,
        ),
        // IST1 alone matters only once it is needed.
        (
            &[IST1],
            RING_0,
            vec(&[14]),
            handled(14, TEXT + 0xe0, STACK + 0x800 - 48),
        ),
        // The handler cannot be fetched: page faults until the stack is used up.
        (&[TEXT], RING_0, vec(&[14, 14, 8]), df),
        (
            &[TEXT, DF_TEXT],
            RING_0,
            vec(&[14, 14, 8, 14]),
            Ending::Endless { vector: 14 },
        ),
        (
            &[DF_TEXT],
            RING_0,
            vec(&[14]),
            handled(14, TEXT + 0xe0, STACK + 0x800 - 48),
        ),
        // The double fault cannot be fetched, the page fault over that can be.
        (
            &[DF_TEXT, STACK],
            RING_0,
            vec(&[14, 14, 8, 14]),
            handled(14, TEXT + 0xe0, IST1 + 0x1000 - 96),
        ),
    ] {
        let came = without(pages, FAULT, place);
        assert_eq!(came, (steps, ending), "{pages:x?} from ring {}", place.cpl);
    }
}

#[test]
fn a_bad_gate_is_a_fault_of_its_own() {
    let protection = Raised::protection(0);
    for (low, steps) in [
        // Absent: #NP(14*8+2+1) while #PF is delivered: both count, a double fault.
        (0x0000_0e00_0008_0000_u64, [(14, 0x10), (11, 0x73), (8, 0)]),
        // A call gate: #GP likewise.
        (0x0000_8c00_0008_0000, [(14, 0x10), (13, 0x73), (8, 0)]),
        // No code segment; a null one.
        (0x0000_8e00_0010_0000, [(14, 0x10), (13, 0x11), (8, 0)]),
        (0x0000_8e00_0000_0000, [(14, 0x10), (13, 0x01), (8, 0)]),
        (0x0000_8e00_0050_0000, [(14, 0x10), (13, 0x51), (8, 0)]),
    ] {
        let (mut machine, now) = kernel();
        machine.write_u64(physical(IDT + 14 * 16), low);
        let course = deliver(&mut machine, &now, FAULT, RING_0);
        let came: Vec<_> = course
            .steps()
            .map(|raised| (raised.vector, raised.error.unwrap_or(0)))
            .collect();
        assert_eq!(came, steps, "{low:x}");
        assert!(matches!(course.ending, Ending::Handled { vector: 8, .. }));
        // #DB is benign: what comes while it is delivered takes its place.
        machine.write_u64(physical(IDT + 16), low);
        let course = deliver(&mut machine, &now, Raised::debug(), RING_0);
        assert!(
            matches!(
                course.ending,
                Ending::Handled {
                    vector: 11 | 13,
                    ..
                }
            ),
            "{course:?}"
        );
    }
    let (mut machine, mut now) = kernel();
    now.idtr.limit = 14 * 16 - 1;
    let course = deliver(&mut machine, &now, FAULT, RING_0);
    assert_eq!(course.steps().nth(1), Some(&Raised::protection(0x73)));
    let course = deliver(&mut machine, &now, protection, RING_0);
    assert!(matches!(course.ending, Ending::Handled { vector: 13, .. }));
}

// SDM, the table "Conditions for Generating a Double Fault": benign, contributory, page fault.
#[test]
fn two_exceptions_make_a_double_fault_by_their_classes() {
    let of = |vector| Raised::with_code(vector, 0);
    for (first, second, both) in [
        (1, 13, 13),
        (3, 14, 14),
        (0x20, 14, 14),
        (13, 1, 1),
        (13, 13, 8),
        (0, 12, 8),
        (10, 11, 8),
        (13, 14, 14),
        (14, 13, 8),
        (14, 14, 8),
        (14, 1, 1),
        (14, 0, 8),
    ] {
        assert_eq!(
            next_of(of(first), of(second)).vector,
            both,
            "{first} then {second}"
        );
    }
}

#[test]
fn an_rsp0_of_the_future_replaces_the_one_in_memory() {
    let (mut machine, mut now) = kernel();
    now.rsp0 = Some(VirtAddr(0));
    let course = deliver(&mut machine, &now, Raised::debug(), RING_3);
    let second = course.steps().nth(1).copied();
    // Five words below 0.
    assert_eq!(
        second,
        Some(Raised::page_fault(2, VirtAddr(0u64.wrapping_sub(40))))
    );
    assert!(matches!(course.ending, Ending::Handled { vector: 8, .. }));
    now.rsp0 = Some(VirtAddr(1 << 47));
    let course = deliver(&mut machine, &now, Raised::debug(), RING_3);
    assert_eq!(course.steps().nth(1), Some(&Raised::with_code(12, 1)));
}

#[test]
fn what_cannot_be_read_is_said() {
    let (mut machine, now) = kernel();
    machine.remove_frame(physical(IDT));
    let course = deliver(&mut machine, &now, FAULT, RING_0);
    assert!(matches!(course.ending, Ending::Unknown(..)));
}
