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
        debugger::give_up(Why::Panic);
    }
    // The message comes after it: making text of it may panic, too.
    let cr3 = master::come_home();
    let depth = fatal::begin(&Mishap {
        frame,
        cr2: cpu::cr2(),
        cr3,
        what: What::Panic(place(info)),
    });
    match depth {
        Depth::First => {
            let mut message = String::new();
            let text = format_args!("{}{}", info.message(), place(info));
            let _ = Cut(&mut message).write_fmt(text);
            let record = faults::record_panic(message, &frame, cr3);
            let _ = faults::report(&record, &mut out);
        }
        Depth::Inside => {
            let _ = write!(out, "\npanic: inside a report: {}", info.message());
            let _ = writeln!(out, "{}", place(info));
            let _ = fatal::tell_first(&mut out);
        }
        Depth::Silent => {}
    }
    fatal::end()
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
