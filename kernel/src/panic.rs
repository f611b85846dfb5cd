//! Panics: our own bugs. Says what and where, and stops.

use core::fmt::Write as _;
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, Ordering};

use shell::Images;

use crate::arch::{cpu, snapshot};
use crate::backtrace;
use crate::console::emergency;
use crate::debugger::{self, Why};
use crate::symbols;

static PANICKING: AtomicBool = AtomicBool::new(false);

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let _ = cpu::interrupts_off();
    if debugger::is_possible() {
        let mut out = emergency();
        let _ = write!(out, "\nnote: the debugger panicked: {}", info.message());
        if let Some(place) = info.location() {
            let _ = write!(out, ", at {place}");
        }
        let _ = writeln!(out);
        debugger::give_up(Why::Panic);
    }
    if !PANICKING.swap(true, Ordering::Relaxed) {
        let mut out = emergency();
        let _ = write!(out, "\npanic: {}", info.message());
        if let Some(place) = info.location() {
            let _ = write!(out, ", at {place}");
        }
        let _ = writeln!(out);
        let _ = writeln!(out, "backtrace:");
        let images = Images {
            kernel: symbols::kernel().ok(),
            program: None,
        };
        let _ = backtrace::from_here(snapshot::here()).write(&images, &mut out);
    }
    stop()
}

/// The end of every report that nothing comes after.
pub(crate) fn stop() -> ! {
    let _ = writeln!(emergency(), "halted; the machine stays as it is");
    cpu::halt()
}
