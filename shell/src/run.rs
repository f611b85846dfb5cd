//! Running: a line's commands one after the other, each found by name.

use core::fmt;

use crate::command::{Args, Command, Context};
use crate::commands;
use crate::error::excerpt;
use crate::grammar::line::{check, first_command};
use crate::grammar::pipe::split;
use crate::grammar::word::Word;
use crate::output::Ended;
use crate::pipe;
use crate::process::{ExitPlace, exit_place};
use crate::stop;
use crate::{Error, Status};

/// How many commands may wait for each other (`repeat 2 time repeat 2 ...`). Each of them
/// takes room on the stack.
const DEEPEST: u8 = 4;

/// Runs the commands of a line. One that fails does not keep the next from running, but
/// Ctrl-C ends them all. The status is the worst of theirs.
pub(crate) fn run_line(context: &mut Context<'_>, line: &str) -> Status {
    if let Err(error) = check(line) {
        context.out.error(&error);
        context.state.status = Status::Failed;
        return Status::Failed;
    }
    let mut worst = Status::Ok;
    let mut rest = Some(line);
    while let Some(line) = rest {
        let (command, next) = first_command(line);
        rest = next;
        if command.is_empty() {
            continue;
        }
        let status = run_one(context, command);
        context.state.status = status;
        worst = worst.max(status);
        if status == Status::Interrupted {
            break;
        }
        context.out.next_command();
    }
    worst
}

/// Runs one command that was typed, and what is set for what happened meanwhile.
fn run_one(context: &mut Context<'_>, text: &str) -> Status {
    let status = run_typed(context, text);
    context.see_to_reactions();
    status
}

/// Runs one command that was typed, and shows how it failed.
fn run_typed(context: &mut Context<'_>, text: &str) -> Status {
    let inherited = context.out.is_json();
    let result = dispatch(context, text);
    context.out.finish_line();
    // In the form that was asked for, and past all filters.
    stop::report(context.target, &mut context.out, context.state, "");
    context.out.set_json(inherited);
    // Whoever was stopped has not failed: what it was about goes on with `continue`.
    let error = match result {
        Ok(()) | Err(Error::Stopped) => return Status::Ok,
        Err(error) => error,
    };
    let interrupted = context.out.interrupted();
    match (&error, context.out.ended()) {
        // The reader has seen enough, and said so.
        (Error::Output, Some(Ended::Left)) => Status::Ok,
        (Error::Reported, _) if !interrupted => Status::Failed,
        (Error::Interrupted | Error::InterruptedRound(_) | Error::Output, _) => {
            show(context, &error);
            Status::Interrupted
        }
        (Error::Reported, _) => {
            show(context, &Error::Interrupted);
            Status::Interrupted
        }
        _ => {
            show(context, &error);
            Status::Failed
        }
    }
}

/// Runs a line inside a command (`repeat`, `time`). What fails in it is shown with its own
/// name; that it failed is then [`Error::Reported`].
pub(crate) fn run_nested(context: &mut Context<'_>, line: &str) -> Result<(), Error> {
    if context.depth >= DEEPEST {
        return Err(Error::TooDeep);
    }
    check(line)?;
    context.depth += 1;
    let result = run_nested_line(context, line);
    context.depth -= 1;
    result
}

fn run_nested_line(context: &mut Context<'_>, line: &str) -> Result<(), Error> {
    let mut result = Ok(());
    let mut rest = Some(line);
    while let Some(line) = rest {
        let (command, next) = first_command(line);
        rest = next;
        if command.is_empty() {
            continue;
        }
        let inherited = context.out.is_json();
        let ended = dispatch(context, command);
        context.out.set_json(inherited);
        match ended {
            Ok(()) => {
                context.out.finish_line();
                context.state.status = Status::Ok;
            }
            Err(
                error @ (Error::Output
                | Error::Interrupted
                | Error::InterruptedRound(_)
                | Error::Stopped),
            ) => {
                return Err(error);
            }
            Err(error) => {
                if error != Error::Reported {
                    show(context, &error);
                }
                context.state.status = Status::Failed;
                result = Err(Error::Reported);
            }
        }
    }
    result
}

/// Runs one command, with the filters behind it. Who failed, if anybody did, is then in
/// [`Context::blamed`]; whether records were asked for, in the output.
fn dispatch(context: &mut Context<'_>, text: &str) -> Result<(), Error> {
    let (text, filters) = split(text);
    let name = name_of(text);
    context.blamed = name;
    let (command, mut args) = parse(text)?;
    let json = context.out.is_json() || args.take_json();
    let pipe = match filters {
        Some(filters) => Some(pipe::open(context, filters, json)?),
        None => None,
    };
    context.out.set_json(json);
    let result = match args.peek() {
        Some(Word("--help")) => {
            commands::help::describe(command, &mut context.out).map_err(Error::from)
        }
        _ => (command.run)(context, &mut args),
    };
    // Commands inside it have left their names there.
    context.blamed = name;
    match pipe {
        Some(pipe) => pipe.close(context, result),
        None => result,
    }
}

fn parse(text: &str) -> Result<(&'static Command, Args<'_>), Error> {
    let (name, rest) = Word::first(text).ok_or(Error::Missing("command"))?;
    let name = name.text()?;
    let (name, suffix) = match name.split_once('/') {
        Some((name, suffix)) => (name, Some(suffix)),
        None => (name, None),
    };
    let command = commands::find(name)?;
    if suffix.is_some() && !command.usage.starts_with("[/") {
        return Err(Error::Unknown(excerpt(text), "a command"));
    }
    Ok((command, Args::new(rest, suffix)))
}

/// The full name of the command a text begins with; of an unknown one, nothing.
fn name_of(text: &str) -> Option<&'static str> {
    let (word, _) = Word::first(text)?;
    let name = word.text().ok()?.split('/').next()?;
    let command: Option<&Command> = commands::find(name).ok();
    command.map(|command| command.name)
}

/// Shows an error behind the name of the command or filter in which it happened. Where a process faulted
/// has a name there.
pub(crate) fn show(context: &mut Context<'_>, error: &Error) {
    let name = context.blamed;
    let place = match error {
        Error::Ended(who, exit) | Error::NotAsForetold(who, exit) => {
            exit_place(context.target, &who.name, *exit)
        }
        _ => None,
    };
    context.out.error(&Named { name, error, place });
}

struct Named<'a> {
    name: Option<&'static str>,
    error: &'a Error,
    place: Option<ExitPlace<'a>>,
}

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = self.name {
            write!(f, "{name}: ")?;
        }
        write!(f, "{}", self.error)?;
        match &self.place {
            Some(place) => write!(f, ", in {place}"),
            None => Ok(()),
        }
    }
}
