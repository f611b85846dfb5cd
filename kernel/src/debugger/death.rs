//! The death of the kernel: the world stays stopped for good where it died, and the shell looks at it.
//!
//! Nobody comes back to what the world had locked, so the debugger takes it over: it may find
//! something half changed, which is what it is there to look at. What would need the world to run is
//! refused, but for crashing once more.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use exported::TrapFrame;
use shell::{CrashKind, StopReason};

use super::request::{Request, ask, serve};
use super::{DEBUGGER_RSP, WORLD, WORLD_RSP, is_running, recover, stop};
use crate::arch::switch;
use crate::memory::stacks::Stack;
use crate::{crash, fatal, process};

static IS_DEAD: AtomicBool = AtomicBool::new(false);
/// The stack of the kernel's own thread.
static STACK: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];

/// Whether the kernel has died, and only the debugger goes on.
pub(crate) fn is_dead() -> bool {
    IS_DEAD.load(Ordering::Relaxed)
}

/// Whether there is a debugger that can go on when the world does not.
pub(crate) fn can_look() -> bool {
    !is_running() && recover::has_begun() && DEBUGGER_RSP.load(Ordering::Relaxed) != 0
}

/// Stops the world for good, in this state.
pub(crate) fn die(frame: &TrapFrame, cr3: u64, reason: StopReason) -> ! {
    IS_DEAD.store(true, Ordering::Relaxed);
    crash::has_killed();
    stop::stop_in(cr3, *frame, 0, reason)
}

/// Crashes the kernel's own thread. In a dead kernel it is begun again, for that alone.
pub(crate) fn crash(kind: CrashKind) {
    if !is_dead() {
        let _ = ask(Request::Crash(kind));
        return;
    }
    let before = stop::take();
    fatal::forget();
    process::abandon();
    WORLD.fetch_add(1, Ordering::Relaxed);
    let [bottom, top] = STACK.each_ref().map(|end| end.load(Ordering::Relaxed));
    begin_world(Stack { bottom, top });
    let _ = ask(Request::Crash(kind));
    if !stop::is_stopped() {
        // It has survived that one, which makes it no less dead.
        stop::put(before);
    }
}

/// Remembers the stack of the kernel's own thread.
pub(super) fn has_stack(stack: Stack) {
    for (end, address) in STACK.iter().zip([stack.bottom, stack.top]) {
        end.store(address, Ordering::Relaxed);
    }
}

/// Makes the kernel's own thread, on this stack.
pub(super) fn begin_world(stack: Stack) {
    has_stack(stack);
    WORLD_RSP.store(switch::prepare_thread(stack, serve), Ordering::Relaxed);
}
