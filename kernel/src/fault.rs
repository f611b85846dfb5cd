//! Every interrupt and exception, and the report of those that end the kernel.
//!
//! The report allocates nothing and waits for no lock.

use core::fmt::{self, Write as _};
use core::sync::atomic::{AtomicU64, Ordering};

use exported::{Range, TrapFrame};
use machine::{Raised, VirtAddr, vectors};

use crate::arch::descriptors::SYSTEM_CALL;
use crate::arch::entry::{STOP, SYSTEM_CALL_BY_SYSCALL};
use crate::arch::{attempt, cpu};
use crate::console::emergency;
use crate::debugger::{self, Why};
use crate::devices::timer;
use crate::events::{self, Kind};
use crate::fatal::{Depth, Mishap, What};
use crate::memory::master;
use crate::symbols::Within;
use crate::{crash, fatal, faults, input, process};

const DEBUG: u8 = 1;
const NMI: u8 = 2;
const BREAKPOINT: u8 = 3;
const DOUBLE_FAULT: u8 = 8;
const INVALID_TSS: u8 = 10;
const PAGE_FAULT: u8 = 14;
const MACHINE_CHECK: u8 = 18;

/// How often each vector was entered; SYSCALL counts as vector 0x80.
static COUNTERS: [AtomicU64; 256] = [const { AtomicU64::new(0) }; 256];

/// What the CPU is expected to raise next in ring 0: the vector, the error code above it, and
/// the top bit so that vector 0 counts. 0 for nothing in particular.
static EXPECTED: AtomicU64 = AtomicU64::new(0);
const IS_EXPECTED: u64 = 1 << 63;

/// Notes what was foretold, for the report of the next fault to say whether it was so.
pub(crate) fn expect(raised: Option<Raised>) {
    let word = raised.map_or(0, |raised| {
        IS_EXPECTED | u64::from(raised.vector) | raised.error.unwrap_or(0) << 8
    });
    EXPECTED.store(word, Ordering::Relaxed);
}

/// How often this vector was entered since boot.
pub(crate) fn counter(vector: u8) -> u64 {
    COUNTERS
        .get(usize::from(vector))
        .map_or(0, |counter| counter.load(Ordering::Relaxed))
}

/// Where the handler of all traps is.
pub(crate) fn address() -> u64 {
    trap as fn(&mut TrapFrame) as usize as u64
}

/// What handling a trap writes to: the records of faults, the counters, the reports under way.
pub(crate) fn places() -> [Range; 3] {
    let range = |at: u64, bytes: usize| Range {
        at,
        bytes: bytes as u64,
    };
    [
        faults::place(),
        range(&raw const COUNTERS as u64, size_of_val(&COUNTERS)),
        fatal::place(),
    ]
}

/// Called by the entry stubs, with interrupts off.
pub(crate) fn trap(frame: &mut TrapFrame) {
    // Before anything else can fault and overwrite it.
    let cr2 = cpu::cr2();
    let is_syscall = frame.vector == SYSTEM_CALL_BY_SYSCALL;
    // The stubs push a vector below 256.
    let vector = if is_syscall {
        SYSTEM_CALL
    } else {
        (frame.vector & 0xff) as u8
    };
    if vector == DEBUG && debugger::debug_exception(frame) {
        return;
    }
    if frame.is_from_user() {
        debugger::entered(frame, vector, is_syscall);
    }
    if let Some(counter) = COUNTERS.get(usize::from(vector)) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
    if attempt::caught(frame, cr2) {
        return;
    }
    // An NMI in an attempt at CPL 3 goes back with the flags it came with: `process::leave`
    // would set IF.
    if !frame.is_from_user() || attempt::is_under_way() {
        return from_kernel(vector, frame, cr2);
    }
    // SYSCALL pushes nothing: the CS in its frame is the stub's, and proves nothing.
    let cs = (!is_syscall).then_some(frame.cs as u16);
    events::record_with(Kind::TrapEntry, cs, frame.vector, frame.rip);
    match vector {
        SYSTEM_CALL => process::system_call(frame),
        NMI | DOUBLE_FAULT | MACHINE_CHECK => from_kernel(vector, frame, cr2),
        PAGE_FAULT if process::page_fault(frame.error, cr2) => {}
        0..32 => process::die_of_fault(frame, vector, cr2),
        timer::TIMER => {
            interrupt(vector);
            process::preempt();
        }
        _ => interrupt(vector),
    }
    process::leave(frame);
}

