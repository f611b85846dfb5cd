//! The way into ring 3 in its stages: what each is about to do, and whether it did.

mod prediction;
mod rows;
mod stage;
mod telling;

use core::fmt::Write;

use machine::iret::Report;
use machine::{Registers, VirtAddr};

use crate::command::Context;
use crate::going;
use crate::render::Count;
use crate::stop::next;
use crate::{Error, Moment, Pid, Stop, StopReason, Went};
use prediction::Prediction;
pub(crate) use rows::{CHANGE, FORETOLD, HELD, OBSERVED, PREDICTION, STAGE, WORD};
pub(crate) use stage::Stage;
use telling::Values;

/// Where a process is on its way, and what was foretold of the stage it is at.
#[derive(Clone, Debug)]
pub(crate) struct Staging {
    pub(crate) pid: Pid,
    /// Whether it was started for this, and ends if it is given up.
    pub(crate) is_new: bool,
    stage: Stage,
    /// Instructions since the stage was come to.
    count: u64,
    registers: Registers,
    rsp0: Option<u64>,
    /// What the stage is about to do.
    foretold: Values,
    /// What `check switch` said when CR3 was about to be loaded, and `check iret` at the frame.
    switch: Option<Prediction>,
    iret: Option<Prediction>,
}

/// Instructions after which a stage is not waited for any more.
const MOST_INSTRUCTIONS: u64 = 200_000;

/// Instructions in ring 3 after which its way back is waited for without counting.
const MOST_IN_RING_3: u64 = 20_000;

/// The moments of the kernel that tell stages apart.
const MOMENTS: [Moment; 2] = [Moment::Rsp0, Moment::Frame];

/// Begins: everything is stopped where the registers of whoever runs are about to be saved.
pub(crate) fn begin(context: &mut Context<'_>, pid: Pid, is_new: bool) -> Result<(), Error> {
    let stop = context.stop()?;
    let staging = Staging {
        pid,
        is_new,
        stage: Stage::SaveContext,
        count: 0,
        registers: stop.registers,
        rsp0: None,
        foretold: Values::new(),
        switch: None,
        iret: None,
    };
    show(context, staging, &stop, None)
}

/// Goes on to `to`, or to the next stage.
pub(crate) fn advance(context: &mut Context<'_>, to: Option<Stage>) -> Result<(), Error> {
    loop {
        let reached = walk(context, MOST_INSTRUCTIONS)?.ok_or(Error::Said(
            "no stage after 200,000 instructions; `next` goes on",
        ))?;
        if to.is_none_or(|to| to <= reached) {
            return Ok(());
        }
    }
}

/// Goes on by so many instructions, or to the next stage if that is nearer.
pub(crate) fn step(context: &mut Context<'_>, count: u64) -> Result<(), Error> {
    walk(context, count).map(|_| ())
}

/// Executes so many instructions, or until a later stage is there, which is shown.
fn walk(context: &mut Context<'_>, most: u64) -> Result<Option<Stage>, Error> {
    let staging = context.state.staging.clone().ok_or(Error::Said(
        "nothing is gone through in stages; `spawn PROGRAM --stop-at STAGE` begins",
    ))?;
    if staging.stage == Stage::FirstTrapBack {
        return Err(Error::Said("that was the last stage; `continue` goes on"));
    }
    for moment in MOMENTS {
        context.debugger()?.arm(moment, Some(staging.pid));
    }
    let found = execute(context, staging, most);
    for moment in MOMENTS {
        context.debugger()?.arm(moment, None);
    }
    found
}

fn execute(
    context: &mut Context<'_>,
    mut staging: Staging,
    most: u64,
) -> Result<Option<Stage>, Error> {
    for _ in 0..most {
        context.check_interrupt()?;
        let mut report = None;
        if staging.count == 0 {
            refresh(context, &mut staging)?;
            if staging.stage == Stage::Iretq {
                report = prediction::report(context)?;
            }
        }
        let went = going::step(context)?;
        if went != Went::Stopped {
            return Err(left(context, &staging, report, went));
        }
        let stop = context.stop()?;
        staging.count = staging.count.saturating_add(1);
        if staging.count == 1 && staging.stage.is_one_instruction() {
            telling::observe(context, &staging, &stop.registers, None)?;
        }
        let at = VirtAddr(stop.registers.rip);
        let line = next(context.target, going::root(&stop), at);
        let stage = stage::stage_at(&stop, &line).filter(|stage| *stage > staging.stage);
        if let Some(stage) = stage {
            arrive(context, staging, stage, &stop)?;
            return Ok(Some(stage));
        }
        context.state.staging = Some(staging.clone());
        if !matches!(stop.reason, StopReason::Step | StopReason::Moment { .. }) {
            return Err(Error::Stopped);
        }
        if staging.stage == Stage::FirstUserInstruction && staging.count >= MOST_IN_RING_3 {
            return run_back(context, staging);
        }
    }
    Ok(None)
}

