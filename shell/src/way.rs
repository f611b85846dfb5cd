//! The way from the kernel's thread into a process, looked up before anybody goes it: what it
//! needs, where it would stop, and where that would end.

use core::fmt;

use machine::delivery::{Course, Ending, Place, deliver};
use machine::iret::{Outcome, Report};
use machine::transition::{Met, Need, Use, When, course, meet};
use machine::{Raised, Situation, VirtAddr, vectors};

use crate::command::Context;
use crate::foretold::{foretell, frame_of, situation};
use crate::judged::Judged;
use crate::{Error, Pid, Rsp0, process};

/// What IRETQ pops.
const FRAME_BYTES: u64 = 40;

/// The vector the first trap back is taken to have: a system call, which is benign.
const SYSTEM_CALL: Raised = Raised {
    vector: 0x80,
    error: None,
    address: None,
};

/// What was found on the way.
pub(crate) struct Way {
    /// The first need that is not met, and how many are not.
    pub(crate) failing: Option<Failing>,
    pub(crate) missing: u64,
    pub(crate) needs: u64,
    /// Where the way stops, and what comes of it.
    pub(crate) stop: Option<(&'static str, Course)>,
    /// What comes of the first trap back, if it does not come to its handler.
    pub(crate) back: Option<Course>,
    /// What the report of a fault needs and does not have.
    pub(crate) unreported: Option<&'static str>,
    /// RSP0, if it is not what it should be.
    pub(crate) stale: Option<Rsp0>,
}

/// A need that is not met.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Failing {
    what: &'static str,
    at: VirtAddr,
    judged: Judged,
    is_guard: bool,
}

impl Failing {
    fn of(need: &Need, met: &Met) -> Self {
        Failing {
            what: need.what,
            at: met.at,
            judged: Judged::of(&met.walk, met.verdict),
            is_guard: need.how == Use::Guard,
        }
    }
}

impl fmt::Display for Failing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Failing {
            what, at, judged, ..
        } = self;
        match self.is_guard {
            true => write!(f, "{what} {at}: mapped, {judged}"),
            false => write!(f, "{what} {at}: {judged}"),
        }
    }
}

/// The way that a process will come, as its registers and its space are now.
pub(crate) fn of(context: &mut Context<'_>, pid: Pid, report: &Report) -> Result<Way, Error> {
    look(context, pid, report, None)
}

/// Fails with the reason why a process that has not run should not, if there is one and the
/// target knows enough to tell.
pub(crate) fn clear(context: &mut Context<'_>, pid: Pid) -> Result<(), Error> {
    if context.target.switches().is_none() || context.target.cpu().is_none() {
        return Ok(());
    }
    let root = process::alive(context.target, pid)?.root;
    let Some(registers) = context.processes()?.registers(pid) else {
        return Ok(());
    };
    let report = foretell(context, root, frame_of(&registers))?;
    of(context, pid, &report)?.refuse()
}

/// What is called with every need and what it comes to.
pub(crate) type Each = fn(&mut Context<'_>, &Need, &Met) -> Result<(), Error>;

/// The same, showing each need with the function given. Without one, the whole of a region is
/// not looked at: it stops nobody by itself, and takes its time.
pub(crate) fn look(
    context: &mut Context<'_>,
    pid: Pid,
    report: &Report,
    each: Option<Each>,
) -> Result<Way, Error> {
    let now = of_process(context, pid)?;
    let rsp0 = switches(context)?.rsp0(pid);
    let mut way = Way {
        failing: None,
        missing: 0,
        needs: 0,
        stop: None,
        back: None,
        unreported: None,
        stale: rsp0.filter(|rsp0| rsp0.value != rsp0.should_be),
    };
    for index in 0.. {
        let Some(need) = switches(context)?.need(pid, index) else {
            break;
        };
        if need.when == When::Whole && each.is_none() {
            break;
        }
        let memory = context.target.memory();
        let met = meet(memory, &now, &need);
        way.needs += 1;
        if !met.is_met {
            way.missing += 1;
            // What only the whole of a region lacks stops nobody by itself.
            if way.failing.is_none() && need.when != When::Whole {
                way.failing = Some(Failing::of(&need, &met));
            }
            if need.when == When::Report {
                way.unreported = way.unreported.or(Some(need.what));
            }
            if way.stop.is_none() {
                let stop = course(memory, &now, &need, &met);
                way.stop = stop.map(|course| (need.what, course));
            }
        }
        if let Some(each) = each {
            each(context, &need, &met)?;
        }
    }
    if way.stop.is_none() {
        way.iretq(context, &now, report);
    }
    Ok(way)
}

/// The processor as it will be when the process runs.
fn of_process(context: &mut Context<'_>, pid: Pid) -> Result<Situation, Error> {
    let root = process::alive(context.target, pid)?.root;
    let now = situation(context, root)?;
    let present = context.target.cpu().ok_or(Error::Lacks("registers"))?;
    let present = machine::PhysAddr(present.registers().cr3);
    let rsp0 = switches(context)?.rsp0(pid).map(|rsp0| rsp0.value);
    let now = Situation { rsp0, ..now };
    // Without a task state segment every change of stack fails, which is what will be said.
    Ok(now
        .with_tss(context.target.memory(), present)
        .unwrap_or(now))
}

/// What a target with processes knows of switches to them.
pub(crate) fn switches<'c>(
    context: &'c mut Context<'_>,
) -> Result<&'c mut dyn crate::Switches, Error> {
    let switches = context.target.switches();
    switches.ok_or(Error::Lacks("knowledge of what a switch needs"))
}

