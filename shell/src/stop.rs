//! A stop, told to whoever reads: why, what changed, and which instruction is next.

use core::fmt::{self, Write};

use heapless::String;
use machine::{PhysAddr, VirtAddr};

use crate::command::{Context, State};
use crate::disassembly::Line;
use crate::names::image_at;
use crate::output::Output;
use crate::virt::Virt;
use crate::{Debugger, Error, Pid, Stop, StopReason, Target};

/// What a stop has kept a command from finishing: `continue` does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unfinished {
    Nothing,
    /// A program is being started, to stay with it.
    Spawn,
    /// Staying with a program that was started.
    Program(Pid),
    /// Waiting for a process.
    Wait(Pid),
}

/// Whether everything is stopped.
pub(crate) fn is_stopped(target: &mut dyn Target) -> bool {
    number(target).is_some()
}

fn number(target: &mut dyn Target) -> Option<u64> {
    target.debugger()?.stop().map(|stop| stop.number)
}

/// Tells of a stop, if there is one that was not told of; each line begins with `mark`.
pub(crate) fn report(target: &mut dyn Target, out: &mut Output<'_>, state: &mut State, mark: &str) {
    let Some(stop) = target.debugger().and_then(Debugger::stop) else {
        return;
    };
    if stop.number == state.told {
        return;
    }
    state.told = stop.number;
    // Who stopped reading knows that there is more.
    let _ = tell(target, out, &stop, state.temporary.take(), mark);
    out.finish_line();
}

fn tell(
    target: &mut dyn Target,
    out: &mut Output<'_>,
    stop: &Stop,
    temporary: Option<usize>,
    mark: &str,
) -> fmt::Result {
    let registers = &stop.registers;
    write!(out, "{mark}stop {}: ", stop.number)?;
    match stop.reason {
        StopReason::Breakpoint { slots }
            if Some(slots.into()) == temporary.map(|slot| 1 << slot) =>
        {
            write!(out, "reached; ")?;
        }
        reason => write!(out, "{reason}; ")?,
    }
    write!(out, "{}", Who::of(target, stop.pid))?;
    let ring = registers.cs & 3;
    match stop.before.map(|before| before.cs & 3) {
        Some(before) if before != ring => write!(out, ", ring {before} -> {ring}")?,
        _ => write!(out, ", ring {ring}")?,
    }
    write!(out, " (CS {:#06x}), cr3 ", registers.cs)?;
    if let Some(before) = stop.before.filter(|before| before.cr3 != registers.cr3) {
        write!(out, "{} -> ", root_name(target, before.cr3))?;
    }
    writeln!(out, "{}", root_name(target, registers.cr3))?;
    let line = next(target, PhysAddr(registers.cr3), VirtAddr(registers.rip));
    let focus = (stop.pid != 0).then_some(stop.pid);
    let name = called(target, focus, line.at);
    writeln!(out, "{mark}{line}{name}")
}

/// What an address is called, in brackets behind a gap; nothing where nobody knows. Long names are
/// cut off.
pub(crate) fn called(target: &mut dyn Target, focus: Option<Pid>, at: VirtAddr) -> String<128> {
    let mut text = String::new();
    let Ok(image) = image_at(target, focus, at) else {
        return text;
    };
    if let Some(found) = image.describe(at) {
        let mut cut = Cut(&mut text);
        // What does not fit is left out.
        let _ = write!(cut, "  <{found}>");
    }
    text
}

/// Takes text as long as there is room.
struct Cut<'a>(&'a mut String<128>);

impl Write for Cut<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            self.0.push(c).map_err(|_| fmt::Error)?;
        }
        Ok(())
    }
}

/// The instruction at an address.
pub(crate) fn next(target: &mut dyn Target, root: PhysAddr, at: VirtAddr) -> Line {
    Line::at(&mut Virt::new(target, root), at)
}

/// Whose thread it is.
struct Who(Pid, Option<crate::ProcessName>);

impl Who {
    fn of(target: &mut dyn Target, pid: Pid) -> Self {
        let info = match pid {
            0 => None,
            pid => target.processes().and_then(|all| all.info(pid)),
        };
        Who(pid, info.map(|info| info.name))
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0, &self.1) {
            (0, _) => f.write_str("kernel (pid 0)"),
            (pid, Some(name)) => write!(f, "{name} (pid {pid})"),
            (pid, None) => write!(f, "pid {pid}"),
        }
    }
}

/// A root, and whose it is.
pub(crate) struct RootName(PhysAddr, Option<Pid>);

/// Whose root this is.
pub(crate) fn root_name(target: &mut dyn Target, cr3: u64) -> RootName {
    let root = PhysAddr(cr3 & 0x000f_ffff_ffff_f000);
    if target.master() == Some(root) {
        return RootName(root, Some(0));
    }
    let mut found = None;
    if let Some(all) = target.processes() {
        let mut last = None;
        while let Some(pid) = all.next(last).filter(|pid| last < Some(*pid)) {
            last = Some(pid);
            if all.info(pid).is_some_and(|info| info.root == root) {
                found = Some(pid);
                break;
            }
        }
    }
    RootName(root, found)
}

impl fmt::Display for RootName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        match self.1 {
            Some(0) => f.write_str(" (master)"),
            Some(pid) => write!(f, " (pid {pid})"),
            None => Ok(()),
        }
    }
}

impl Context<'_> {
    /// Whoever can stop the target.
    pub(crate) fn debugger(&mut self) -> Result<&mut dyn Debugger, Error> {
        self.target
            .debugger()
            .ok_or(Error::Lacks("way to be stopped"))
    }

    /// The process whose addresses are meant: that in focus, or the one that is stopped.
    pub(crate) fn whose(&mut self) -> Option<Pid> {
        let stopped = || self.target.debugger()?.stop().map(|stop| stop.pid);
        self.focus.or_else(stopped).filter(|pid| *pid != 0)
    }

    /// The stop there is.
    pub(crate) fn stop(&mut self) -> Result<Stop, Error> {
        self.debugger()?.stop().ok_or(Error::Said(
            "nothing is stopped; `help break` says how to stop",
        ))
    }
}
