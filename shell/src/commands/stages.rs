//! `switch`, `next`, `step` and `abort`: the way into ring 3, stage by stage.

use core::fmt::{self, Write};

use super::wait::{self, EXIT};
use crate::Error;
use crate::command::{ArgKind, Args, Command, Context, Group};
use crate::error::excerpt;
use crate::foreground::OUTPUT;
use crate::going;
use crate::grammar::word::Word;
use crate::output::Output;
use crate::process::{Named, alive, processes};
use crate::record::{Row, number, text};
use crate::staging::{self, CHANGE, FORETOLD, HELD, OBSERVED, PREDICTION, STAGE, Stage, WORD};
use crate::stop::{STOP, Unfinished};
use crate::{Moment, Pid, ProcessState, Went};

pub(super) const SWITCH: Command = Command {
    name: "switch",
    group: Group::Stops,
    usage: "<pid> [--step | --stop-at STAGE]",
    summary: "give a process the next turn, stage by stage",
    help: "Switches to a process that waits for the processor. With `--step` everything stops where the switch begins; `next` goes on to the next stage, `step` by one instruction. The stages are SaveContext, LoadCr3, SetRsp0, SwitchStack, BuildIretFrame, Iretq, FirstUserInstruction, FirstTrapBack. At each one it says how many instructions it took, what changed, whether the last stage did what had been foretold, and what is about to happen; before CR3 is loaded also what `check switch` says, and before IRETQ what `check iret` says.",
    examples: &[(
        "spawn spinner &; switch $_ --step",
        "how does it get back into ring 3?",
    )],
    args: &[
        ArgKind::Process,
        ArgKind::Words(&["--step", "--stop-at"]),
        ArgKind::Words(Stage::NAMES),
    ],
    rows: &[
        STAGE, FORETOLD, PREDICTION, WORD, OBSERVED, CHANGE, HELD, STOP,
    ],
    run: run_switch,
};

/// What goes on to a stage may also come to the end of the process.
const NEXT_ROWS: &[Row] = &[
    OBSERVED, CHANGE, HELD, STAGE, FORETOLD, PREDICTION, WORD, STOP, OUTPUT, EXIT,
];

pub(super) const NEXT: Command = Command {
    name: "next",
    group: Group::Stops,
    usage: "[stage]",
    summary: "go on to the next stage of a switch",
    help: "Goes on, instruction by instruction, to the next stage of what `spawn --stop-at` or `switch --step` began, or to the one that is named.",
    examples: &[("next", "one stage"), ("next Iretq", "up to IRETQ")],
    args: &[ArgKind::Words(Stage::NAMES)],
    rows: NEXT_ROWS,
    run: run_next,
};

pub(super) const STEP: Command = Command {
    name: "step",
    group: Group::Stops,
    usage: "[count]",
    summary: "execute one instruction of a switch, or so many",
    help: "As `si`, on the way that `spawn --stop-at` or `switch --step` began: where an instruction leads to the next stage, that is shown as `next` shows it.",
    examples: &[
        ("step", "one instruction"),
        ("step 10", "at most ten, and not past a stage"),
    ],
    args: &[],
    rows: NEXT_ROWS,
    run: run_step,
};

pub(super) const ABORT: Command = Command {
    name: "abort",
    group: Group::Stops,
    usage: "",
    summary: "give up what is stopped",
    help: "Everything goes on, but the process that the stop is about does not: one that `spawn` started ends, one that `switch` gave a turn waits for another. What the kernel was doing is finished first, so nothing of it is left behind.",
    examples: &[("abort", "enough of it")],
    args: &[],
    rows: &[
        EXIT,
        OUTPUT,
        STOP,
        Row {
            name: "process",
            about: "a process that did not end",
            fields: &[
                number("pid", "its pid"),
                text("name", "the name of its program"),
                text("state", "its state, as in `ps`"),
            ],
        },
    ],
    run: run_abort,
};

/// What follows `--stop-at`.
pub(super) fn stage(args: &mut Args<'_>) -> Result<Stage, Error> {
    let word = args.word().ok_or(Error::Missing("stage"))?;
    Stage::from_name(word.text()?).ok_or(Error::Unknown(
        excerpt(word.0),
        "a stage; `help switch` lists them",
    ))
}

/// Stops where the switch to a process begins; `go` makes it happen.
pub(super) fn stop_at(
    context: &mut Context<'_>,
    pid: Pid,
    is_new: bool,
    stage: Stage,
    go: impl FnOnce(&mut Context<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    context.debugger()?.arm(Moment::Save, Some(pid));
    let went = go(context);
    context.debugger()?.arm(Moment::Save, None);
    match went {
        Err(Error::Stopped) => {}
        other => return other,
    }
    staging::begin(context, pid, is_new)?;
    if stage > Stage::SaveContext {
        staging::advance(context, Some(stage))?;
    }
    Ok(())
}

fn run_switch(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let pid = args.pid(context)?;
    let to = match args.word() {
        None => None,
        Some(Word("--step")) => Some(Stage::SaveContext),
        Some(Word("--stop-at")) => Some(stage(args)?),
        Some(other) => return Err(Error::Unexpected(excerpt(other.0))),
    };
    args.done()?;
    let info = alive(context.target, pid)?;
    if info.state != ProcessState::Ready {
        return Err(Error::Said(
            "the process does not wait for the processor; `ps` says for what",
        ));
    }
    let turn = |context: &mut Context<'_>| match context.debugger()?.turn(pid)? {
        Went::Stopped => Err(Error::Stopped),
        _ => Ok(()),
    };
    match to {
        Some(stage) => stop_at(context, pid, false, stage, turn),
        None => turn(context),
    }
}

fn run_next(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let to = match args.peek() {
        Some(_) => Some(stage(args)?),
        None => None,
    };
    args.done()?;
    context.stop()?;
    staging::advance(context, to)
}

fn run_step(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let count = match args.peek() {
        Some(_) => args.number(context, "count")?,
        None => 1,
    };
    args.done()?;
    context.stop()?;
    staging::step(context, count)
}

fn run_abort(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    args.done()?;
    let stop = context.stop()?;
    let staging = context.state.staging.take();
    let unfinished = core::mem::replace(&mut context.state.unfinished, Unfinished::Nothing);
    let (pid, ends) = match (staging, unfinished) {
        (Some(staging), _) => (staging.pid, staging.is_new),
        (None, Unfinished::Program(pid)) => (pid, true),
        (None, _) => (stop.pid, false),
    };
    let mut went = context.debugger()?.abort(pid, ends)?;
    // Breakpoints are no reason to stay.
    while went == Went::Stopped {
        context.check_interrupt()?;
        went = context.debugger()?.abort(pid, ends)?;
    }
    let Some(info) = processes(context.target)?.info(pid) else {
        return Ok(());
    };
    let who = Named::of(&info);
    match (info.state.exit(), unfinished) {
        (Some(exit), Unfinished::Program(_)) => {
            processes(context.target)?
                .reap(pid)
                .map_err(Error::Process)?;
            wait::show(context, &who, exit)?;
        }
        (Some(exit), _) => wait::show(context, &who, exit)?,
        (None, Unfinished::Program(_)) => {
            going::finish(context, Went::Through)?;
        }
        (None, _) => state(&mut context.out, &who, info.state)?,
    }
    Ok(())
}

fn state(out: &mut Output<'_>, who: &Named, state: ProcessState) -> fmt::Result {
    match out.is_json() {
        true => out
            .record("process")
            .number("pid", who.pid)
            .text("name", &who.name)
            .text("state", state.name())
            .end(),
        false => writeln!(out, "{who} is {}", state.name()),
    }
}
