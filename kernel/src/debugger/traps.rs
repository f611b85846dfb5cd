//! The traps that stop the world: #DB, NMI, and a fault of the IRETQ that let it go.

use core::sync::atomic::Ordering;

use exported::TrapFrame;
use shell::StopReason;

use super::moments::{ARMED, STEP};
use super::single_step::{TF, unstep};
use super::stop::{self, stop};
use super::{breakpoints, is_running};
use crate::arch::debug;
use crate::arch::entry;
use crate::memory::stacks;

/// DR6: a single step.
const BS: u64 = 1 << 14;
/// #DB. False if it is not the debugger's.
pub(crate) fn debug_exception(frame: &mut TrapFrame) -> bool {
    let dr6 = debug::take_status();
    if is_running() || is_on_own_stack(frame.rsp) {
        // The world was let go or has just come back, in the middle of a step, or a breakpoint is
        // on the way: nothing of it is for here.
        if dr6 & BS == 0 && breakpoints::hits(dr6) == 0 {
            debug::put_status(dr6);
            return false;
        }
        frame.rflags &= !TF;
        frame.error = debug::OFF;
        return true;
    }
    if entry::is_quiet(frame.rip) {
        // Something that the way back reads is watched.
        return true;
    }
    let is_step = ARMED.load(Ordering::Relaxed) & STEP != 0 && dr6 & BS != 0;
    let slots = breakpoints::hits(dr6);
    if !is_step && slots == 0 {
        // Whoever reports it looks there.
        debug::put_status(dr6);
        return false;
    }
    unstep(frame);
    let reason = match slots {
        0 => StopReason::Step,
        slots => StopReason::Breakpoint { slots },
    };
    stop(*frame, dr6, reason)
}

/// An NMI. False if nothing is stopped by it.
pub(crate) fn nmi(frame: &mut TrapFrame) -> bool {
    if is_running() || is_on_own_stack(frame.rsp) {
        // What the debugger does itself has other ends: an NMI is noted, and it goes on.
        return false;
    }
    let index = 3;
    let db = stacks::ist_stack(index);
    if entry::is_quiet(frame.rip) || (db.bottom..=db.top).contains(&frame.rsp) {
        return false;
    }
    unstep(frame);
    stop(*frame, 0, StopReason::Nmi)
}

/// A fault of the IRETQ with which the world was let go: false if it was another one.
pub(crate) fn refused(frame: &TrapFrame, vector: u8) -> bool {
    if !entry::is_resume(frame.rip) || is_running() {
        return false;
    }
    let Some(resumed) = stop::RESUMED.lock().take() else {
        return false;
    };
    let reason = StopReason::Refused {
        vector,
        error: frame.error,
    };
    stop(resumed.frame, 0, reason)
}

fn is_on_own_stack(rsp: u64) -> bool {
    let own = stacks::first();
    (own.bottom..=own.top).contains(&rsp)
}

/// Whether the debugger stores to this address while a breakpoint may be armed.
pub(super) fn is_own(at: u64) -> bool {
    // #DB and NMI push there.
    (0..4).any(|index| {
        let stack = stacks::ist_stack(index);
        (stack.bottom..stack.top).contains(&at)
    }) || {
        // So does the debugger on its way back to the world.
        is_on_own_stack(at)
    }
}
