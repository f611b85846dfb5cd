//! `measure`: how long the ways into the kernel and back are, in TSC cycles.
//!
//! Under `-icount shift=0,sleep=off` a cycle is an executed instruction, so the numbers repeat
//! exactly; elsewhere they are only a hint. Each is the least of many, since an interrupt may
//! fall into one.
#![no_std]
#![no_main]

use core::arch::x86_64::_rdtsc;

use programs::calls::{self, Door};
use programs::{Arguments, println};

programs::program!(main);

const ROUNDS: usize = 50;

fn now() -> u64 {
    // SAFETY: reads the time-stamp counter, which ring 3 may: the kernel leaves CR4.TSD clear.
    unsafe { _rdtsc() }
}

/// The least number of cycles that `what` takes, less what measuring nothing takes.
fn least(mut what: impl FnMut()) -> u64 {
    let mut nothing = u64::MAX;
    let mut least = u64::MAX;
    for _ in 0..ROUNDS {
        let start = now();
        nothing = nothing.min(now().wrapping_sub(start));
    }
    for _ in 0..ROUNDS {
        let start = now();
        what();
        least = least.min(now().wrapping_sub(start));
    }
    least.saturating_sub(nothing)
}

fn main(_: Arguments) -> u8 {
    println!(
        "getpid by int 0x80: {} cycles",
        least(|| _ = calls::pid_by(Door::Gate))
    );
    println!(
        "getpid by syscall: {} cycles",
        least(|| _ = calls::pid_by(Door::Syscall))
    );
    match fault() {
        Ok((copied, taken)) => {
            println!("page fault, page copied: {copied} cycles");
            println!("page fault, page taken over: {taken} cycles");
            0
        }
        Err(error) => {
            println!("measure: {error}");
            1
        }
    }
}

/// A write to a page shared with a child: copied while the child has it, taken over once it
/// has not.
fn fault() -> Result<(u64, u64), calls::Errno> {
    let mut least = (u64::MAX, u64::MAX);
    for _ in 0..8 {
        let page = calls::map(4096, 1)?;
        touch(page);
        let child = calls::fork()?;
        if child == 0 {
            // Until the parent has measured.
            let _ = calls::sleep(20);
            calls::exit(0);
        }
        let start = now();
        touch(page);
        least.0 = least.0.min(now().wrapping_sub(start));
        calls::wait(child)?;
        let page = calls::map(4096, 1)?;
        touch(page);
        let child = calls::fork()?;
        if child == 0 {
            calls::exit(0);
        }
        calls::wait(child)?;
        let start = now();
        touch(page);
        least.1 = least.1.min(now().wrapping_sub(start));
    }
    Ok(least)
}

fn touch(page: u64) {
    let byte = core::ptr::with_exposed_provenance_mut::<u8>(page as usize);
    // SAFETY: the kernel has just mapped this page for us, writable.
    unsafe { byte.write_volatile(1) };
}
