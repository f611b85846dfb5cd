//! What the commands about processes have in common: how one is named, found and missed.

use core::fmt;

use symbolizer::index::Found;

use crate::command::Context;
use crate::names::is_upper;
use crate::stop;
use crate::{Error, Exit, Pid, ProcessInfo, ProcessName, Processes, Symbols, Target};

/// A process as a message names it: `hello (pid 3)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) name: ProcessName,
    pub(crate) pid: Pid,
}

impl Named {
    pub(crate) fn of(info: &ProcessInfo) -> Self {
        Named {
            name: info.name.clone(),
            pid: info.pid,
        }
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (pid {})", self.name, self.pid)
    }
}

/// How many processes there are: `1 process`, `2 processes`.
pub(crate) struct Number(pub(crate) u64);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.0 == 1 { "" } else { "es" };
        write!(f, "{} process{plural}", self.0)
    }
}

/// The processes of a target that has some.
pub(crate) fn processes(target: &mut dyn Target) -> Result<&mut dyn Processes, Error> {
    // Asked twice: the compiler cannot see that the first answer is not kept.
    match target.processes().is_some() {
        true => target.processes().ok_or(Error::Lacks("processes")),
        false if stop::is_stopped(target) => Err(Error::Said(
            "the kernel was stopped while it changes the list of processes; step on, or `continue`",
        )),
        false => Err(Error::Lacks("processes")),
    }
}

/// The pid with this value.
pub(crate) fn pid(value: u64) -> Result<Pid, Error> {
    Pid::try_from(value).map_err(|_| Error::NoProcess(value))
}

/// What is known about a process, dead or alive.
pub(crate) fn info(target: &mut dyn Target, pid: Pid) -> Result<ProcessInfo, Error> {
    processes(target)?
        .info(pid)
        .ok_or(Error::NoProcess(pid.into()))
}

/// What is known about a process that is alive.
pub(crate) fn alive(target: &mut dyn Target, pid: Pid) -> Result<ProcessInfo, Error> {
    let info = info(target, pid)?;
    match info.state.exit() {
        Some(exit) => Err(Error::DeadProcess(Named::of(&info), exit)),
        None => Ok(info),
    }
}

/// The processes there are when this is called, by ascending pid; those that come later, while
/// the first ones are being looked at, are not among them, so this ends.
pub(crate) struct Pids {
    after: Option<Pid>,
    last: Option<Pid>,
}

impl Pids {
    pub(crate) fn all(target: &mut dyn Target) -> Result<Pids, Error> {
        let processes = processes(target)?;
        let mut last = None;
        while let Some(pid) = processes.next(last).filter(|pid| last < Some(*pid)) {
            last = Some(pid);
        }
        Ok(Pids { after: None, last })
    }

    /// The next of them that still exists.
    pub(crate) fn next(&mut self, target: &mut dyn Target) -> Option<ProcessInfo> {
        loop {
            let processes = target.processes()?;
            let pid = processes.next(self.after)?;
            if Some(pid) > self.last || Some(pid) <= self.after {
                return None;
            }
            self.after = Some(pid);
            if let Some(info) = processes.info(pid) {
                return Some(info);
            }
        }
    }
}

/// How a process ended as one number, as the system call `wait` says it: the code, 0x100 if it
/// was killed, or 0x200 and the vector of the fault.
pub(crate) fn status_word(exit: Exit) -> u64 {
    match exit {
        Exit::Code(code) => code.into(),
        Exit::Killed => 0x100,
        Exit::Fault { vector, .. } => 0x200 | u64::from(vector),
    }
}

/// Where a process that faulted was: the innermost function, and its line.
pub(crate) struct ExitPlace<'a>(Found<'a>);

/// Where a process faulted, if it did and somebody knows the name of the place.
pub(crate) fn exit_place<'t>(
    target: &'t mut dyn Target,
    program: &str,
    exit: Exit,
) -> Option<ExitPlace<'t>> {
    let Exit::Fault { rip, .. } = exit else {
        return None;
    };
    let symbols: &'t dyn Symbols = target.symbols()?;
    let image = match is_upper(rip) {
        true => symbols.kernel(),
        false => symbols.named(program),
    };
    image.ok()?.describe(rip).map(ExitPlace)
}

impl fmt::Display for ExitPlace<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut frames = self.0.frames;
        match frames.next() {
            Some(frame) => write!(f, "{frame}"),
            None => write!(f, "{}", self.0),
        }
    }
}

impl Context<'_> {
    /// The processes of a target that has some.
    pub(crate) fn processes(&mut self) -> Result<&mut dyn Processes, Error> {
        processes(self.target)
    }
}
