//! Tables written byte by byte from the standard, and stacks made of maps.

use std::collections::BTreeMap;
use std::string::ToString;
use std::vec::Vec;

use machine::{End, Level, VirtAddr, VirtError};

use crate::{
    Caller, Image, ImageError, Images, Registers, Stop, Walk, by_frame_pointer, by_tables,
};

/// Where the header of the tables is, and the one function they are about.
const HEADER: u64 = 0x1000;
const FUNCTION: u64 = 0x4000;
const LENGTH: u32 = 0x20;
/// How far the image runs from where it was linked.
const BASE: u64 = 0xffff_8000_0000_0000;

/// `push rbp; mov rbp, rsp; ...`, as a compiler describes it; `augmentation` is `zR`, or `zRS`
/// for a frame that was interrupted.
fn tables(augmentation: &[u8]) -> Vec<u8> {
    let frames_at = HEADER + 20;
    let mut common = Vec::from([1]);
    common.extend(augmentation);
    // The end of that text, factors 1 and -8, return address in column 16; one byte more: FDEs
    // hold addresses relative to themselves, of four bytes. CFA = RSP + 8, RIP at CFA - 8.
    common.extend([0, 1, 0x78, 16, 1, 0x1b]);
    common.extend([0x0c, 7, 8, 0x90, 1]);
    let mut frames = entry(&0_u32.to_le_bytes(), &common);
    let start = frames.len();

    // From FUNCTION + 1: CFA = RSP + 16, RBP at CFA - 16. From FUNCTION + 4: CFA = RBP + 16.
    let rules = [0x41, 0x0e, 16, 0x86, 2, 0x43, 0x0d, 6];
    let distance_to_common = u32::try_from(start + 4).expect("small");
    let field = frames_at + u64::try_from(start).expect("small") + 8;
    let mut body = Vec::from(relative(FUNCTION, field));
    body.extend(LENGTH.to_le_bytes());
    body.push(0);
    body.extend(rules);
    frames.extend(entry(&distance_to_common.to_le_bytes(), &body));
    frames.extend([0; 4]);

    // Version 1; relative pointers of four bytes, a count of four, a table relative to here.
    let mut out = Vec::from([1, 0x1b, 3, 0x3b]);
    out.extend(relative(frames_at, HEADER + 4));
    out.extend(1_u32.to_le_bytes());
    out.extend(relative(FUNCTION, HEADER));
    out.extend(relative(frames_at + start as u64, HEADER));
    out.extend(frames);
    out
}

/// Length, what kind of entry it is, and the rest, filled up with `DW_CFA_nop`.
fn entry(kind: &[u8], body: &[u8]) -> Vec<u8> {
    let length = (kind.len() + body.len()).next_multiple_of(8) + 4;
    let mut out = Vec::from(u32::try_from(length).expect("small").to_le_bytes());
    out.extend(kind);
    out.extend(body);
    out.resize(length + 4, 0);
    out
}

fn relative(to: u64, from: u64) -> [u8; 4] {
    let distance = i64::try_from(to).expect("low") - i64::try_from(from).expect("low");
    i32::try_from(distance).expect("near").to_le_bytes()
}

fn image(bytes: &[u8]) -> Image<'_> {
    Image::new(bytes, HEADER, HEADER, BASE).expect("the header is in order")
}

/// Each general register holds 0x100 times its number, but for these.
fn registers(rip: u64, rsp: u64, rbp: u64) -> Registers {
    let mut general: [u64; 16] = core::array::from_fn(|number| 0x100 * number as u64);
    general[7] = rsp;
    general[6] = rbp;
    Registers::new(general, rip)
}

fn no_memory(at: VirtAddr) -> VirtError {
    VirtError {
        at,
        why: End::Absent { level: Level::Pt },
        memory: None,
    }
}

fn walk(
    augmentation: &[u8],
    from: Registers,
    is_interrupted: bool,
    stack: &[(u64, u64)],
) -> Result<Caller, Stop> {
    let words: BTreeMap<u64, u64> = stack.iter().copied().collect();
    let mut read = |at: VirtAddr| words.get(&at.0).copied().ok_or(no_memory(at));
    by_tables(
        &image(&tables(augmentation)),
        &from,
        is_interrupted,
        &mut read,
    )
}

