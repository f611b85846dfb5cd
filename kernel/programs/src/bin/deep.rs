//! `deep`: #PF, error code 4, CR2 8, in the last of sixteen functions that call each other. For the
//! backtrace of its report, and for what one of so many calls costs.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

use core::hint::black_box;

use programs::Arguments;

programs::program!(main);

fn main(_: Arguments) -> u8 {
    (floor_1(black_box(8)) & 0xff) as u8
}

/// A function that calls the next one, and has something left to do when that returns.
macro_rules! floors {
    ($($floor:ident -> $next:ident,)*) => {$(
        #[inline(never)]
        fn $floor(address: u64) -> u64 {
            black_box($next(black_box(address))) + 1
        }
    )*};
}

floors! {
    floor_1 -> floor_2,
    floor_2 -> floor_3,
    floor_3 -> floor_4,
    floor_4 -> floor_5,
    floor_5 -> floor_6,
    floor_6 -> floor_7,
    floor_7 -> floor_8,
    floor_8 -> floor_9,
    floor_9 -> floor_10,
    floor_10 -> floor_11,
    floor_11 -> floor_12,
    floor_12 -> floor_13,
    floor_13 -> cellar,
}

#[inline(never)]
fn cellar(address: u64) -> u64 {
    let word;
    // SAFETY: the lowest page is never mapped, so nothing is read; dying of it is the point.
    #[expect(unsafe_code, reason = "reads what is not there")]
    unsafe {
        core::arch::asm!(
            "mov {0}, [{0}]",
            inout(reg) address => word,
            options(nostack, readonly)
        );
    }
    word
}
