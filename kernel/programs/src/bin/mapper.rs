//! `mapper [after-unmap]`: maps pages, finds them zero, fills them, gives some back.
//!
//! With the argument it ends by reading a page it gave back: #PF at `fault_here`, error code 4, CR2
//! the first address that `map` hands out.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

use programs::{Arguments, abi, calls, println};

programs::program!(main);

const PAGES: u64 = 8;

fn main(arguments: Arguments) -> u8 {
    match run() {
        Ok(_) if arguments.text(1) != Some("after-unmap") => {
            println!("mapper: {PAGES} pages mapped, filled and given back");
            0
        }
        Ok(at) => {
            // SAFETY: nothing is mapped there, and dying of it is the point.
            #[expect(unsafe_code, reason = "reads what is no longer there")]
            let value = unsafe { gone::read_byte(at) };
            println!("mapper: read {value:#x} from a page that is gone");
            1
        }
        Err(why) => {
            println!("mapper: {why}");
            1
        }
    }
}

/// Where the pages were.
fn run() -> Result<u64, &'static str> {
    let at = map(PAGES * abi::PAGE)?;
    if at % abi::PAGE != 0 {
        return Err("the address is not that of a page");
    }
    fill(at, PAGES)?;

    // The middle goes; what is on either side stays.
    unmap(at + 2 * abi::PAGE, 4)?;
    check(at, 2)?;
    check(at + 6 * abi::PAGE, 2)?;
    // SAFETY: nothing refers to these pages, and they should be refused.
    #[expect(unsafe_code, reason = "unmaps what is not mapped")]
    let again = unsafe { calls::unmap(at + 2 * abi::PAGE, abi::PAGE) };
    if again != Err(calls::Errno(abi::EINVAL)) {
        return Err("a page could be given back twice");
    }

    // Another mapping may use the frames again: zeros nevertheless.
    let other = map(4 * abi::PAGE)?;
    fill(other, 4)?;
    unmap(other, 4)?;
    check(at, 2)?;
    unmap(at, 2)?;
    unmap(at + 6 * abi::PAGE, 2)?;

    for (length, rights) in [
        (abi::PAGE, abi::MAP_WRITE | abi::MAP_EXECUTE),
        (abi::PAGE, 4),
        (0, abi::MAP_WRITE),
    ] {
        if calls::map(length, rights) != Err(calls::Errno(abi::EINVAL)) {
            return Err("a senseless map was not EINVAL");
        }
    }
    Ok(at)
}

fn map(bytes: u64) -> Result<u64, &'static str> {
    calls::map(bytes, abi::MAP_WRITE).map_err(|_| "no memory")
}

/// Finds pages zero and gives each of their words a value of its own.
fn fill(at: u64, pages: u64) -> Result<(), &'static str> {
    for word in words(at, pages) {
        // SAFETY: the page is ours, writable, and nobody else looks at it.
        #[expect(unsafe_code, reason = "memory that Rust knows nothing of")]
        if unsafe { word.read_volatile() } != 0 {
            return Err("a new page is not zero");
        }
        // SAFETY: the same.
        #[expect(unsafe_code, reason = "memory that Rust knows nothing of")]
        unsafe {
            word.write_volatile(word as u64);
        }
    }
    check(at, pages)
}

/// Finds in pages what `fill` put there.
fn check(at: u64, pages: u64) -> Result<(), &'static str> {
    for word in words(at, pages) {
        // SAFETY: the page is still ours.
        #[expect(unsafe_code, reason = "memory that Rust knows nothing of")]
        if unsafe { word.read_volatile() } != word as u64 {
            return Err("a page changed");
        }
    }
    Ok(())
}

fn words(at: u64, pages: u64) -> impl Iterator<Item = *mut u64> {
    (at..at + pages * abi::PAGE)
        .step_by(8)
        .map(|address| address as *mut u64)
}

fn unmap(at: u64, pages: u64) -> Result<(), &'static str> {
    // SAFETY: pages here are only reached through addresses, never through references.
    #[expect(unsafe_code, reason = "gives memory back")]
    let done = unsafe { calls::unmap(at, pages * abi::PAGE) };
    done.map_err(|_| "a page could not be given back")
}

#[expect(unsafe_code, reason = "one instruction with a name")]
mod gone {
    /// Reads a byte, at `fault_here`.
    ///
    /// # Safety
    ///
    /// Reading there must be fine, or dying of it.
    #[unsafe(naked)]
    pub(super) unsafe extern "C" fn read_byte(at: u64) -> u64 {
        core::arch::naked_asm!(
            ".globl fault_here",
            "fault_here:",
            "movzx eax, byte ptr [rdi]",
            "ret",
        )
    }
}