#[test]
fn each_row_of_the_table_is_about_its_own_instructions() {
    let at = |offset| BASE + FUNCTION + offset;
    let stack = [(0x8000, 0x9100), (0x8008, 0xabc)];
    // Before `push rbp`, after it, and with RBP set up and RSP far below.
    for (offset, rsp, rbp, rsp_above, rbp_above) in [
        (0, 0x8008, 0x77, 0x8010, 0x77),
        (1, 0x8000, 0x77, 0x8010, 0x9100),
        (3, 0x8000, 0x77, 0x8010, 0x9100),
        (4, 0x7000, 0x8000, 0x8010, 0x9100),
        (0x1f, 0x7000, 0x8000, 0x8010, 0x9100),
    ] {
        let caller = walk(b"zR", registers(at(offset), rsp, rbp), true, &stack).expect("a caller");
        assert_eq!(caller.registers.rip(), Some(0xabc), "{offset:#x}");
        assert_eq!(caller.registers.rsp(), Some(rsp_above), "{offset:#x}");
        assert_eq!(caller.registers.rbp(), Some(rbp_above), "{offset:#x}");
        assert!(!caller.is_interrupted);
        // RBX is kept across calls, RAX is not.
        assert_eq!(caller.registers.get(3), Some(0x300));
        assert_eq!(caller.registers.get(0), None);
    }
}

#[test]
fn a_return_address_belongs_to_the_call_before_it() {
    let stack = [(0x8008, 0xabc)];
    let behind = BASE + FUNCTION + u64::from(LENGTH);
    let from = registers(behind, 0x7000, 0x8000);
    let outside = Stop::NoTable(VirtAddr(behind));
    assert_eq!(walk(b"zR", from, true, &stack), Err(outside));
    let stack = [(0x8000, 0x9100), (0x8008, 0xabc)];
    let caller = walk(b"zR", from, false, &stack).expect("the last byte is the function's");
    assert_eq!(caller.registers.rip(), Some(0xabc));
}

#[test]
fn an_interrupted_frame_keeps_every_register() {
    let stack = [(0x8008, BASE + 0xabc)];
    let from = registers(BASE + FUNCTION, 0x8008, 0x77);
    let caller = walk(b"zRS", from, false, &stack);
    // The byte before the function is not the function's; interrupted, it is not asked for.
    assert_eq!(caller, Err(Stop::NoTable(VirtAddr(BASE + FUNCTION - 1))));
    let caller = walk(b"zRS", from, true, &stack).expect("a caller");
    assert!(caller.is_interrupted);
    assert_eq!(caller.registers.get(0), Some(0));
    assert_eq!(caller.registers.get(2), Some(0x200));
    assert_eq!(caller.registers.rip(), Some(BASE + 0xabc));
}

#[test]
fn a_walk_ends_with_its_reason() {
    let from = registers(BASE + FUNCTION, 0x8008, 0x77);
    let unreadable = no_memory(VirtAddr(0x8008));
    assert_eq!(
        walk(b"zR", from, true, &[]),
        Err(Stop::Unreadable(unreadable))
    );
    assert_eq!(
        walk(b"zR", from, true, &[(0x8008, 0)]),
        Err(Stop::Outermost)
    );
    // RBP points below RSP: no stack looks so.
    let smashed = registers(BASE + FUNCTION + 4, 0x8008, 0x5000);
    let words = [(0x5000, 1), (0x5008, 2)];
    let stop = walk(b"zR", smashed, true, &words).expect_err("smashed");
    assert_eq!(
        stop.to_string(),
        "the caller's stack would be at 0x0000_0000_0000_5010, which is not above"
    );
}