/// A program that does not come back by itself is brought back by an interrupt, which a step holds
/// back: it goes on at its own pace, until the kernel is entered.
fn run_back(context: &mut Context<'_>, staging: Staging) -> Result<Option<Stage>, Error> {
    if !context.out.is_json() {
        let count = Count(staging.count, "instruction");
        writeln!(
            context.out,
            "{count} in ring 3; from here on interrupts come, and nobody counts"
        )?;
    }
    let debugger = context.debugger()?;
    let whose = debugger.armed(Moment::Cpl);
    debugger.arm(Moment::Cpl, Some(staging.pid));
    let went = going::on(context);
    context.debugger()?.arm(Moment::Cpl, whose);
    let went = went?;
    if went != Went::Stopped {
        return Err(left(context, &staging, None, went));
    }
    let stop = context.stop()?;
    if stop.registers.cs & 3 == 3 || stop.pid != staging.pid {
        // A breakpoint was nearer.
        return Err(Error::Stopped);
    }
    let stage = Stage::FirstTrapBack;
    arrive(context, staging, stage, &stop)?;
    Ok(Some(stage))
}

/// Somebody may have changed what the next instruction takes: then it is foretold again.
fn refresh(context: &mut Context<'_>, staging: &mut Staging) -> Result<(), Error> {
    if !staging.stage.is_one_instruction() {
        return Ok(());
    }
    let stop = context.stop()?;
    let foretold = telling::values(context, staging, &stop)?;
    if foretold != staging.foretold {
        if !context.out.is_json() {
            write!(context.out, "changed: ")?;
        }
        show(context, staging.clone(), &stop, None)?;
        *staging = context.state.staging.clone().ok_or(Error::Stopped)?;
    }
    Ok(())
}

/// It was not stopped again: the process may have died of its IRETQ.
fn left(context: &mut Context<'_>, staging: &Staging, report: Option<Report>, went: Went) -> Error {
    context.state.staging = None;
    let said = report.map_or(Ok(()), |report| {
        prediction::left(context, staging.pid, &report)
    });
    match said.and_then(|()| going::finish(context, went)) {
        Ok(()) => Error::Said("the way was left before the next stage"),
        Err(why) => why,
    }
}

/// Shows how a stage was come to, and whether the last one did what was foretold.
fn arrive(
    context: &mut Context<'_>,
    last: Staging,
    stage: Stage,
    stop: &Stop,
) -> Result<(), Error> {
    let registers = stop.registers;
    let rsp0 = telling::rsp0(context);
    if !context.out.is_json() {
        let name = last.stage.name();
        let count = Count(last.count, "instruction");
        writeln!(context.out, "{count} since {name}")?;
    }
    telling::changes(context, &last, &registers, rsp0)?;
    if !last.stage.is_one_instruction() {
        telling::observe(context, &last, &registers, rsp0)?;
    }
    if stage == Stage::FirstUserInstruction {
        for prediction in [&last.switch, &last.iret].into_iter().flatten() {
            prediction.arrived(context, &registers)?;
        }
    }
    let since = Some((last.stage, last.count));
    show(context, Staging { stage, ..last }, stop, since)
}

/// Shows what the stage is about to do, and keeps it.
fn show(
    context: &mut Context<'_>,
    mut staging: Staging,
    stop: &Stop,
    since: Option<(Stage, u64)>,
) -> Result<(), Error> {
    staging.count = 0;
    staging.registers = stop.registers;
    staging.rsp0 = telling::rsp0(context);
    staging.foretold = telling::values(context, &staging, stop)?;
    let about = telling::foretell(context, &staging, stop)?;
    let name = staging.stage.name();
    let out = &mut context.out;
    if out.is_json() {
        out.record(STAGE.name)
            .number("pid", staging.pid)
            .text("stage", name)
            .maybe_text("since", since.map(|(stage, _)| stage.name()))
            .number("instructions", since.map(|(_, count)| count))
            .text("about", about)
            .end()?;
        for (name, value) in &staging.foretold {
            let record = out.record(FORETOLD.name).text("name", name);
            record.hex("value", *value).end()?;
        }
    } else {
        writeln!(out, "stage {name}: {about}")?;
    }
    match staging.stage {
        Stage::LoadCr3 => staging.switch = Prediction::of_switch(context, staging.pid)?,
        Stage::Iretq => staging.iret = Prediction::of_iret(context)?,
        _ => {}
    }
    telling::stack(context, stop)?;
    context.state.staging = Some(staging);
    Ok(())
}
