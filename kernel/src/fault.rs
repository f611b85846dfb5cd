//! Every interrupt and exception, and the report of those that end the kernel.
//!
//! The report allocates nothing, takes no lock, and prints raw values before anything that
//! could itself fail.

use core::fmt::{self, Write as _};
use core::sync::atomic::{AtomicU32, Ordering};

use machine::{VirtAddr, bits, vectors};

use crate::arch::cpu;
use crate::arch::entry::TrapFrame;
use crate::console::emergency;
use crate::devices::timer;
use crate::memory::physmap::LiveMemory;
use crate::{input, panic, target};

const DEBUG: u8 = 1;
const NMI: u8 = 2;
const BREAKPOINT: u8 = 3;
const PAGE_FAULT: u8 = 14;

/// Reports under way: a fault inside a report must not start another.
static REPORTING: AtomicU32 = AtomicU32::new(0);

/// Called by the entry stubs, with interrupts off.
pub(crate) fn trap(frame: &mut TrapFrame) {
    // The stubs push a vector below 256.
    let vector = u8::try_from(frame.vector).unwrap_or(u8::MAX);
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
        DEBUG | NMI | BREAKPOINT => note(vector, frame),
        0..32 => report(vector, frame),
        _ => {}
    }
    if timer::is_irq(vector) {
        timer::end_of_interrupt(vector);
    }
}

/// One line about an exception that the interrupted code survives.
fn note(vector: u8, frame: &mut TrapFrame) {
    // Nobody steps the kernel from inside; left set, TF would stop after every instruction.
    const TF: u64 = 1 << 8;
    frame.rflags &= !TF;
    let _ = writeln!(
        emergency(),
        "\nnote: {} at RIP {}, going on",
        vectors::name(vector),
        VirtAddr(frame.rip)
    );
}

/// The report of a fatal exception.
fn report(vector: u8, frame: &TrapFrame) -> ! {
    // Before anything else can fault and overwrite it.
    let cr2 = cpu::cr2();
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
    panic::stop()
}

fn print(out: &mut dyn fmt::Write, vector: u8, frame: &TrapFrame, cr2: u64) -> fmt::Result {
    writeln!(
        out,
        "\nfault: {}, vector {vector}, error code {:#x}",
        vectors::name(vector),
        frame.error
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
    if vector == PAGE_FAULT {
        explain_page_fault(out, frame, cr2)?;
    }
    Ok(())
}

/// The error code in words, and the walk the CPU made.
fn explain_page_fault(out: &mut dyn fmt::Write, frame: &TrapFrame, cr2: u64) -> fmt::Result {
    let va = VirtAddr(cr2);
    let region = crate::memory::layout::regions()
        .iter()
        .find(|region| region.contains(va));
    writeln!(
        out,
        "page fault ({}) at {va}, {}",
        bits::PAGE_FAULT.names(frame.error),
        region.map_or("no region of ours", |region| region.name)
    )?;
    let root = machine::PhysAddr(cpu::cr3());
    let walk = machine::walk(&mut LiveMemory, &target::paging(), root, va);
    for step in walk.steps() {
        writeln!(
            out,
            "  {:4} {} [{:3}] {:016x}",
            step.entry.level.name(),
            step.table,
            step.index,
            step.entry.raw
        )?;
    }
    writeln!(out, "  walk ends: {:?}", walk.end())
}
