//! A stop, told to whoever reads: why, what changed, and which instruction is next.

use core::fmt::{self, Write};

use heapless::String;
use machine::{PhysAddr, VirtAddr};

use crate::command::{Context, State};
use crate::disassembly::{BYTES, INSTRUCTION, LEADS_TO, Line};
use crate::names::image_at;
use crate::output::Output;
use crate::record::{Row, hex, number, text};
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
    let stop = target.debugger().and_then(Debugger::stop);
    stop.is_some()
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
    let temporary = state.temporary.take();
    // Who stopped reading knows that there is more.
    let _ = match out.is_json() {
        true => record(target, out, &stop, temporary),
        false => tell(target, out, &stop, temporary, mark),
    };
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
    let why = Why(stop.reason, temporary);
    let who = Who::of(target, stop.pid);
    write!(out, "{mark}stop {}: {why}; {who}", stop.number)?;
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

/// What a record says of a stop.
pub(crate) const STOP: Row = Row {
    name: "stop",
    about: "where everything stands, if it was stopped",
    fields: &[
        number("stop", "its number"),
        text(
            "kind",
            "`step`, `breakpoint`, `reached` (what the command went on to), `break-in`, `nmi`, `refused`, or the name of a moment",
        ),
        text("why", "the same in words"),
        number("pid", "the process that ran; 0 is the kernel"),
        number("ring", "its ring"),
        hex("cs", "CS"),
        hex("cr3", "CR3"),
        number("ring_before", "the ring where it was let go, if it was").or_null(),
        hex("cr3_before", "CR3 there").or_null(),
        hex("at", "RIP, where the next instruction is"),
        BYTES,
        INSTRUCTION,
        LEADS_TO,
        text("symbol", "the name of the place").or_null(),
    ],
};

fn record(
    target: &mut dyn Target,
    out: &mut Output<'_>,
    stop: &Stop,
    temporary: Option<usize>,
) -> fmt::Result {
    let Stop {
        reason,
        pid,
        registers,
        before,
        ..
    } = stop;
    let line = next(target, PhysAddr(registers.cr3), VirtAddr(registers.rip));
    let name = symbol(target, (*pid != 0).then_some(*pid), line.at);
    let why = Why(*reason, temporary);
    let record = out
        .record(STOP.name)
        .number("stop", stop.number)
        .text("kind", why.kind())
        .text("why", why)
        .number("pid", *pid)
        .number("ring", registers.cs & 3)
        .hex("cs", registers.cs)
        .hex("cr3", registers.cr3)
        .number("ring_before", before.map(|before| before.cs & 3))
        .hex("cr3_before", before.map(|before| before.cr3));
    line.fields(record).maybe_text("symbol", name).end()
}

/// Why it was stopped, and the debug register that was there for this command alone.
#[derive(Clone, Copy)]
struct Why(StopReason, Option<usize>);

impl Why {
    fn is_reached(self) -> bool {
        matches!(self.0, StopReason::Breakpoint { slots } if Some(slots.into()) == self.1.map(|slot| 1 << slot))
    }

    fn kind(self) -> &'static str {
        match self.0 {
            _ if self.is_reached() => "reached",
            StopReason::Step => "step",
            StopReason::Breakpoint { .. } => "breakpoint",
            StopReason::Moment { moment, .. } => moment.name(),
            StopReason::BreakIn => "break-in",
            StopReason::Nmi => "nmi",
            StopReason::Fault { .. } => "died-of-fault",
            StopReason::Panic => "died-of-panic",
            StopReason::Refused { .. } => "refused",
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.is_reached() {
            true => f.write_str("reached"),
            false => write!(f, "{}", self.0),
        }
    }
}

/// What an address is called, in brackets behind a gap; nothing where nobody knows.
pub(crate) fn called(target: &mut dyn Target, focus: Option<Pid>, at: VirtAddr) -> Called {
    Called(symbol(target, focus, at))
}

/// See [`called`].
pub(crate) struct Called(Option<SymbolText>);

impl fmt::Display for Called {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(name) => write!(f, "  <{name}>"),
            None => Ok(()),
        }
    }
}

/// A name with a place in it; a long one is cut off.
pub(crate) type SymbolText = String<124>;

/// What an address is called, if anybody knows.
pub(crate) fn symbol(
    target: &mut dyn Target,
    focus: Option<Pid>,
    at: VirtAddr,
) -> Option<SymbolText> {
    let image = image_at(target, focus, at).ok()?;
    let found = image.describe(at)?;
    let mut text = String::new();
    // What does not fit is left out.
    let _ = write!(Cut(&mut text), "{found}");
    Some(text)
}

/// Takes text as long as there is room.
struct Cut<'a>(&'a mut SymbolText);

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
