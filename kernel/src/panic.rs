//! Panics: our own bugs. Says what and where, as the report of a fault does, and ends as one.

use core::fmt::{self, Write as _};
use core::panic::PanicInfo;

use heapless::String;

use crate::arch::{cpu, snapshot};
use crate::console::emergency;
use crate::debugger::{self, Why};
use crate::fatal::{self, Depth, Mishap, What};
use crate::faults;
use crate::memory::master;

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let _ = cpu::interrupts_off();
    let frame = snapshot::here();
    let mut out = emergency();
    if debugger::is_possible() {
        let _ = write!(out, "\nnote: the debugger panicked: {}", info.message());
        let _ = writeln!(out, "{}", place(info));
        faults::record_panic_of_debugger(message(info), &frame);
        debugger::give_up(Why::Panic);
    }
    let cr3 = master::come_home();
    let depth = fatal::begin(&Mishap {
        frame,
        cr2: cpu::cr2(),
        cr3,
        what: What::Panic(place(info)),
    });
    match depth {
        Depth::First => {
            // First without the message: making text of it may panic, too.
            let mut record = faults::record_panic(only_place(info), &frame, cr3);
            faults::amend(&mut record, message(info));
            let _ = faults::report(&record, &mut out);
        }
        Depth::Inside => {
            let _ = write!(out, "\npanic: inside a report: {}", info.message());
            let _ = writeln!(out, "{}", place(info));
            let _ = fatal::tell_first(&mut out);
            // Last of all: what failed may be what this needs.
            faults::record_panic(message(info), &frame, cr3);
        }
        Depth::Silent => {}
    }
    fatal::end()
}

/// What it says, and where.
fn message(info: &PanicInfo<'_>) -> String<200> {
    let mut text = String::new();
    let _ = write!(Cut(&mut text), "{}{}", info.message(), place(info));
    text
}

/// The same when nothing is known of what it says.
fn only_place(info: &PanicInfo<'_>) -> String<200> {
    let mut text = String::new();
    let _ = write!(Cut(&mut text), "no message{}", place(info));
    text
}

/// `, at kernel/src/crash.rs:42:36`.
fn place(info: &PanicInfo<'_>) -> String<96> {
    let mut text = String::new();
    if let Some(place) = info.location() {
        let _ = write!(Cut(&mut text), ", at {place}");
    }
    text
}

/// Takes text as long as there is room.
struct Cut<'a, const N: usize>(&'a mut String<N>);

impl<const N: usize> fmt::Write for Cut<'_, N> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            let _ = self.0.push(character);
        }
        Ok(())
    }
}
