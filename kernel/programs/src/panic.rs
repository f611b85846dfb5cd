//! A program's own mistake: says what it believed, and exits with 101.

use core::fmt::Write as _;
use core::panic::PanicInfo;

use crate::abi;
use crate::calls;
use crate::print::Lines;

/// The exit code of a program that panicked.
const PANICKED: u8 = 101;

#[panic_handler]
fn panicked(info: &PanicInfo<'_>) -> ! {
    let mut lines = Lines::new(abi::STDERR);
    let _ = writeln!(lines, "{info}");
    drop(lines);
    calls::exit(PANICKED)
}
