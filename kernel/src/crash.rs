//! Crashing on purpose, so that people can learn to read the reports and tests can hold them
//! against what was done. Each of these is a real fault of the real kernel, in a function of its own.

use alloc::vec::Vec;
use core::arch::asm;
use core::fmt;
use core::hint::black_box;
use core::sync::atomic::{AtomicU8, Ordering};

use shell::{Crash, CrashKind};

use crate::arch::{cpu, descriptors, features};
use crate::devices::timer;
use crate::memory::{frames, layout};
use crate::process::acting::{self, Places};
use crate::{console, debugger};

/// An address in the upper half that nothing maps: the guard page of the first kernel stack.
const UNMAPPED: u64 = layout::KERNEL_STACKS + 0x10;
const NON_CANONICAL: u64 = 1 << 63;

/// A vector that nothing raises, so that its gate may be absent.
const UNUSED_VECTOR: u8 = 0x81;

/// A selector of the LDT, of which there is none.
const LOCAL: u16 = 0x14;

/// What goes wrong at the next place that looks: see [`spring`].
static TRAP: AtomicU8 = AtomicU8::new(0);
const FAULT: u8 = 1;
const PANIC: u8 = 2;
const NMI: u8 = 3;
const AGAIN: u8 = 4;

/// The way to crash the live kernel.
pub(crate) struct CrashKernel;

impl Crash for CrashKernel {
    fn crash(&mut self, kind: CrashKind) -> Result<(), &'static str> {
        let features = features::get();
        match kind {
            CrashKind::Smap if !features.smap => return Err("this CPU has no SMAP"),
            CrashKind::Smep if !features.smep => return Err("this CPU has no SMEP"),
            CrashKind::Debugger => store(UNMAPPED),
            CrashKind::DebuggerAgain => {
                TRAP.store(AGAIN, Ordering::Relaxed);
                store(UNMAPPED);
            }
            kind => debugger::crash(kind),
        }
        Ok(())
    }
}

/// Crashes the thread that runs.
pub(crate) fn crash(kind: CrashKind) {
    // What the one before did to tables.
    descriptors::set_gate_present(UNUSED_VECTOR, true);
    acting::done();
    match kind {
        CrashKind::Panic => panic!("asked for by the command `crash panic`"),
        CrashKind::Index => index(black_box(7)),
        CrashKind::PanicLocked => {
            let _ = cpu::interrupts_off();
            console::while_locked(|| panic!("asked for with the console's locks held"));
        }
        CrashKind::PanicInPanic => panic!("{}", Bomb(PANIC)),
        CrashKind::FaultInPanic => panic!("{}", Bomb(FAULT)),
        CrashKind::PageFault | CrashKind::Debugger | CrashKind::DebuggerAgain => store(UNMAPPED),
        CrashKind::ReadOnly => store(crate::image::base()),
        CrashKind::Null => null(0),
        CrashKind::PerCpu => per_cpu(),
        CrashKind::Execute => call(&raw const TRAP as u64),
        CrashKind::NullCall => call(0),
        CrashKind::NonCanonical => load(NON_CANONICAL),
        CrashKind::Smap => load(places().data),
        CrashKind::Smep => call(places().code),
        CrashKind::Reserved => {
            let at = places().unused;
            acting::reserve();
            load(at);
        }
        CrashKind::Selector => selector(0x1230),
        CrashKind::LocalSelector => selector(LOCAL),
        CrashKind::NotPresent => selector(descriptors::NOT_PRESENT_DATA),
        CrashKind::StackSegment => stack_segment(descriptors::NOT_PRESENT_STACK),
        CrashKind::Gate => {
            descriptors::set_gate_present(UNUSED_VECTOR, false);
            interrupt();
        }
        CrashKind::Interrupt => tick(),
        CrashKind::Divide => divide(),
        CrashKind::Undefined => undefined(),
        CrashKind::DoubleFault => push_at(UNMAPPED),
        CrashKind::StackOverflow => {
            black_box(overflow(black_box(0)));
        }
        CrashKind::MachineCheck => machine_check(),
        CrashKind::Nmi => {
            TRAP.store(NMI, Ordering::Relaxed);
            nmi();
        }
        CrashKind::FaultInReport => {
            TRAP.store(FAULT, Ordering::Relaxed);
            store(UNMAPPED);
        }
        CrashKind::PanicInReport => {
            TRAP.store(PANIC, Ordering::Relaxed);
            store(UNMAPPED);
        }
        CrashKind::Locked => console::while_locked(|| store(UNMAPPED)),
        CrashKind::FramesLocked => frames::while_locked(|| store(UNMAPPED)),
        CrashKind::HeapExhausted => with_no_heap(),
        CrashKind::Breakpoint => breakpoint(),
    }
}

/// Goes wrong in the middle of a report, if `crash` asked for that.
pub(crate) fn in_report() {
    if let kind @ (FAULT | PANIC) = TRAP.load(Ordering::Relaxed) {
        spring(kind);
    }
}

/// Goes wrong at a stage of boot.
pub(crate) fn in_boot() {
    store(UNMAPPED);
}

/// Goes wrong where the shell begins, if `crash` asked for that.
pub(crate) fn in_shell() {
    if TRAP.load(Ordering::Relaxed) == AGAIN {
        store(UNMAPPED);
    }
}

/// Nothing more goes wrong on purpose.
pub(crate) fn no_more() {
    TRAP.store(0, Ordering::Relaxed);
}

/// The kernel has died of it. The shell that looks at what is left needs the timer.
pub(crate) fn has_killed() {
    descriptors::set_gate_present(timer::TIMER, true);
}

