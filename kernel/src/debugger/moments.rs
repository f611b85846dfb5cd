//! What stops the world besides breakpoints, a bit each: the moments that a person chose, a step, a
//! wish from a console.
//!
//! A moment is a test of one word at the place where it happens; who is not looked for pays for that
//! one test and nothing else.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use exported::TrapFrame;
use shell::{Moment, Pid, StopReason};

use super::is_running;
use super::single_step::unstep;
use super::stop::stop;
use crate::arch::entry;

/// Bits of [`ARMED`] beside those of [`Moment`].
pub(super) const STEP: u32 = 1 << 31;
pub(super) const BREAK_IN: u32 = 1 << 30;
pub(super) const ABORT: u32 = 1 << 29;
pub(super) const fn bit(moment: Moment) -> u32 {
    1 << moment as u32
}

/// What stops the world, a bit each; so that who is not looked for pays for one test.
pub(super) static ARMED: AtomicU32 = AtomicU32::new(0);
/// For each moment, the process it is about; 0 for all.
static WHOSE: [AtomicU32; Moment::ALL.len()] = [const { AtomicU32::new(0) }; Moment::ALL.len()];
/// What `ringwalk_stop_here` was called for.
static MOMENT: [AtomicU64; 3] = [const { AtomicU64::new(0) }; 3];
/// Something is about to happen that one may want to stop at; `a` and `b` say more about it.
#[inline(always)]
pub(crate) fn at(moment: Moment, pid: Pid, a: u64, b: u64) {
    if ARMED.load(Ordering::Relaxed) & bit(moment) != 0 {
        stop_at(moment, pid, a, b);
    }
}

#[cold]
#[inline(never)]
fn stop_at(moment: Moment, pid: Pid, a: u64, b: u64) {
    if !is_about(moment, pid) {
        return;
    }
    for (place, word) in MOMENT.iter().zip([moment as u64, a, b]) {
        place.store(word, Ordering::Relaxed);
    }
    entry::stop_here();
}

pub(super) fn is_about(moment: Moment, pid: Pid) -> bool {
    let whose = WHOSE
        .get(moment as usize)
        .map_or(0, |whose| whose.load(Ordering::Relaxed));
    whose == 0 || whose == pid
}

/// The trap that [`at`] raised.
pub(crate) fn stop_asked_for(frame: &mut TrapFrame) {
    if is_running() {
        return;
    }
    let [moment, a, b] = MOMENT.each_ref().map(|word| word.load(Ordering::Relaxed));
    let moment = Moment::from_number(moment as u8);
    unstep(frame);
    stop(
        *frame,
        0,
        moment.map_or(StopReason::Step, |moment| StopReason::Moment {
            moment,
            a,
            b,
        }),
    );
}

/// Stops, or no more, whenever this is about to happen to this process, or to any (0).
pub(super) fn arm(moment: Moment, whose: Option<Pid>) {
    match whose {
        Some(pid) => {
            if let Some(place) = WHOSE.get(moment as usize) {
                place.store(pid, Ordering::Relaxed);
            }
            ARMED.fetch_or(bit(moment), Ordering::Relaxed);
        }
        None => {
            ARMED.fetch_and(!bit(moment), Ordering::Relaxed);
        }
    }
}

/// Whether this is stopped at, and for which process.
pub(super) fn armed(moment: Moment) -> Option<Pid> {
    let is_armed = ARMED.load(Ordering::Relaxed) & bit(moment) != 0;
    let whose = WHOSE.get(moment as usize)?;
    is_armed.then(|| whose.load(Ordering::Relaxed))
}
