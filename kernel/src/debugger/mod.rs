//! The debugger: the thread that runs the shell, apart from all that it looks at.
//!
//! Two sides share the processor. The *debugger's thread* runs the shell on a stack of its own.
//! The *world* is everything else: the kernel's own thread, which does what the shell asks for
//! (starting a program, letting processes run), and the processes. One of them runs at a time. The
//! debugger lets the world go by a request (`request`) or by going on where it was stopped
//! (`stop`), and has the processor back when the request is done or when the world stops: at a
//! breakpoint, after one instruction, because somebody asked.
//!
//! So the shell never runs inside what it stopped. A stop is possible at any instruction of the
//! world, the kernel's own switch included, and everything can be typed there. While the debugger
//! runs no breakpoint is armed, and no process runs.

mod ability;
mod abort;
mod border;
mod breakpoints;
mod death;
mod moments;
mod recover;
mod request;
mod single_step;
mod stop;
mod traps;
mod view;

pub(crate) use ability::LiveDebugger;
pub(crate) use border::{break_in, entered, leaving};
pub(crate) use breakpoints::{arm_fatal, disarm_fatal};
pub(crate) use death::{can_look, crash, die, is_dead};
pub(crate) use moments::{at, stop_asked_for};
pub(crate) use recover::{
    Phase, Why, begin_anew, can_begin_anew, give_up, has_begun, is_asked_for, is_possible,
    lets_run, phase, take_message,
};
pub(crate) use request::{Answer, Request, ask, give_turns};
pub(crate) use stop::is_stopped;
pub(crate) use traps::{debug_exception, nmi, refused};
pub(crate) use view::{exported, stopped_in_ring_3, stopped_registers};

use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use crate::arch::{cpu, switch};
use crate::memory::stacks::{self, Stack};

/// The debugger's thread has the processor.
static RUNS: AtomicBool = AtomicBool::new(false);
/// Counts how often its thread was begun.
static GENERATION: AtomicU32 = AtomicU32::new(1);
/// Counts how often the kernel's own thread was, in numbers that the other has not.
static WORLD: AtomicU32 = AtomicU32::new(FIRST_WORLD);
const FIRST_WORLD: u32 = 1 << 31;
/// Where its stack stands while it does not run.
static DEBUGGER_RSP: AtomicU64 = AtomicU64::new(0);
/// Where the stack of the kernel's own thread stands while it waits for a request.
static WORLD_RSP: AtomicU64 = AtomicU64::new(0);

/// Whether the debugger's thread has the processor.
pub(crate) fn is_running() -> bool {
    RUNS.load(Ordering::Relaxed)
}

/// Who runs, for a [`Lock`](crate::lock::Lock) to remember: which generation of the debugger's thread
/// or of the world.
pub(crate) fn who() -> u32 {
    match is_running() {
        true => GENERATION.load(Ordering::Relaxed),
        false => WORLD.load(Ordering::Relaxed),
    }
}

/// Whether this was the world.
pub(crate) fn is_world(who: u32) -> bool {
    who >= FIRST_WORLD
}

/// Whether nobody is this any more, and what it has locked will not be given back: a debugger's thread
/// that has been given up since, or a kernel that has died.
pub(crate) fn is_gone(who: u32) -> bool {
    match is_world(who) {
        false => who != GENERATION.load(Ordering::Relaxed),
        true => who != WORLD.load(Ordering::Relaxed) || is_dead() && is_running(),
    }
}

/// Makes the kernel's own thread, on this stack, and of the one that runs the debugger's. Call once, with
/// interrupts off.
pub(crate) fn begin(world: Stack) {
    death::begin_world(world);
    RUNS.store(true, Ordering::Relaxed);
}

/// Makes the debugger's thread, for a kernel that dies in boot, on the stack `world`: it will begin with
/// `shell`.
pub(crate) fn begin_at_death(world: Stack, shell: extern "C" fn() -> !) {
    death::has_stack(world);
    let rsp = switch::prepare_thread(stacks::first(), shell);
    DEBUGGER_RSP.store(rsp, Ordering::Relaxed);
}

/// Where the stack of the kernel's own thread stands while the debugger runs and nothing is stopped.
pub(crate) fn world_rsp() -> u64 {
    WORLD_RSP.load(Ordering::Relaxed)
}

/// Where that is kept.
pub(crate) fn world_rsp_place() -> u64 {
    WORLD_RSP.as_ptr() as u64
}

/// Whether the kernel's own thread is about to begin here.
pub(crate) fn is_beginning(rip: u64) -> bool {
    rip == request::serve as extern "C" fn() -> ! as usize as u64
}

/// Gives the processor to the debugger's thread for ever, unless the stop that is on record leads
/// back to here.
fn switch_to_debugger(save: *mut u64) {
    RUNS.store(true, Ordering::Relaxed);
    breakpoints::disarm();
    switch::stacks(save, DEBUGGER_RSP.load(Ordering::Relaxed));
}

/// Runs `body`, which gives the processor away and gets it back, with interrupts off.
fn away<R>(body: impl FnOnce() -> R) -> R {
    cpu::without_interrupts(|| {
        let result = body();
        RUNS.store(true, Ordering::Relaxed);
        result
    })
}
