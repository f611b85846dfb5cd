//! What happens to the debugger itself: a fault in it, or somebody who will not wait for it.
//!
//! Its thread is begun again on its stack, the command is lost, and the prompt returns. What the
//! thread had locked is known by its generation (see `lock`). If that happens again and again before a
//! command was begun, what the shell remembers may be what it faults over: there is a whole report, and
//! the shell begins anew without all that. If that is no use either, the fault is fatal as any other.

use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};

use machine::{VirtAddr, vectors};

use super::{GENERATION, RUNS, border};
use crate::arch::{cpu, entry};
use crate::boot;
use crate::lock::Lock;
use crate::memory::{master, stacks};
use crate::{crash, fatal};

/// Why a command was given up.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Why {
    /// The stopped world has this locked.
    Taken(&'static str),
    /// The debugger faulted.
    Fault {
        vector: u8,
        error: u64,
        rip: u64,
        cr2: u64,
    },
    /// The debugger panicked, and has said so.
    Panic,
    /// It faulted or panicked again and again.
    Again,
    /// Somebody broke in.
    BreakIn,
}

impl Why {
    /// Whether the person at the console wanted it.
    pub(crate) fn is_wish(self) -> bool {
        matches!(self, Why::BreakIn)
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Why::Taken(what) => write!(
                f,
                "the kernel was stopped while it changes {what}; step on, or `continue`"
            ),
            Why::Fault {
                vector,
                error,
                rip,
                cr2,
            } => {
                write!(f, "the debugger faulted: {}", vectors::name(vector))?;
                if vector == 14 {
                    write!(f, " at {}", VirtAddr(cr2))?;
                }
                if vectors::has_error_code(vector) {
                    write!(f, ", error code {error:#x}")?;
                }
                write!(
                    f,
                    ", rip {}; the command was given up, `fault` has the report",
                    VirtAddr(rip)
                )
            }
            Why::Panic => f.write_str(
                "the debugger panicked; the command was given up, `fault` has the report",
            ),
            Why::Again => f.write_str(
                "the debugger failed again and again; it begins anew, without history and settings",
            ),
            Why::BreakIn => f.write_str("interrupted"),
        }
    }
}

/// What the debugger is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Phase {
    /// Beginning, or beginning again.
    Starting = 0,
    /// Between two commands.
    Waiting = 1,
    /// In a command.
    Busy = 2,
}

/// How often it may be given up without having begun a command.
const MOST: u32 = 3;

static PHASE: AtomicU8 = AtomicU8::new(Phase::Starting as u8);
static FAILED: AtomicU32 = AtomicU32::new(0);
/// It was begun with a shell that remembers nothing, and has not begun a command since.
static IS_ANEW: AtomicBool = AtomicBool::new(false);
/// The command lets the world run, again and again.
static LETS_RUN: AtomicBool = AtomicBool::new(false);
static ASKED: AtomicBool = AtomicBool::new(false);
static MESSAGE: Lock<Option<Why>> = Lock::new("the debugger's last words", None);

/// Says what the debugger does from now on.
pub(crate) fn phase(phase: Phase) {
    if phase == Phase::Busy && PHASE.load(Ordering::Relaxed) == Phase::Waiting as u8 {
        FAILED.store(0, Ordering::Relaxed);
        IS_ANEW.store(false, Ordering::Relaxed);
    }
    LETS_RUN.store(false, Ordering::Relaxed);
    PHASE.store(phase as u8, Ordering::Relaxed);
}

/// The command that runs lets the world run, and will again.
pub(crate) fn lets_run() {
    LETS_RUN.store(true, Ordering::Relaxed);
}

/// Whether a command runs that can be given up.
pub(super) fn is_in_command() -> bool {
    PHASE.load(Ordering::Relaxed) == Phase::Busy as u8
}

/// Somebody broke in while the debugger ran: whatever it does ends as soon as the interrupt that
/// brought it is over. If it only waits, or stays with a program and has it run again in a moment,
/// the next process that runs is stopped instead; who asks a second time before that has waited long
/// enough.
pub(super) fn ask() {
    let will_run = LETS_RUN.load(Ordering::Relaxed) && !border::is_break_in_next();
    match is_in_command() && !will_run {
        true => ASKED.store(true, Ordering::Relaxed),
        false => border::break_in_next(),
    }
}

/// Whether the command shall be given up, at the end of an interrupt. Only once.
pub(crate) fn is_asked_for() -> bool {
    ASKED.load(Ordering::Relaxed) && ASKED.swap(false, Ordering::Relaxed)
}

/// Whether the debugger has got to its prompt.
pub(crate) fn has_begun() -> bool {
    PHASE.load(Ordering::Relaxed) != Phase::Starting as u8
}

/// Whether the debugger can be begun again.
pub(crate) fn is_possible() -> bool {
    super::is_running()
        && PHASE.load(Ordering::Relaxed) != Phase::Starting as u8
        && FAILED.load(Ordering::Relaxed) < MOST
}

/// Whether a shell that remembers nothing has not been tried yet, since the last command that was begun.
pub(crate) fn can_begin_anew() -> bool {
    super::is_running() && has_begun() && !IS_ANEW.load(Ordering::Relaxed)
}

/// Begins the debugger's thread again, with a shell that remembers nothing.
pub(crate) fn begin_anew() -> ! {
    IS_ANEW.store(true, Ordering::Relaxed);
    FAILED.store(0, Ordering::Relaxed);
    fatal::forget();
    crash::no_more();
    boot::forget_shell();
    give_up(Why::Again)
}

/// Ends whatever the debugger's thread does, and begins it again.
pub(crate) fn give_up(why: Why) -> ! {
    let _ = cpu::interrupts_off();
    FAILED.fetch_add(1, Ordering::Relaxed);
    GENERATION.fetch_add(1, Ordering::Relaxed);
    RUNS.store(true, Ordering::Relaxed);
    if let Some(root) = master::root() {
        master::load_root(root);
    }
    ASKED.store(false, Ordering::Relaxed);
    *MESSAGE.lock() = Some(why);
    entry::continue_on(stacks::first().top, boot::shell)
}

/// Why the last command was given up, if it was and nobody has said so.
pub(crate) fn take_message() -> Option<Why> {
    MESSAGE.lock().take()
}
