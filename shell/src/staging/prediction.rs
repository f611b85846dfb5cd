//! What `check switch` and `check iret` say of the way ahead, and whether it came so.

use core::fmt::{self, Write};

use machine::Registers;
use machine::iret::{Outcome, Report};

use super::rows::{HELD, PREDICTION};
use crate::command::Context;
use crate::foretold::{Foretold, Held, Ids, compare, foretell, frame_at, frame_of, ring_of_fault};
use crate::going::root;
use crate::output::Output;
use crate::process::{alive, processes};
use crate::way::{self, CourseLine};
use crate::{Error, Pid};

const SWITCH: &str = "check switch";
const IRET: &str = "check iret";

/// What was said, and by whom.
#[derive(Clone, Copy, Debug)]
pub(super) struct Prediction {
    by: &'static str,
    foretold: Foretold,
    /// What QEMU is known to do otherwise.
    deviating: Option<Foretold>,
}

impl Prediction {
    fn of(by: &'static str, report: &Report) -> Self {
        Prediction {
            by,
            foretold: Foretold::of(report),
            deviating: Foretold::deviating(report),
        }
    }

    /// What `check switch` says of the way to a process. It needs to know the process, which it
    /// does not where the world was stopped while it changes the list of them.
    pub(super) fn of_switch(context: &mut Context<'_>, pid: Pid) -> Result<Option<Self>, Error> {
        if context.target.switches().is_none() {
            return Ok(None);
        }
        let Ok(root) = alive(context.target, pid).map(|info| info.root) else {
            return Ok(None);
        };
        let Some(registers) = context.processes()?.registers(pid) else {
            return Ok(None);
        };
        let report = foretell(context, root, frame_of(&registers))?;
        let way = way::of(context, pid, &report)?;
        let prediction = Prediction::of(SWITCH, &report);
        if context.out.is_json() {
            return prediction.record(context, &report);
        }
        write!(context.out, "  {SWITCH}: ")?;
        match (&way.stop, &way.back, way.missing) {
            (Some((what, course)), _, _) => {
                let line = CourseLine(course, way.unreported);
                writeln!(context.out, "stops at: {what}: {line}")?;
            }
            (None, Some(course), _) => {
                let line = CourseLine(course, way.unreported);
                let foretold = prediction.foretold;
                writeln!(context.out, "{foretold}; the first trap back: {line}")?;
            }
            (None, None, 0) => writeln!(
                context.out,
                "all {} needs are met; {}",
                way.needs, prediction.foretold
            )?,
            (None, None, missing) => writeln!(
                context.out,
                "{missing} of {} needs are not met; {}",
                way.needs, prediction.foretold
            )?,
        }
        Ok(Some(prediction))
    }

    /// What `check iret` says of the frame that IRETQ is about to take.
    pub(super) fn of_iret(context: &mut Context<'_>) -> Result<Option<Self>, Error> {
        let Some(report) = report(context)? else {
            return Ok(None);
        };
        let prediction = Prediction::of(IRET, &report);
        if context.out.is_json() {
            return prediction.record(context, &report);
        }
        writeln!(context.out, "  {IRET}: {}", prediction.foretold)?;
        if let Some(deviating) = prediction.deviating {
            write!(context.out, "  known to be otherwise:")?;
            for known in report.deviations() {
                write!(context.out, " {} ({})", known.who, known.id)?;
            }
            writeln!(context.out, ": {deviating}")?;
        }
        Ok(Some(prediction))
    }

    /// A row of it.
    fn record(self, context: &mut Context<'_>, report: &Report) -> Result<Option<Self>, Error> {
        let ids = self.deviating.map(|_| Ids(report));
        context
            .out
            .record(PREDICTION.name)
            .text("by", self.by)
            .text("foretold", self.foretold)
            .maybe_text("deviating", self.deviating)
            .maybe_text("deviations", ids)
            .end()?;
        Ok(Some(self))
    }

    /// The first instruction in ring 3 is there: was it to be?
    pub(super) fn arrived(
        &self,
        context: &mut Context<'_>,
        registers: &Registers,
    ) -> Result<(), Error> {
        let is_so = |foretold: &Foretold| {
            let cpl = match foretold.outcome {
                // What comes of its fetch, and behind it, is still to come.
                Outcome::Enters(cpl) | Outcome::AtFetch(_, cpl) | Outcome::AfterFirst(_, cpl) => {
                    cpl
                }
                Outcome::AtIretq(_) | Outcome::Unknown(..) => return false,
            };
            u16::from(cpl) == registers.cs & 3 && foretold.rip.0 == registers.rip
        };
        let came = match self.deviating.filter(is_so) {
            _ if is_so(&self.foretold) => Held::True(self.foretold),
            Some(known) => Held::Deviating(known),
            None => Held::False,
        };
        said(&mut context.out, self.by, self.foretold, came)
    }
}

/// All there is to say about the frame that IRETQ is about to take.
pub(super) fn report(context: &mut Context<'_>) -> Result<Option<Report>, Error> {
    if context.target.cpu().is_none() {
        return Ok(None);
    }
    let stop = context.stop()?;
    let frame = frame_at(context, &stop)?;
    foretell(context, root(&stop), frame).map(Some)
}

/// There was an IRETQ and no first instruction in ring 3: was that foretold?
pub(super) fn left(context: &mut Context<'_>, pid: Pid, report: &Report) -> Result<(), Error> {
    let info = processes(context.target)?.info(pid);
    let Some(exit) = info.and_then(|info| info.state.exit()) else {
        return Ok(());
    };
    let ring = ring_of_fault(context, pid);
    let held = compare(report, exit, ring);
    said(&mut context.out, IRET, Foretold::of(report), held)
}

/// Whether it came as foretold.
fn said<Came: fmt::Display>(
    out: &mut Output<'_>,
    by: &'static str,
    foretold: Foretold,
    held: Held<Came>,
) -> Result<(), Error> {
    if out.is_json() {
        let (holds, came) = match &held {
            Held::True(came) | Held::Deviating(came) => (true, Some(came)),
            Held::False => (false, None),
        };
        out.record(HELD.name)
            .text("by", by)
            .text("foretold", foretold)
            .flag("holds", holds)
            .maybe_text("came", came)
            .end()?;
        return Ok(());
    }
    match held {
        Held::True(came) => writeln!(out, "  as {by} foretold: {came}")?,
        Held::Deviating(came) => writeln!(out, "  as {by} foretold of the emulator: {came}")?,
        Held::False => writeln!(out, "  NOT as {by} foretold: {foretold}")?,
    }
    Ok(())
}