/// Goes wrong in the handler of an NMI, if `crash` asked for that.
pub(crate) fn in_nmi() {
    if TRAP.load(Ordering::Relaxed) == NMI {
        spring(FAULT);
    }
}

fn spring(kind: u8) {
    TRAP.store(0, Ordering::Relaxed);
    match kind {
        FAULT => store(UNMAPPED),
        _ => panic!("asked for inside a report"),
    }
}

/// Goes wrong when text is made of it.
struct Bomb(u8);

impl fmt::Display for Bomb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        spring(self.0);
        f.write_str("nothing happened")
    }
}

/// The kernel acts for a process, and this is where it can go wrong.
fn places() -> Places {
    match acting::act() {
        Ok(places) => places,
        Err(why) => panic!("there is no process to crash for: {why}"),
    }
}

fn index(at: usize) {
    let few = [1_u64, 2, 3];
    #[expect(clippy::indexing_slicing, reason = "that is the point")]
    black_box(black_box(few)[at]);
}

/// Writes a byte, with an instruction whose operands the report must show.
fn store(address: u64) {
    // SAFETY: not sound, on purpose: the address is unmapped or read-only, so the store
    // faults and changes nothing, and the fault never returns here.
    unsafe { asm!("mov byte ptr [{}], 0", in(reg) address, options(nostack)) };
}

/// Reads a word that nothing maps; the fault never returns here.
#[inline(never)]
fn load(address: u64) {
    // SAFETY: nothing maps it, so nothing is read.
    unsafe { asm!("mov {0}, [{0}]", inout(reg) address => _, options(nostack)) };
}

#[inline(never)]
fn null(pointer: u64) {
    // SAFETY: the lowest page is never mapped, so nothing is read.
    unsafe { asm!("mov {0}, [{0} + 0x18]", inout(reg) pointer => _, options(nostack)) };
}

#[inline(never)]
fn per_cpu() {
    // SAFETY: the base of GS is 0, and the lowest page is never mapped.
    unsafe { asm!("mov rax, gs:[0x10]", out("rax") _, options(nostack)) };
}

/// Calls what is not code.
#[inline(never)]
fn call(address: u64) {
    // SAFETY: the fetch faults before anything is executed, and never returns here.
    unsafe { asm!("call {}", in(reg) address) };
}

#[inline(never)]
fn selector(selector: u16) {
    // SAFETY: the CPU refuses the selector, and ES stays as it is.
    unsafe { asm!("mov es, {0:x}", in(reg) selector, options(nostack)) };
}

#[inline(never)]
fn stack_segment(selector: u16) {
    // SAFETY: the CPU refuses the segment, and SS stays as it is.
    unsafe { asm!("mov ss, {0:x}", in(reg) selector, options(nostack)) };
}

/// Raises a vector whose gate is not present.
#[inline(never)]
fn interrupt() {
    // SAFETY: the CPU finds no gate and raises #NP, which never returns here.
    unsafe { asm!("int {}", const UNUSED_VECTOR, options(nomem, nostack)) };
}

/// Waits for the timer, whose gate is not present.
#[inline(never)]
fn tick() {
    descriptors::set_gate_present(timer::TIMER, false);
    // Another interrupt may come first; none comes where the timer has not been set up.
    for _ in 0..100_000_000_u32 {
        // SAFETY: whatever comes but the timer saves and restores everything; that finds no gate and
        // raises #NP, which never returns here.
        unsafe { asm!("sti", "nop", "cli", options(nomem, nostack)) };
    }
    descriptors::set_gate_present(timer::TIMER, true);
}

#[inline(never)]
fn divide() {
    // SAFETY: #DE changes nothing, and never returns here.
    unsafe {
        asm!(
            "div {0:e}",
            in(reg) 0_u32,
            inout("eax") 1_u32 => _,
            inout("edx") 0_u32 => _,
            options(nomem, nostack)
        );
    }
}

#[inline(never)]
fn undefined() {
    // SAFETY: UD2 does nothing but raise #UD, which never returns here.
    unsafe { asm!("ud2", options(nomem, nostack)) };
}

/// Loses the stack. Neither the push nor the page fault it raises can be done there.
#[inline(never)]
fn push_at(rsp: u64) {
    // SAFETY: the double fault, on a stack of its own, never returns here.
    unsafe { asm!("mov rsp, {}", "push 0", in(reg) rsp) };
}

/// Calls itself until the stack's guard page ends it.
#[expect(unconditional_recursion, reason = "that is the point")]
fn overflow(depth: u64) -> u64 {
    let frame = black_box([depth; 32]);
    black_box(overflow(black_box(depth + 1))) + frame[0]
}

#[inline(never)]
fn machine_check() {
    // SAFETY: its gate reports it and never returns here.
    unsafe { asm!("int 18", options(nomem, nostack)) };
}

#[inline(never)]
fn nmi() {
    // SAFETY: its gate saves and restores everything.
    unsafe { asm!("int 2", options(nomem, nostack)) };
}

#[inline(never)]
fn breakpoint() {
    // SAFETY: INT3 raises #BP, which is noted and returns.
    unsafe { asm!("int3", options(nomem, nostack)) };
}

/// Takes all there is of the heap, and faults.
#[inline(never)]
fn with_no_heap() {
    let mut bytes = usize::try_from(layout::HEAP_BYTES).unwrap_or(0);
    while bytes >= 16 {
        let mut piece: Vec<u8> = Vec::new();
        match piece.try_reserve_exact(bytes) {
            Ok(()) => core::mem::forget(piece),
            Err(_) => bytes /= 2,
        }
    }
    store(UNMAPPED);
}
