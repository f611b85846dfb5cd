//! `pointers`: hostile pointers for every call that takes one, through both doors: EFAULT or EINVAL,
//! nothing written, nobody hurt.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

use programs::calls::{self, Door, Errno};
use programs::{Arguments, abi, println};

programs::program!(main);

/// A buffer as a pointer and a length.
type Buffer = (u64, u64);

/// Buffers with at least one byte that is not ours among those that any call would look at; `edge`
/// is the end of a page before a hole.
fn hostile(edge: u64) -> [Buffer; 24] {
    let kernel = 0xffff_8000_0000_0000;
    [
        (0, 1),
        (0, 4096),
        (8, 1),
        (u64::MAX, 1),
        (u64::MAX, 2),
        (u64::MAX - 4095, 4096),
        // Wraps to the start.
        (u64::MAX - 4095, 4097),
        (u64::MAX - 15, 64),
        // Across the end of a page, by a little and by a lot.
        (edge - 1, 2),
        (edge - 8, 16),
        (edge - 512, 513),
        (edge - 512, 64 * 1024),
        (edge, 1),
        // The last user page, and across the edge of the lower half.
        (abi::USER_END - 4096, 1),
        (abi::USER_END - 1, 1),
        (abi::USER_END - 1, 2),
        (abi::USER_END - 4096, 8192),
        // Not canonical.
        (abi::USER_END, 1),
        (1 << 62, 8),
        (kernel - 1, 2),
        // The kernel's: its lowest address, its heap, its stacks.
        (kernel, 1),
        (0xffff_c800_0000_0000, 16),
        (0xffff_c900_0000_1000, 16),
        // Above the stack.
        (abi::STACK_END, 1),
    ]
}

fn main(_: Arguments) -> u8 {
    match run() {
        Ok(count) => {
            println!("pointers: {count} hostile calls, all refused");
            0
        }
        Err(()) => 1,
    }
}

fn run() -> Result<u64, ()> {
    // Two pages, the second given back: a hole for certain.
    let at = calls::map(2 * abi::PAGE, abi::MAP_WRITE).map_err(|why| println!("map: {why}"))?;
    let edge = at + abi::PAGE;
    // SAFETY: nothing refers to the second page.
    #[expect(unsafe_code, reason = "makes a hole")]
    unsafe { calls::unmap(edge, abi::PAGE) }.map_err(|why| println!("unmap: {why}"))?;
    for byte in bytes(at) {
        // SAFETY: the first page is ours and writable.
        #[expect(unsafe_code, reason = "memory that Rust knows nothing of")]
        unsafe {
            byte.write_volatile(0x5a);
        }
    }

    let mut count = 0;
    let mut refused = |number, arguments, what: Buffer| {
        for door in Door::ALL {
            // SAFETY: each of these calls must be refused before it does anything.
            #[expect(unsafe_code, reason = "calls that must be refused")]
            let answer = unsafe { calls::raw(door, number, arguments) };
            count += 1;
            let is_refused = match calls::result(answer) {
                Err(Errno(abi::EFAULT | abi::EINVAL)) => true,
                Err(Errno(abi::ENOMEM)) => number == abi::MAP,
                _ => false,
            };
            if !is_refused {
                let name = abi::CALLS
                    .get(number as usize)
                    .map_or("?", |(_, name)| name);
                let (at, length) = what;
                println!("pointers: {name} of {length} bytes at {at:#x}, by {door}: {answer:#x}");
                return Err(());
            }
        }
        Ok(())
    };

    let name = "nothing";
    let (name_at, name_length) = (name.as_ptr() as u64, name.len() as u64);
    for what in hostile(edge) {
        let (pointer, length) = what;
        refused(abi::WRITE, [abi::STDOUT, pointer, length, 0], what)?;
        refused(abi::READ, [abi::STDIN, pointer, length, 0], what)?;
        refused(abi::SPAWN, [pointer, length, 0, 0], what)?;
        let arguments = [name_at, name_length, pointer, length];
        refused(abi::SPAWN, arguments, what)?;
    }
    // The kernel may write only where we may: neither to code nor to constants.
    for at in [run as *const () as u64, name_at] {
        refused(abi::READ, [abi::STDIN, at, 4, 0], (at, 4))?;
    }
    // A length out of all proportion, and one that wraps.
    for length in [1 << 47, u64::MAX - 1, u64::MAX] {
        let what = (at, length);
        refused(abi::WRITE, [abi::STDOUT, at, length, 0], what)?;
        refused(abi::SPAWN, [name_at, name_length, at, length], what)?;
        refused(abi::SPAWN, [at, length, 0, 0], what)?;
        refused(abi::MAP, [length, abi::MAP_WRITE, 0, 0], what)?;
        refused(abi::UNMAP, [at, length, 0, 0], what)?;
    }
    // Not what `map` handed out.
    for address in [
        0,
        abi::IMAGE,
        abi::STACK_END - abi::PAGE,
        edge,
        at + 1,
        abi::USER_END - abi::PAGE,
        abi::USER_END,
        0xffff_8000_0000_0000,
        0xffff_c800_0000_0000,
        u64::MAX - 4095,
    ] {
        let what = (address, abi::PAGE);
        refused(abi::UNMAP, [address, abi::PAGE, 0, 0], what)?;
    }

    for byte in bytes(at) {
        // SAFETY: the first page is still ours.
        #[expect(unsafe_code, reason = "memory that Rust knows nothing of")]
        let found = unsafe { byte.read_volatile() };
        if found != 0x5a {
            println!("pointers: a refused call wrote {found:#x} at {byte:?}");
            return Err(());
        }
    }
    Ok(count)
}

fn bytes(page: u64) -> impl Iterator<Item = *mut u8> {
    (page..page + abi::PAGE).map(|address| address as *mut u8)
}
