//! Giving up the process that a stop is about: the kernel finishes what it does, and the process does
//! not get back to ring 3.

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use machine::VirtAddr;
use shell::{DebugError, Pid};

use super::border::CLEARED_BY_GATE;
use super::moments::{ABORT, ARMED};
use super::stop::{self, Stopped};
use crate::arch::descriptors::KERNEL_CODE;
use crate::arch::entry;
use crate::memory::master;
use crate::process;

/// How the process that is given up shall fare: its pid, and whether it ends.
static ABORTED: AtomicU32 = AtomicU32::new(0);
static ABORT_ENDS: AtomicBool = AtomicBool::new(false);
/// Gives up the process that the stop is about, and lets the world go: it ends, or goes back among
/// those that wait for the processor.
pub(super) fn abort(pid: Pid, ends: bool) -> Result<bool, DebugError> {
    if !stop::is_stopped() {
        return Err(DebugError::NotStopped);
    }
    stop::alive()?;
    if let Some(stopped) = stop::STOPPED.lock().as_mut()
        && stopped.frame.is_from_user()
    {
        enter_by_hand(stopped)?;
    }
    ABORTED.store(pid, Ordering::Relaxed);
    ABORT_ENDS.store(ends, Ordering::Relaxed);
    ARMED.fetch_or(ABORT, Ordering::Relaxed);
    let result = stop::go(false);
    if !stop::is_stopped() {
        ARMED.fetch_and(!ABORT, Ordering::Relaxed);
        ABORTED.store(0, Ordering::Relaxed);
    }
    result
}

/// Does to a thread in ring 3 what the CPU does at an interrupt, up to the entry stub of a vector
/// that nothing else uses.
fn enter_by_hand(stopped: &mut Stopped) -> Result<(), DebugError> {
    let top = process::stack_top(stopped.pid).ok_or(DebugError::Refused("no kernel stack"))?;
    let frame = &mut stopped.frame;
    let words = [frame.rip, frame.cs, frame.rflags, frame.rsp, frame.ss];
    let root = master::root().ok_or(DebugError::Refused("no master table"))?;
    let mut at = top - 40;
    frame.rsp = at;
    for word in words {
        super::ability::write_virt(root, VirtAddr(at), &word.to_le_bytes())?;
        at += 8;
    }
    frame.rip = entry::stub(entry::STOP + 1);
    frame.cs = u64::from(KERNEL_CODE);
    frame.ss = 0;
    frame.rflags = frame.rflags & !CLEARED_BY_GATE | 2;
    Ok(())
}

/// Whether the process that is about to go back to ring 3 is the one given up; if so, whether it ends.
/// Only once.
pub(super) fn is_for(pid: Pid) -> Option<bool> {
    if ABORTED.load(Ordering::Relaxed) != pid || ABORTED.swap(0, Ordering::Relaxed) == 0 {
        return None;
    }
    ARMED.fetch_and(!ABORT, Ordering::Relaxed);
    Some(ABORT_ENDS.load(Ordering::Relaxed))
}