#[test]
fn code_of_the_lower_half_on_a_stack_of_the_upper_half_has_been_called() {
    // The same tables for both halves; the first word of the stack is a return address.
    let bytes = tables(b"zR");
    let program = Image::new(&bytes, HEADER, HEADER, 0).expect("an image");
    let images = Images {
        kernel: Some(image(&bytes)),
        program: Some(program),
    };
    const STACK: u64 = 0xffff_c900_0000_8000;
    let returns = BASE + FUNCTION + 2;
    let words: BTreeMap<u64, u64> = [(STACK, returns), (0x8000, 0x77), (0x8008, 0xabc)].into();
    let second = |rip, rsp| {
        let mut read = |at: VirtAddr| words.get(&at.0).copied().ok_or(no_memory(at));
        let mut walk = Walk::new(images.clone(), registers(rip, rsp, 0x77), true);
        walk.next(&mut read)?;
        walk.next(&mut read)?.registers.rip()
    };
    // By the tables, the word above it would be the one.
    assert_eq!(second(FUNCTION + 1, STACK), Some(returns));
    // A program on its own stack goes by them.
    assert_eq!(second(FUNCTION + 1, 0x8000), Some(0xabc));
}

#[test]
fn frame_pointers_lead_upwards_only() {
    let words: BTreeMap<u64, u64> = [(0x8000, 0x9100), (0x8008, 0xabc)].into();
    let mut read = |at: VirtAddr| words.get(&at.0).copied().ok_or(no_memory(at));
    let caller = by_frame_pointer(&registers(1, 0x7000, 0x8000), &mut read).expect("a caller");
    assert_eq!(caller.registers.rip(), Some(0xabc));
    assert_eq!(caller.registers.rsp(), Some(0x8010));
    assert_eq!(caller.registers.rbp(), Some(0x9100));
    let smashed = by_frame_pointer(&registers(1, 0x9000, 0x8000), &mut read);
    assert_eq!(
        smashed,
        Err(Stop::NotUpwards {
            to: VirtAddr(0x8010)
        })
    );
    let outermost = by_frame_pointer(&registers(1, 0x9000, 0), &mut read);
    assert_eq!(outermost, Err(Stop::Outermost));
}

#[test]
fn an_image_without_tables_is_refused() {
    let bytes = tables(b"zR");
    let outside = Image::new(&bytes, HEADER, HEADER + 0x1_0000, 0).map(|_| ());
    assert_eq!(outside, Err(ImageError::Outside));
    assert!(Image::new(&bytes[..6], HEADER, HEADER, 0).is_err());
    assert!(Image::new(&[9; 64], HEADER, HEADER, 0).is_err());
}

/// Damaged tables give an answer or a reason, whatever is damaged.
#[test]
fn no_damage_panics() {
    let whole = [tables(b"zR"), tables(b"zRS")];
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below as u64).expect("below a usize")
    };
    let mut answers = [0_u32; 2];
    for round in 0..200_000 {
        let mut bytes = whole[round % 2].clone();
        for _ in 0..=next(4) {
            let at = next(bytes.len());
            bytes[at] = u8::try_from(next(256)).expect("a byte");
        }
        if next(8) == 0 {
            bytes.truncate(next(bytes.len()) + 1);
        }
        let Ok(image) = Image::new(&bytes, HEADER, HEADER, BASE) else {
            answers[1] += 1;
            continue;
        };
        let from = registers(BASE + FUNCTION + next(0x20) as u64, 0x7000, 0x8000);
        let mut read = |at: VirtAddr| Ok(at.0 ^ 0x55);
        let answer = by_tables(&image, &from, round % 3 == 0, &mut read);
        answers[usize::from(answer.is_err())] += 1;
    }
    // Both kinds of answer came up, so the damage was neither nothing nor everything.
    assert!(answers.iter().all(|count| *count > 10_000), "{answers:?}");
}

#[test]
fn a_header_that_claims_more_entries_than_can_be_counted_is_refused() {
    let mut bytes = tables(b"zR");
    // A count of eight bytes, all ones but for the sign.
    bytes[2] = 4;
    bytes.splice(8..12, [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]);
    let refused = Image::new(&bytes, HEADER, HEADER, BASE);
    assert!(matches!(refused, Err(ImageError::Header(_))));
}
