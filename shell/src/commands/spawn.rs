//! `spawn`: start a program, and stay with it or not.

use core::fmt::Write;

use heapless::Vec;

use super::stages;
use crate::command::{ArgKind, Args, Command, Context, Group};
use crate::error::excerpt;
use crate::foreground::{OUTPUT, attend};
use crate::grammar::word::Word;
use crate::process::{Named, info, status_word};
use crate::record::{Row, number, text};
use crate::staging::{CHANGE, FORETOLD, HELD, OBSERVED, PREDICTION, STAGE, WORD};
use crate::stop::{self, STOP, Unfinished};
use crate::{Error, Exit, Pid, ProcessError, way};

pub(super) const COMMAND: Command = Command {
    name: "spawn",
    group: Group::Processes,
    usage: "[--force] <program> [argument...] [& | --stop-at STAGE]",
    summary: "start a program",
    help: "Starts a program in a process of its own, with these arguments, and shows what it writes as it comes, control characters as `\\xNN`. Keys are for it while it reads, a line at a time; Ctrl-D ends its input, and Ctrl-C kills it. If it does not exit with code 0, the command says how it ended, and fails. `$_` becomes its status: the exit code, or 0x100 if it was killed, or 0x200 and the vector of its fault.\nWith `&` at the end, says its pid (which `$_` becomes) and goes on at once. The process runs whenever the shell waits. The lines it has finished are shown before the next prompt, each with its pid and at most 20 of them; `wait` shows all that it has written.\nWhat `check switch` looks at is looked at first, whole regions aside: a process whose space lacks something is not started, and the reason is said, unless `--force` stands before the program.\nWith `--stop-at STAGE` at the end, everything stops on its way into ring 3; `help switch` lists the stages.",
    examples: &[
        ("spawn hello", "the way into ring 3 and back"),
        ("spawn echo 'one word' two", "arguments"),
        (
            "spawn counter &; map $_",
            "start it, and look at its tables",
        ),
    ],
    rows: &[
        OUTPUT,
        Row {
            name: "process",
            about: "what was started, with &",
            fields: &[
                number("pid", "its pid"),
                text("name", "the name of its program"),
            ],
        },
        STAGE,
        FORETOLD,
        PREDICTION,
        WORD,
        OBSERVED,
        CHANGE,
        HELD,
        STOP,
    ],
    args: &[ArgKind::Program, ArgKind::Any],
    run,
};

/// As many arguments as can be given.
const MOST: usize = 32;

fn run(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let force = args.peek() == Some(Word("--force"));
    if force {
        args.word();
    }
    let program = args.word().ok_or(Error::Missing("program"))?;
    let mut words = Vec::<&str, MOST>::new();
    let mut in_background = false;
    let mut stage = None;
    while let Some(word) = args.word() {
        if word == Word("--stop-at") {
            stage = Some(stages::stage(args)?);
            args.done()?;
        } else if word == Word("&") {
            in_background = true;
            args.done()?;
        } else if words.push(word.text()?).is_err() {
            return Err(Error::Said("a program takes at most 32 arguments"));
        }
    }
    let pid = start(context, program, &words)?;
    if !force && let Err(why) = way::clear(context, pid) {
        forget(context, pid)?;
        return Err(why);
    }
    if let Some(stage) = stage {
        return stages::stop_at(context, pid, true, stage, |context| stay(context, pid));
    }
    match in_background {
        true => {
            context.state.value = pid.into();
            let who = Named::of(&info(context.target, pid)?);
            let out = &mut context.out;
            match out.is_json() {
                true => out
                    .record("process")
                    .number("pid", pid)
                    .text("name", &who.name)
                    .end()?,
                false => writeln!(out, "{who}")?,
            }
            Ok(())
        }
        false => stay(context, pid),
    }
}

/// Takes back a process that has not run: nothing of it stays.
pub(super) fn forget(context: &mut Context<'_>, pid: Pid) -> Result<(), Error> {
    let processes = context.processes()?;
    let _ = processes.kill(pid);
    let _ = processes.reap(pid);
    Ok(())
}

/// Starts a program; says what a program is if there is none of this name.
pub(crate) fn start(
    context: &mut Context<'_>,
    program: Word<'_>,
    arguments: &[&str],
) -> Result<Pid, Error> {
    let was_stopped = stop::is_stopped(context.target);
    let spawned = context.processes()?.spawn(program.text()?, arguments);
    spawned.map_err(|why| match why {
        // In the middle of it: who it is comes out when that goes on.
        ProcessError::Stopped if !was_stopped => {
            context.state.unfinished = Unfinished::Spawn;
            Error::Stopped
        }
        ProcessError::NoSuchProgram => Error::Unknown(
            excerpt(program.text().unwrap_or(program.0)),
            "a program; `programs` lists them",
        ),
        why => Error::Process(why),
    })
}

/// Stays with a process in the foreground until it ends, and fails if it ends badly.
pub(crate) fn stay(context: &mut Context<'_>, pid: Pid) -> Result<(), Error> {
    let attended = attend(context, pid);
    if attended == Err(Error::Stopped) {
        context.state.unfinished = Unfinished::Program(pid);
        return Err(Error::Stopped);
    }
    let processes = context.processes()?;
    if attended.is_err() {
        // It may have died at the very moment of the Ctrl-C.
        let _ = processes.kill(pid);
    }
    // Whoever typed this has seen how it ended, or did not care to wait.
    let reaped = processes.reap(pid);
    let (who, exit) = attended?;
    reaped.map_err(Error::Process)?;
    context.state.value = status_word(exit);
    match exit {
        Exit::Code(0) => Ok(()),
        exit => Err(Error::Ended(who, exit)),
    }
}
