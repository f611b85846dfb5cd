//! Stopping the world, and letting it go on as if nothing had been.
//!
//! A stop copies all that the CPU and the entry path saved, and goes on with the debugger's thread;
//! nothing of the stop stays on the stack it came on, so that #DB and NMI can come again. Going on
//! loads the copy with one IRETQ. A step is the same with RFLAGS.TF set in the copy: the CPU raises
//! #DB after one instruction. What TF leaves behind (in what PUSHF and SYSCALL save) is taken back
//! by `single_step`; a step out of ring 3 ends at the `border`.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use exported::TrapFrame;
use machine::VirtAddr;
use shell::{Before, DebugError, Pid, StopReason};

use super::moments::{ARMED, STEP};
use super::single_step::{self, RF};
use super::view::export;
use super::{DEBUGGER_RSP, RUNS, away, breakpoints, request, switch_to_debugger};
use crate::arch::{cpu, entry, user};
use crate::devices::timer;
use crate::lock::Lock;
use crate::memory::master;
use crate::process::current_pid;

static IS_STOPPED: AtomicBool = AtomicBool::new(false);
static NUMBER: AtomicU64 = AtomicU64::new(0);
pub(super) static STOPPED: Lock<Option<Stopped>> = Lock::new("the stop", None);
/// What the world was last let go with: put back when the CPU refuses it.
pub(super) static RESUMED: Lock<Option<Stopped>> = Lock::new("the stop before", None);
/// Others had a turn since then.
static OTHERS_RAN: AtomicBool = AtomicBool::new(false);
/// Where the world stands.
#[derive(Clone)]
pub(super) struct Stopped {
    pub(super) number: u64,
    pub(super) frame: TrapFrame,
    pub(super) cr2: u64,
    pub(super) cr3: u64,
    pub(super) dr6: u64,
    pub(super) pid: Pid,
    pub(super) reason: StopReason,
    pub(super) before: Option<Before>,
}

/// Whether the world is stopped.
pub(crate) fn is_stopped() -> bool {
    IS_STOPPED.load(Ordering::Relaxed)
}

/// Stops the world: its thread goes on from `frame`, once it is let go.
pub(super) fn stop(frame: TrapFrame, dr6: u64, reason: StopReason) -> ! {
    stop_in(cpu::cr3(), frame, dr6, reason)
}

/// The same, when this space was in use.
pub(super) fn stop_in(cr3: u64, frame: TrapFrame, dr6: u64, reason: StopReason) -> ! {
    RUNS.store(true, Ordering::Relaxed);
    breakpoints::disarm();
    ARMED.fetch_and(!STEP, Ordering::Relaxed);
    timer::hold(false);
    timer::end_all();
    let number = NUMBER.fetch_add(1, Ordering::Relaxed) + 1;
    let pid = current_pid();
    let others_ran = OTHERS_RAN.load(Ordering::Relaxed);
    let resumed = RESUMED.lock().take();
    // After a turn of others only this one is where it was let go from.
    let resumed = resumed.filter(|resumed| resumed.pid == pid || !others_ran);
    let before = resumed.map(|resumed| Before {
        number: resumed.number,
        rip: VirtAddr(resumed.frame.rip),
        cs: (resumed.frame.cs & 0xffff) as u16,
        cr3: resumed.cr3,
    });
    *STOPPED.lock() = Some(Stopped {
        number,
        frame,
        cr2: cpu::cr2(),
        cr3,
        dr6,
        pid,
        reason,
        before,
    });
    IS_STOPPED.store(true, Ordering::Relaxed);
    export(STOPPED.lock().as_ref());
    if let Some(root) = master::root() {
        master::load_root(root);
    }
    switch_to_debugger(user::nowhere());
    // Nobody comes back to a stop: it is left by `go`.
    cpu::halt()
}

/// Lets the world go on from where it stands, for one instruction or until it stops. True if it has
/// stopped again, false if it is done with what it was asked to do.
pub(super) fn go(step: bool) -> Result<bool, DebugError> {
    alive()?;
    let stopped = STOPPED.lock().take().ok_or(DebugError::NotStopped)?;
    IS_STOPPED.store(false, Ordering::Relaxed);
    export(None);
    let mut frame = stopped.frame;
    // A breakpoint on the instruction that comes next has been seen.
    if breakpoints::is_on(frame.rip) {
        frame.rflags |= RF;
    }
    single_step::prepare(&mut frame, stopped.cr3, step);
    let (cr2, cr3) = (stopped.cr2, stopped.cr3);
    *RESUMED.lock() = Some(stopped);
    OTHERS_RAN.store(false, Ordering::Relaxed);
    away(|| {
        breakpoints::load_addresses();
        let control = breakpoints::control();
        if step {
            // Nobody may come between: the step is of this thread, and of this instruction.
            timer::hold(true);
            ARMED.fetch_or(STEP, Ordering::Relaxed);
        }
        RUNS.store(false, Ordering::Relaxed);
        cpu::set_cr2(cr2);
        if cr3 != cpu::cr3() {
            master::load_root(machine::PhysAddr(cr3));
        }
        entry::resume(DEBUGGER_RSP.as_ptr(), &frame, control);
        // The request may have come to its end in the middle of a step.
        ARMED.fetch_and(!STEP, Ordering::Relaxed);
        timer::hold(false);
    });
    Ok(is_stopped())
}

/// Whether the stopped world can go on.
pub(super) fn alive() -> Result<(), DebugError> {
    match STOPPED.lock().as_ref().map(|stopped| stopped.reason) {
        Some(StopReason::Fault { .. } | StopReason::Panic) => Err(DebugError::Dead),
        _ => Ok(()),
    }
}

/// Takes the stop away, as if there were none.
pub(super) fn take() -> Option<Stopped> {
    IS_STOPPED.store(false, Ordering::Relaxed);
    export(None);
    STOPPED.lock().take()
}

/// Puts back what [`take`] took.
pub(super) fn put(stopped: Option<Stopped>) {
    IS_STOPPED.store(stopped.is_some(), Ordering::Relaxed);
    export(stopped.as_ref());
    *STOPPED.lock() = stopped;
}

/// Whatever stops next did not begin at a stop.
pub(super) fn forget() {
    *RESUMED.lock() = None;
}

/// Others have a turn, and then the one that was let go goes on.
pub(super) fn others_run() {
    OTHERS_RAN.store(true, Ordering::Relaxed);
}

/// The answer to the request that was under way when the world stopped, if it is done by now.
pub(super) fn outcome() -> Option<request::Answer> {
    request::answer()
}
