//! What the kernel's own thread does when the debugger asks it to.

use heapless::{String, Vec};
use shell::{CrashKind, Exit, Pid, ProcessError};

use super::{DEBUGGER_RSP, RUNS, WORLD_RSP, away, breakpoints, is_dead, stop, switch_to_debugger};
use crate::arch::{cpu, entry};
use crate::crash;
use crate::lock::Lock;
use crate::process::{self, MOST_ARGUMENTS};

use core::sync::atomic::Ordering;

/// Something for the kernel's own thread to do.
#[derive(Clone, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "there is one of them, and nothing is allocated for it"
)]
pub(crate) enum Request {
    /// Start a program with these arguments, each with its NUL.
    Spawn(String<64>, Vec<u8, MOST_ARGUMENTS>),
    /// End a process.
    Kill(Pid),
    /// Forget a dead process.
    Reap(Pid),
    /// Let every process that can run have a turn.
    Turns,
    /// Let this process have a turn.
    Turn(Pid),
    /// Fault.
    Crash(CrashKind),
}

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer {
    /// A program was started, or not.
    Spawned(Result<Pid, ProcessError>),
    /// Somebody was ended, let run, or not.
    Done(Result<(), ProcessError>),
    /// A process is forgotten, and this is how it ended.
    Reaped(Result<Exit, ProcessError>),
    /// Whether anybody ran.
    Ran(bool),
}

static REQUEST: Lock<Option<Request>> = Lock::new("the debugger's request", None);
static ANSWER: Lock<Option<Answer>> = Lock::new("the answer to the debugger", None);

/// Has the kernel's own thread do something, and waits until it is done. `None` if the world is
/// stopped, or stopped meanwhile.
pub(crate) fn ask(request: Request) -> Option<Answer> {
    let is_possible = !is_dead() || matches!(request, Request::Crash(_));
    if stop::is_stopped() || !is_possible {
        return None;
    }
    match request {
        Request::Turns | Request::Turn(_) => stop::others_run(),
        _ => stop::forget(),
    }
    *REQUEST.lock() = Some(request);
    *ANSWER.lock() = None;
    away(|| {
        breakpoints::load_addresses();
        let control = breakpoints::control();
        RUNS.store(false, Ordering::Relaxed);
        let world = WORLD_RSP.load(Ordering::Relaxed);
        entry::enter(DEBUGGER_RSP.as_ptr(), world, control);
    });
    answer()
}

/// What came of the last request, if it is done.
pub(super) fn answer() -> Option<Answer> {
    match stop::is_stopped() {
        true => None,
        false => ANSWER.lock().take(),
    }
}

/// Lets every process that can run have a turn; whether there was any.
pub(crate) fn give_turns() -> bool {
    // Where there is nobody, an NMI meanwhile would stop the kernel's own thread in the middle of
    // nothing. At a stop nobody is given a turn, and the world may have the list locked.
    if stop::is_stopped() || !process::is_any() {
        return false;
    }
    matches!(ask(Request::Turns), Some(Answer::Ran(true)))
}

/// The kernel's own thread, for ever.
pub(super) extern "C" fn serve() -> ! {
    cpu::nobody_called();
    loop {
        let request = REQUEST.lock().take();
        if let Some(request) = request {
            let answer = perform(request);
            *ANSWER.lock() = Some(answer);
        }
        switch_to_debugger(WORLD_RSP.as_ptr());
    }
}

fn perform(request: Request) -> Answer {
    match request {
        Request::Spawn(program, arguments) => {
            Answer::Spawned(process::spawn(process::KERNEL, &program, &arguments))
        }
        Request::Kill(pid) => Answer::Done(process::kill(pid)),
        Request::Reap(pid) => Answer::Reaped(process::reap(pid)),
        Request::Turns => Answer::Ran(process::run_others()),
        Request::Turn(pid) => Answer::Done(process::run_one(pid)),
        Request::Crash(kind) => {
            crash::crash(kind);
            Answer::Done(Ok(()))
        }
    }
}
