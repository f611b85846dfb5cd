//! Every interrupt and exception, and the report of those that end the kernel.
//!
//! The report allocates nothing, takes no lock, and prints raw values before anything that
//! could itself fail.

use core::fmt::{self, Write as _};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use machine::{Access, AccessKind, Controls, VirtAddr, bits, vectors};

use crate::arch::descriptors::SYSTEM_CALL;
use crate::arch::entry::{SYSTEM_CALL_BY_SYSCALL, TrapFrame};
use crate::arch::{attempt, cpu, snapshot};
use crate::backtrace::{self, Backtrace};
use crate::console::emergency;
use crate::devices::timer;
use crate::events::{self, Kind};
use crate::memory::layout::PAGE;
use crate::memory::physmap::LiveMemory;
use crate::memory::stacks;
use crate::{input, panic, process, target};

const DEBUG: u8 = 1;
const NMI: u8 = 2;
const BREAKPOINT: u8 = 3;
const DOUBLE_FAULT: u8 = 8;
const INVALID_TSS: u8 = 10;
const PAGE_FAULT: u8 = 14;
const MACHINE_CHECK: u8 = 18;
/// Bits of a page fault's error code.
const WRITE: u64 = 1 << 1;
const USER: u64 = 1 << 2;
const FETCH: u64 = 1 << 4;

/// Reports under way: a fault inside a report must not start another.
static REPORTING: AtomicU32 = AtomicU32::new(0);

/// How often each vector was entered; SYSCALL counts as vector 0x80.
static COUNTERS: [AtomicU64; 256] = [const { AtomicU64::new(0) }; 256];

/// How often this vector was entered since boot.
pub(crate) fn counter(vector: u8) -> u64 {
    COUNTERS
        .get(usize::from(vector))
        .map_or(0, |counter| counter.load(Ordering::Relaxed))
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
            events::record_with(Kind::Nmi, Some(frame.cs as u16), frame.rip, 0);
            note(vector, frame);
        }
        DEBUG | BREAKPOINT => note(vector, frame),
        0..32 => report(vector, frame, cr2),
        _ => interrupt(vector),
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
    // Nobody steps the kernel from inside; left set, TF would stop after every instruction. A
    // program's own TF is its own.
    const TF: u64 = 1 << 8;
    if !frame.is_from_user() {
        frame.rflags &= !TF;
    }
    let _ = writeln!(
        emergency(),
        "\nnote: {} at RIP {}, going on",
        vectors::name(vector),
        VirtAddr(frame.rip)
    );
}

/// The report of a fatal exception.
fn report(vector: u8, frame: &TrapFrame, cr2: u64) -> ! {
    let mut out = emergency();
    if REPORTING.fetch_add(1, Ordering::Relaxed) > 0 {
        let _ = writeln!(
            out,
            "\nfault: inside the fault report: {} at RIP {}",
            vectors::name(vector),
            VirtAddr(frame.rip)
        );
        panic::stop();
    }
    let _ = print(&mut out, vector, frame, cr2);
    let _ = backtrace::write(
        &mut out,
        Backtrace::of_trap(frame, process::unwind_tables()),
    );
    panic::stop()
}

fn print(out: &mut dyn fmt::Write, vector: u8, frame: &TrapFrame, cr2: u64) -> fmt::Result {
    writeln!(
        out,
        "\nfault: {}, vector {vector}{}",
        vectors::name(vector),
        ErrorCode(vector, frame.error)
    )?;
    writeln!(
        out,
        "RIP {} CS {:#x} RFLAGS {:#x} RSP {} SS {:#x}",
        VirtAddr(frame.rip),
        frame.cs,
        frame.rflags,
        VirtAddr(frame.rsp),
        frame.ss
    )?;
    writeln!(out, "CR2 {} CR3 {:#x}", VirtAddr(cr2), cpu::cr3())?;
    let general = [
        ("RAX", frame.rax),
        ("RBX", frame.rbx),
        ("RCX", frame.rcx),
        ("RDX", frame.rdx),
        ("RSI", frame.rsi),
        ("RDI", frame.rdi),
        ("RBP", frame.rbp),
        ("R8 ", frame.r8),
        ("R9 ", frame.r9),
        ("R10", frame.r10),
        ("R11", frame.r11),
        ("R12", frame.r12),
        ("R13", frame.r13),
        ("R14", frame.r14),
        ("R15", frame.r15),
    ];
    for row in general.chunks(3) {
        for (name, value) in row {
            write!(out, "{name} {} ", VirtAddr(*value))?;
        }
        writeln!(out)?;
    }
    if let Some((name, number)) = stacks::guard_at(cr2)
        && (vector == DOUBLE_FAULT || vector == PAGE_FAULT)
    {
        write!(out, "CR2 is in the guard page of {name} stack {number}")?;
        // A push below the stack, not a stray pointer: RSP is there, too.
        let used_up = frame.rsp.abs_diff(cr2) <= 2 * PAGE;
        writeln!(
            out,
            "{}",
            if used_up {
                ": the stack is used up"
            } else {
                ""
            }
        )?;
    }
    if vector == PAGE_FAULT {
        explain_page_fault(out, frame, cr2)?;
    }
    Ok(())
}

/// The error code in words, and the walk the CPU made.
fn explain_page_fault(out: &mut dyn fmt::Write, frame: &TrapFrame, cr2: u64) -> fmt::Result {
    let va = VirtAddr(cr2);
    let mut regions = crate::memory::layout::regions().iter();
    let names = bits::PAGE_FAULT.names(frame.error);
    write!(out, "page fault ({names}) at {va}")?;
    match regions.find(|region| region.contains(va)) {
        Some(region) => writeln!(out, " in {}", region.name)?,
        None => writeln!(out)?,
    }
    let root = machine::PhysAddr(cpu::cr3());
    let walk = machine::walk(&mut LiveMemory, &target::paging(), root, va);
    for step in walk.steps() {
        write!(
            out,
            "{:4} {} [{:3}] {:016x} ",
            step.entry.level.name(),
            step.table,
            step.index,
            step.entry.raw,
        )?;
        match step.entry.is_present() {
            true => writeln!(out, "{}", step.entry.rights())?,
            false => writeln!(out, "absent")?,
        }
    }
    let access = Access {
        kind: match frame.error {
            error if error & FETCH != 0 => AccessKind::Execute,
            error if error & WRITE != 0 => AccessKind::Write,
            _ => AccessKind::Read,
        },
        user: frame.error & USER != 0,
    };
    // What the tables say now; a stale translation would make the two disagree.
    let controls = Controls::from_registers(&snapshot::registers());
    match walk.end() {
        machine::End::Mapped { at, rights, .. } => write!(out, "{va} -> {at} {rights}")?,
        end => write!(out, "{va}: {end}")?,
    }
    writeln!(out, "; {}", Judged(machine::judge(&walk, access, controls)))
}

/// The error code, of vectors that have one.
struct ErrorCode(u8, u64);

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match vectors::has_error_code(self.0) {
            true => write!(f, ", error code {:#x}", self.1),
            false => Ok(()),
        }
    }
}

/// A verdict in words, beside the fault that has happened.
struct Judged(machine::Verdict);

impl fmt::Display for Judged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.error_code() {
            Some(code) => write!(f, "the tables forbid it, error code {code:#x}"),
            None if self.0.is_allowed() == Some(true) => {
                f.write_str("the tables allow it: the CPU used an older translation")
            }
            None => f.write_str("the tables do not say"),
        }
    }
}
