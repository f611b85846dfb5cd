//! `forker [N]`: makes N children, 4 without an argument and at most 50, that all write to the
//! same pages, and checks that each sees the past of all and the writes of none.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

use programs::{Arguments, Ended, abi, calls, println};

programs::program!(main);

/// With a child of each child, about as many as there may be.
const MOST: u64 = 50;

/// Written by everybody: on a page of the program's data, of the stack and of `map`.
struct Places<'a> {
    mapped: &'a mut [u64],
    on_stack: [u64; 700],
}

impl Places<'_> {
    fn fill(&mut self, who: u64) {
        let words = self.mapped.iter_mut().chain(&mut self.on_stack);
        for (number, word) in (0..).zip(words) {
            *word = who << 32 | number;
        }
    }

    fn hold(&self, who: u64) -> bool {
        let words = self.mapped.iter().chain(&self.on_stack);
        (0..)
            .zip(words)
            .all(|(number, word)| *word == who << 32 | number)
    }
}

fn main(arguments: Arguments) -> u8 {
    let count = arguments.number(1, 4);
    if !(1..=MOST).contains(&count) {
        println!("forker: from 1 to {MOST} children, not {count}");
        return 2;
    }
    match run(count) {
        Ok(()) => {
            println!("forker: {count} children, each with pages of its own");
            0
        }
        Err(why) => {
            println!("forker: {why}");
            1
        }
    }
}

fn run(count: u64) -> Result<(), &'static str> {
    let bytes = 16 * abi::PAGE;
    let at = calls::map(bytes, abi::MAP_WRITE).map_err(|_| "no memory")?;
    // SAFETY: `map` gave these pages to us alone, and nobody gives them back.
    #[expect(unsafe_code, reason = "memory that Rust knows nothing of")]
    let mapped = unsafe { core::slice::from_raw_parts_mut(at as *mut u64, bytes as usize / 8) };
    let mut places = Places {
        mapped,
        on_stack: [0; 700],
    };

    for child in 1..=count {
        places.fill(child << 8);
        let pid = calls::fork().map_err(|_| "cannot fork")?;
        if pid == 0 {
            calls::exit(live(&mut places, child));
        }
        // The child may or may not have run by now: it must not see this.
        places.fill(1 << 20);
    }
    calls::give_way();
    if !places.hold(1 << 20) {
        return Err("a child's writes are seen in the parent");
    }
    for _ in 0..count {
        let (_, status) = calls::wait(abi::ANY_CHILD).map_err(|_| "cannot wait")?;
        match Ended::from(status) {
            Ended::Exit(0) => {}
            Ended::Exit(1) => return Err("a child does not see what was there before it"),
            Ended::Exit(2) => return Err("a child sees what another wrote"),
            Ended::Exit(3) => return Err("a grandchild went wrong"),
            _ => return Err("a child died"),
        }
    }
    if !places.hold(1 << 20) {
        return Err("a child's writes are seen in the parent, later");
    }
    if calls::wait(abi::ANY_CHILD) != Err(calls::Errno(abi::ECHILD)) {
        return Err("there is a child too many");
    }
    Ok(())
}

/// What a child does: its exit code says what it found.
fn live(places: &mut Places<'_>, child: u64) -> u8 {
    if !places.hold(child << 8) {
        return 1;
    }
    places.fill(child);
    for _ in 0..3 {
        calls::give_way();
        if !places.hold(child) {
            return 2;
        }
    }
    // A copy of a copy.
    let Ok(pid) = calls::fork() else { return 3 };
    if pid == 0 {
        let inherited = places.hold(child);
        places.fill(child << 16);
        calls::give_way();
        return if inherited && places.hold(child << 16) {
            0
        } else {
            1
        };
    }
    let waited = calls::wait(pid).map(|(_, status)| Ended::from(status));
    if waited != Ok(Ended::Exit(0)) {
        return 3;
    }
    if places.hold(child) { 0 } else { 2 }
}
