//! Going on from a stop, for the commands that do.

use core::mem;

use machine::{PhysAddr, VirtAddr};

use crate::command::Context;
use crate::commands::{spawn, wait};
use crate::process::processes;
use crate::stop::Unfinished;
use crate::{DebugError, Error, Go, Pid, Stop, StopReason, WatchKind, Watched, Went};

/// How many debug registers there are.
pub(crate) const SLOTS: usize = 4;

/// Goes on for one instruction.
pub(crate) fn step(context: &mut Context<'_>) -> Result<Went, Error> {
    Ok(context.debugger()?.go(Go::Step)?)
}

/// Goes on until something stops it for good: not at a breakpoint whose condition is false.
pub(crate) fn on(context: &mut Context<'_>) -> Result<Went, Error> {
    let went = context.debugger()?.go(Go::On)?;
    match went {
        Went::Stopped => heed(context),
        went => Ok(went),
    }
}

/// Goes on while it is stopped at breakpoints whose conditions are false.
pub(crate) fn heed(context: &mut Context<'_>) -> Result<Went, Error> {
    loop {
        let Some(stop) = context.debugger()?.stop() else {
            return Ok(Went::Through);
        };
        if is_meant(context, &stop) {
            return Ok(Went::Stopped);
        }
        if context.out.interrupted() {
            return Err(Error::Interrupted);
        }
        match context.debugger()?.go(Go::On)? {
            Went::Stopped => {}
            went => return Ok(went),
        }
    }
}

/// Whether somebody wants to know of this stop.
fn is_meant(context: &mut Context<'_>, stop: &Stop) -> bool {
    let StopReason::Breakpoint { slots } = stop.reason else {
        return true;
    };
    (0..SLOTS)
        .filter(|slot| slots & (1 << slot) != 0)
        .any(|slot| {
            let condition = context.state.conditions.get(slot).cloned().flatten();
            // One that cannot be computed is looked at by a person.
            condition.is_none_or(|text| context.evaluate(&text) != Ok(0))
        })
}

/// Does what the stop has kept from being done, if going on was all that it needed; it is
/// [`Error::Stopped`] if it was stopped again.
pub(crate) fn finish(context: &mut Context<'_>, went: Went) -> Result<(), Error> {
    if went == Went::Stopped {
        return Err(Error::Stopped);
    }
    let unfinished = mem::replace(&mut context.state.unfinished, Unfinished::Nothing);
    match (unfinished, went) {
        (Unfinished::Spawn, Went::Started(pid)) | (Unfinished::Program(pid), _) => {
            spawn::stay(context, pid)
        }
        (Unfinished::Wait(pid), _) => wait::wait(context, pid),
        (Unfinished::Spawn | Unfinished::Nothing, _) => Ok(()),
    }
}

/// Goes on until the instruction at `at` is about to be executed with RSP at `least` or above, or
/// until something else stops it.
pub(crate) fn until(context: &mut Context<'_>, at: VirtAddr, least: u64) -> Result<(), Error> {
    let pid = context.stop()?.pid;
    let slot = free_slot(context)?;
    let watched = Watched {
        at,
        bytes: 1,
        kind: WatchKind::Execute,
    };
    context.debugger()?.watch(slot, Some(watched))?;
    context.state.temporary = Some(slot);
    let result = until_slot(context, slot, least, pid);
    let _ = context.debugger()?.watch(slot, None);
    result
}

fn until_slot(context: &mut Context<'_>, slot: usize, least: u64, pid: Pid) -> Result<(), Error> {
    loop {
        let went = on(context)?;
        match keep_going(context, went, pid) {
            Err(Error::Stopped) => {}
            ended => return ended,
        }
        let stop = context.stop()?;
        let is_there =
            matches!(stop.reason, StopReason::Breakpoint { slots } if slots & (1 << slot) != 0);
        // The same place in a call that was made meanwhile is another one.
        if !is_there || stop.registers.rsp >= least {
            return Err(Error::Stopped);
        }
    }
}

/// After a turn that was not stopped: more turns, until it is, or until the process is no more.
fn keep_going(context: &mut Context<'_>, went: Went, pid: Pid) -> Result<(), Error> {
    if went == Went::Stopped || context.state.unfinished != Unfinished::Nothing {
        return finish(context, went);
    }
    loop {
        context.check_interrupt()?;
        let info = processes(context.target)?.info(pid);
        if info.is_none_or(|info| info.state.exit().is_some()) {
            return Ok(());
        }
        processes(context.target)?.run();
        if heed(context)? == Went::Stopped {
            return Err(Error::Stopped);
        }
    }
}

/// A debug register that watches nothing.
pub(crate) fn free_slot(context: &mut Context<'_>) -> Result<usize, Error> {
    let debugger = context.debugger()?;
    (0..SLOTS)
        .find(|slot| debugger.watched(*slot).is_none())
        .ok_or(Error::Debug(DebugError::NoneFree))
}

/// Whether there is a breakpoint on this instruction.
pub(crate) fn breakpoint_at(context: &mut Context<'_>, at: u64) -> Result<bool, Error> {
    let debugger = context.debugger()?;
    Ok((0..SLOTS).any(|slot| {
        debugger
            .watched(slot)
            .is_some_and(|watched| watched.kind == WatchKind::Execute && watched.at.0 == at)
    }))
}

/// The root of the thread that is stopped.
pub(crate) fn root(stop: &Stop) -> PhysAddr {
    PhysAddr(stop.registers.cr3)
}
