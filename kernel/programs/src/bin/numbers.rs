//! `numbers`: system calls whose numbers mean nothing, through both doors: ENOSYS, all of them.
//!
//! Only all 64 bits make a number. A kernel that looks at the low 32 would take 1 << 32 for `exit`.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

use programs::calls::{self, Door};
use programs::{Arguments, abi, println};

programs::program!(main);

/// Without any call's number in all 64 bits.
fn numbers() -> impl Iterator<Item = u64> {
    let first = abi::CALLS.len() as u64;
    let small = first..first + 500;
    let bits = (4..64).map(|bit| 1 << bit);
    // Each call with each high bit: a garbage upper half.
    let dressed = (0..first).flat_map(|call| (8..64).map(move |bit| call | 1 << bit));
    let odd = [
        u64::MAX,
        u64::MAX - 1,
        u64::MAX << 12,
        0x4000_0000,
        0x7fff_ffff,
        0x8000_0000,
        0xffff_ffff,
        0xffff_ffff_0000_0001,
        0x7fff_ffff_ffff_ffff,
        0x8000_0000_0000_0000,
        0xffff_8000_0000_0000,
    ];
    small.chain(bits).chain(dressed).chain(odd)
}

fn main(_: Arguments) -> u8 {
    let mut count = 0;
    for number in numbers() {
        for door in Door::ALL {
            // SAFETY: no call has this number; one that were taken for another gets no pointer.
            #[expect(unsafe_code, reason = "calls that do not exist")]
            let answer = unsafe { calls::raw(door, number, [77, 0, 0, 0]) };
            if calls::result(answer) != Err(calls::Errno(abi::ENOSYS)) {
                println!("numbers: {number:#x}, by {door}: {answer:#x}");
                return 1;
            }
            count += 1;
        }
    }
    println!("numbers: {count} calls that do not exist, all ENOSYS");
    0
}
