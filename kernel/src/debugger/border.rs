//! The border of ring 3: what stops the world where it is crossed, on the way in and on the way out.
//!
//! A gate clears TF, and SYSCALL masks it: a step out of ring 3 does not end by #DB. It ends in
//! `entered`, the first Rust code that runs then. All that the entry path has done by then is to
//! push, so the state at its first instruction is known, and that is the state one is shown.

use core::sync::atomic::{AtomicU32, Ordering};

use exported::TrapFrame;
use machine::vectors;
use shell::{Moment, StopReason};

use super::moments::{ABORT, ARMED, BREAK_IN, STEP, bit, is_about};
use super::single_step::{RF, own_tf};
use super::stop::stop;
use super::{abort, is_running, recover};
use crate::arch::descriptors::{KERNEL_CODE, KERNEL_DATA, SYSTEM_CALL};
use crate::arch::entry;
use crate::boot::CLEARED_BY_SYSCALL;
use crate::process::{self, current_pid};

/// What an interrupt gate clears: TF, IF, NT, RF, VM.
pub(super) const CLEARED_BY_GATE: u64 = 1 << 8 | 1 << 9 | 1 << 14 | 1 << 16 | 1 << 17;
/// What `entered` looks for.
const AT_ENTRY: u32 = STEP | bit(Moment::Cpl) | bit(Moment::Syscall) | bit(Moment::Fault);
/// The bits of [`ARMED`] that the next entry does not heed: it has been stopped at already.
static SKIP: AtomicU32 = AtomicU32::new(0);
/// Every entry from ring 3 comes through here first. Without branches up to the one decision, so
/// that an entry which has been stopped at executes the same instructions as any other.
#[inline(always)]
pub(crate) fn entered(frame: &mut TrapFrame, vector: u8, is_syscall: bool) {
    let skip = SKIP.swap(0, Ordering::Relaxed);
    if ARMED.load(Ordering::Relaxed) & AT_ENTRY & !skip != 0 {
        stop_at_entry(frame, vector, is_syscall);
    }
}

#[cold]
#[inline(never)]
fn stop_at_entry(frame: &mut TrapFrame, vector: u8, is_syscall: bool) {
    if is_running() {
        // It makes accesses in ring 3, and catches them itself.
        return;
    }
    let armed = ARMED.load(Ordering::Relaxed);
    let pid = current_pid();
    let on = |moment| armed & bit(moment) != 0 && is_about(moment, pid);
    let is_stepping = armed & STEP != 0;
    let moment = if vector == SYSTEM_CALL && on(Moment::Syscall) {
        Moment::Syscall
    } else if vector < 32 && on(Moment::Fault) {
        Moment::Fault
    } else if is_stepping || on(Moment::Cpl) {
        Moment::Cpl
    } else {
        return;
    };
    if is_stepping {
        own_tf(&mut frame.rflags);
        if is_syscall {
            own_tf(&mut frame.r11);
        }
    }
    let mut at = *frame;
    at.cs = u64::from(KERNEL_CODE);
    if is_syscall {
        at.rip = entry::system_call_entry();
        at.rflags = frame.r11 & !CLEARED_BY_SYSCALL & !RF | 2;
        at.ss = u64::from(KERNEL_DATA);
    } else {
        at.rip = entry::stub(vector);
        at.rflags = frame.rflags & !CLEARED_BY_GATE | 2;
        // A change of ring loads a null selector. SDM, "Stack Switching in 64-Bit Mode".
        at.ss = 0;
        at.rsp = match vectors::has_error_code(vector) {
            true => &raw const frame.error as u64,
            false => &raw const frame.rip as u64,
        };
    }
    SKIP.store(AT_ENTRY, Ordering::Relaxed);
    let reason = match is_stepping {
        true => StopReason::Step,
        false => StopReason::Moment {
            moment,
            a: frame.vector,
            b: frame.rip,
        },
    };
    stop(at, 0, reason);
}

/// The last thing before a return to ring 3: whoever broke in stops it here, and a process that is
/// given up does not get there.
#[inline(always)]
pub(crate) fn leaving(frame: &mut TrapFrame) {
    if ARMED.load(Ordering::Relaxed) & (BREAK_IN | ABORT) != 0 {
        leave_not(frame);
    }
}

#[cold]
#[inline(never)]
fn leave_not(frame: &mut TrapFrame) {
    if let Some(ends) = abort::is_for(current_pid()) {
        process::give_up(ends);
    }
    if ARMED.fetch_and(!BREAK_IN, Ordering::Relaxed) & BREAK_IN != 0 {
        stop(*frame, 0, StopReason::BreakIn);
    }
}

/// Somebody asked for the debugger at a console, and an interrupt brought it: whatever runs in ring
/// 3 is stopped on its way back there.
pub(crate) fn break_in() {
    match is_running() {
        true => recover::ask(),
        false => {
            ARMED.fetch_or(BREAK_IN, Ordering::Relaxed);
        }
    }
}

/// Whether the next process that runs is stopped at once.
pub(super) fn is_break_in_next() -> bool {
    ARMED.load(Ordering::Relaxed) & BREAK_IN != 0
}

/// The next process that runs is stopped at once.
pub(super) fn break_in_next() {
    ARMED.fetch_or(BREAK_IN, Ordering::Relaxed);
}
