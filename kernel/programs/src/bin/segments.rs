//! `segments`: loads FS and GS with null selectors of every kind and with the data segment, gives them
//! bases, and checks selectors and bases after other processes ran, a child that does the same
//! backwards among them.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

use core::arch::asm;

use programs::{Arguments, Ended, abi, calls, println};

programs::program!(main);

/// Null with each ring, and our own data segment.
const SELECTORS: [u64; 5] = [0, 1, 2, 3, abi::USER_DATA];
const BASES: [u64; 4] = [0, 1, 0x2_0000_0000, abi::USER_END - 1];

/// What FS and GS are to hold.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Segments {
    fs: u64,
    gs: u64,
    /// `None` where nobody may set them.
    bases: Option<(u64, u64)>,
}

fn main(_: Arguments) -> u8 {
    let child = match calls::fork() {
        Ok(child) => child,
        Err(error) => {
            println!("segments: fork: {error}");
            return 1;
        }
    };
    let (count, wrong) = if child == 0 {
        check(grid().rev())
    } else {
        check(grid())
    };
    if child == 0 {
        return wrong;
    }
    let ended = calls::wait(child).map(|(_, status)| Ended::from(status));
    if wrong != 0 || ended != Ok(Ended::Exit(0)) {
        println!("segments: something was lost between two processes");
        return 1;
    }
    println!("segments: {count} pairs of FS and GS, kept in two processes at once");
    0
}

fn grid() -> impl DoubleEndedIterator<Item = Segments> {
    let has_bases = calls::has_base_instructions();
    let cells = SELECTORS.len() * SELECTORS.len() * BASES.len();
    (0..cells).map(move |cell| {
        let at = |list: &[u64], index: usize| list.get(index % list.len()).copied().unwrap_or(0);
        let base = cell / (SELECTORS.len() * SELECTORS.len());
        Segments {
            fs: at(&SELECTORS, cell),
            gs: at(&SELECTORS, cell / SELECTORS.len()),
            bases: has_bases.then(|| (at(&BASES, base), at(&BASES, base + cell))),
        }
    })
}

/// How many, and whether one was lost.
fn check(cells: impl Iterator<Item = Segments>) -> (u32, u8) {
    let mut count = 0;
    for cell in cells {
        load(cell);
        for ways in 0..3 {
            match ways {
                0 => {}
                1 => calls::give_way(),
                _ => spin(),
            }
            let found = held(cell.bases.is_some());
            if found != cell {
                let (fs, gs) = (found.fs, found.gs);
                println!(
                    "segments: FS {:#x} GS {:#x} became {fs:#x} and {gs:#x}",
                    cell.fs, cell.gs
                );
                let (was, is) = (
                    cell.bases.unwrap_or_default(),
                    found.bases.unwrap_or_default(),
                );
                println!(
                    "segments: bases {:#x} {:#x} became {:#x} {:#x}",
                    was.0, was.1, is.0, is.1
                );
                return (count, 1);
            }
        }
        count += 1;
    }
    (count, 0)
}

/// Long enough for the timer, now and then.
fn spin() {
    for _ in 0..20_000 {
        core::hint::spin_loop();
    }
}

#[expect(unsafe_code, reason = "loads FS and GS")]
fn load(cell: Segments) {
    // SAFETY: nothing here is reached through FS or GS.
    unsafe {
        asm!("mov fs, {0:x}", "mov gs, {1:x}", in(reg) cell.fs, in(reg) cell.gs, options(nostack, preserves_flags));
    }
    if let Some((fs, gs)) = cell.bases {
        // SAFETY: CPUID says that these instructions are there; the rest as above.
        unsafe {
            asm!("wrfsbase {}", "wrgsbase {}", in(reg) fs, in(reg) gs, options(nostack, preserves_flags));
        }
    }
}

#[expect(unsafe_code, reason = "reads FS and GS")]
fn held(has_bases: bool) -> Segments {
    let (fs, gs): (u64, u64);
    // SAFETY: reading changes nothing.
    unsafe {
        asm!("mov {0:e}, fs", "mov {1:e}, gs", out(reg) fs, out(reg) gs, options(nomem, nostack, preserves_flags));
    }
    let bases = has_bases.then(|| {
        let (fs, gs);
        // SAFETY: CPUID says that these instructions are there.
        unsafe {
            asm!("rdfsbase {}", "rdgsbase {}", out(reg) fs, out(reg) gs, options(nomem, nostack, preserves_flags));
        }
        (fs, gs)
    });
    Segments { fs, gs, bases }
}