/// A trap that must not end a process: it came in ring 0, or it is the machine's.
fn from_kernel(vector: u8, frame: &mut TrapFrame, cr2: u64) {
    match vector {
        INVALID_TSS..=PAGE_FAULT if process::bad_frame(frame) => {
            process::die_of_fault(frame, vector, cr2)
        }
        NMI => {
            crash::in_nmi();
            events::record_with(Kind::Nmi, Some(frame.cs as u16), frame.rip, 0);
            if !debugger::nmi(frame) {
                note(vector, frame);
            }
        }
        DEBUG | BREAKPOINT => note(vector, frame),
        0..32 if debugger::refused(frame, vector) => {}
        0..32 if debugger::is_possible() => {
            faults::record_of_debugger(vector, frame, cr2);
            debugger::give_up(Why::Fault {
                vector,
                error: frame.error,
                rip: frame.rip,
                cr2,
            })
        }
        0..32 => report(vector, frame, cr2),
        STOP => debugger::stop_asked_for(frame),
        _ => {
            interrupt(vector);
            if debugger::is_asked_for() {
                debugger::give_up(Why::BreakIn);
            }
        }
    }
}

/// A hardware interrupt.
fn interrupt(vector: u8) {
    match vector {
        timer::TIMER => {
            timer::tick();
            // Both devices raise an interrupt when their line goes up, and never again while a
            // byte waits: one that was missed (before boot had the PICs, or for want of room)
            // is fetched here.
            input::serial_interrupt();
            input::keyboard_interrupt();
        }
        timer::KEYBOARD => input::keyboard_interrupt(),
        timer::SERIAL => input::serial_interrupt(),
        _ => {}
    }
    if timer::is_irq(vector) {
        timer::end_of_interrupt(vector);
    }
}

/// One line about an exception that the interrupted code survives.
fn note(vector: u8, frame: &mut TrapFrame) {
    // Left set, TF would stop after every instruction: the debugger's steps do not come here. A
    // program's own TF is its own.
    const TF: u64 = 1 << 8;
    if !frame.is_from_user() {
        frame.rflags &= !TF;
    }
    let _ = writeln!(
        emergency(),
        "\nnote: {} at RIP {}, going on{}",
        vectors::name(vector),
        VirtAddr(frame.rip),
        Within(VirtAddr(frame.rip))
    );
}

/// The report of a fatal exception.
fn report(vector: u8, frame: &TrapFrame, cr2: u64) -> ! {
    let cr3 = master::come_home();
    let mut out = emergency();
    let depth = fatal::begin(&Mishap {
        frame: *frame,
        cr2,
        cr3,
        what: What::Fault(vector),
    });
    match depth {
        Depth::First => {
            let record = faults::record(vector, frame, cr2, cr3);
            let _ = faults::report(&record, &mut out);
            let _ = compare(&mut out, vector, frame.error);
        }
        Depth::Inside => {
            let _ = inside(vector, frame, &mut out);
            // Last of all: what failed may be what this needs.
            faults::record(vector, frame, cr2, cr3);
        }
        Depth::Silent => {}
    }
    fatal::end()
}

/// As much of a report as can be trusted when the one before it has failed.
fn inside(vector: u8, frame: &TrapFrame, out: &mut dyn fmt::Write) -> fmt::Result {
    let (name, rip) = (vectors::name(vector), VirtAddr(frame.rip));
    writeln!(
        out,
        "\nfault: inside a report: {name} at RIP {rip}{}",
        Within(rip)
    )?;
    fatal::tell_first(out)?;
    match fatal::first_fault() {
        Some((vector, error)) => compare(out, vector, error),
        None => Ok(()),
    }
}

/// Whether this was foretold, if anything was.
fn compare(out: &mut dyn fmt::Write, vector: u8, error: u64) -> fmt::Result {
    match EXPECTED.load(Ordering::Relaxed) {
        0 => Ok(()),
        expected if expected == IS_EXPECTED | u64::from(vector) | error << 8 => {
            writeln!(out, "as predicted")
        }
        expected => {
            let name = vectors::name((expected & 0xff) as u8);
            let code = (expected & !IS_EXPECTED) >> 8;
            writeln!(out, "prediction failed: {name}, error code {code:#x}")
        }
    }
}
