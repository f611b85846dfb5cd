//! Needs against the small kernel of `delivery`'s tests.

use super::*;
use crate::delivery::Ending;
use crate::{Entry, Level, Paging, PhysAddr, Simulated, Situation, Why, walk};

const KERNEL: u64 = 0xffff_8000_0000_0000;
const STACK: u64 = KERNEL + 0x6000;

fn kernel() -> (Simulated, Situation) {
    crate::delivery::kernel_for_tests()
}

fn need(first: u64, bytes: u64, how: Use) -> Need {
    Need {
        what: "it",
        first: VirtAddr(first),
        bytes,
        how,
        when: When::Switch,
        rsp: VirtAddr(STACK + 0x800),
    }
}

#[test]
fn each_use_wants_its_right() {
    let (mut machine, now) = kernel();
    for (first, how, is_met) in [
        (KERNEL, Use::Fetch, true),
        (KERNEL, Use::Read, true),
        (KERNEL, Use::Write, false),
        (STACK, Use::Stack, true),
        (STACK - 0x1000, Use::Guard, true),
        (STACK, Use::Guard, false),
        (STACK + 0x1000, Use::Read, false),
        (1 << 47, Use::Read, false),
        (1 << 47, Use::Guard, false),
    ] {
        let met = meet(&mut machine, &now, &need(first, 8, how));
        assert_eq!(met.is_met, is_met, "{first:x} {how:?}");
    }
}

#[test]
fn the_first_page_that_fails_is_named_with_its_level() {
    let (mut machine, now) = kernel();
    // Text, text, GDT, IDT, TSS, then a hole.
    let met = meet(&mut machine, &now, &need(KERNEL + 0x10, 0x6000, Use::Read));
    assert_eq!((met.at, met.is_met), (VirtAddr(KERNEL + 0x5000), false));
    assert!(matches!(
        met.verdict,
        Verdict::PageFault {
            level: Level::Pt,
            why: Why::Absent,
            code: 0
        }
    ));
    let met = meet(&mut machine, &now, &need(KERNEL + 0x10, 0x4ff0, Use::Read));
    assert_eq!((met.at, met.is_met), (VirtAddr(KERNEL + 0x10), true));
}

#[test]
fn a_range_to_the_very_end_of_the_address_space_ends() {
    let (mut machine, now) = kernel();
    let met = meet(&mut machine, &now, &need(u64::MAX - 7, 8, Use::Guard));
    assert!(met.is_met);
    let met = meet(
        &mut machine,
        &now,
        &need(u64::MAX - 7, u64::MAX, Use::Guard),
    );
    assert!(
        met.is_met,
        "it wraps around, which nothing does: the end is the end"
    );
}

#[test]
fn the_first_need_that_fails_on_the_way_has_a_course() {
    let (mut machine, now) = kernel();
    let paging = Paging::four_level(40);
    let way = need(STACK, 8, Use::Stack);
    let met = meet(&mut machine, &now, &way);
    assert_eq!(course(&mut machine, &now, &way, &met), None);
    // W lost at the top: reading goes well, a push does not.
    let entry = walk(&mut machine, &paging, PhysAddr(0x1000), VirtAddr(STACK)).steps()[0];
    machine.write_u64(entry.entry_address(), entry.entry.raw & !Entry::WRITABLE);
    let met = meet(&mut machine, &now, &way);
    let course = course(&mut machine, &now, &way, &met).expect("it fails");
    assert_eq!(
        course.steps().next(),
        Some(&Raised::page_fault(3, VirtAddr(STACK)))
    );
    // Nothing can be pushed anywhere.
    assert_eq!(course.ending, Ending::TripleFault);
    let later = Need {
        when: When::Whole,
        ..way
    };
    assert_eq!(super::course(&mut machine, &now, &later, &met), None);
}