/// What is raised, what comes of that, and the end, in one line; and what the report would lack.
pub(crate) struct CourseLine<'a>(pub(crate) &'a Course, pub(crate) Option<&'static str>);

impl fmt::Display for CourseLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut steps = self.0.steps();
        let first = steps.next();
        if let Some(first) = first {
            write!(f, "{first}")?;
        }
        for next in steps {
            write!(f, ", then {next}")?;
        }
        match self.0.ending {
            Ending::Handled { vector: 8, .. } => {
                f.write_str("; it ends in a double fault, whose handler runs")
            }
            Ending::Handled { vector, .. }
                if first.is_some_and(|raised| raised.vector == vector) =>
            {
                f.write_str("; its handler runs")
            }
            Ending::Handled { vector, .. } => {
                write!(f, "; the handler of {} runs", vectors::name(vector))
            }
            Ending::TripleFault => f.write_str("; it ends in a triple fault: the machine resets"),
            Ending::Endless { vector } => write!(
                f,
                "; it does not end: the handler of {} cannot be fetched",
                vectors::name(vector)
            ),
            Ending::Unknown(at, why) => write!(f, "; where it ends is unknown: {at}: {why}"),
        }?;
        match (self.0.ending, self.1) {
            (Ending::Handled { .. }, Some(what)) => {
                write!(f, ", but its report needs what is missing, too: {what}")
            }
            _ => Ok(()),
        }
    }
}

impl Way {
    /// What comes of the IRETQ, and of the first trap back.
    fn iretq(&mut self, context: &mut Context<'_>, now: &Situation, report: &Report) {
        let (raised, cpl) = match report.outcome {
            Outcome::AtIretq(raised) => (raised, 0),
            Outcome::AtFetch(raised, cpl) | Outcome::AfterFirst(raised, cpl) => (raised, cpl),
            Outcome::Enters(cpl) => (SYSTEM_CALL, cpl),
            Outcome::Unknown(..) => return,
        };
        let rsp = match (cpl, now.rsp0) {
            // The frame is right below the top of the stack.
            (0, Some(top)) => VirtAddr(top.0.wrapping_sub(FRAME_BYTES)),
            _ => VirtAddr(report.frame.rsp),
        };
        let place = Place { cpl, rsp };
        let course = deliver(context.target.memory(), now, raised, place);
        // The handler survives what a process does, and a frame of its.
        let is_caught =
            matches!(course.ending, Ending::Handled { vector, .. } if vector == raised.vector);
        match (is_caught, cpl) {
            (true, _) => {}
            (false, 0) => self.stop = Some(("IRETQ", course)),
            (false, _) => self.back = Some(course),
        }
    }

    /// Whether nothing speaks against it.
    pub(crate) fn is_clear(&self) -> bool {
        self.failing.is_none() && self.stop.is_none() && self.back.is_none() && self.stale.is_none()
    }

    /// What the kernel's own handler will see, if this ends the kernel.
    pub(crate) fn reported(&self) -> Option<Raised> {
        let (_, course) = self.stop.as_ref().map_or_else(
            || self.back.as_ref().map(|course| ("", course)),
            |(what, course)| Some((*what, course)),
        )?;
        match course.ending {
            Ending::Handled { vector, .. } => course
                .steps()
                .copied()
                .filter(|raised| raised.vector == vector)
                .last(),
            _ => None,
        }
    }

    /// Fails with the reason not to go it, if there is one.
    pub(crate) fn refuse(&self) -> Result<(), Error> {
        match (self.failing, self.stale) {
            (Some(failing), _) => Err(Error::RefusedNeed(failing)),
            (None, Some(stale)) => Err(Error::RefusedRsp0(stale)),
            (None, None) => Ok(()),
        }
    }
}
