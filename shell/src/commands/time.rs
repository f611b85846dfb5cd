//! `time`: how long a command takes.

use core::fmt::Write;

use crate::Error;
use crate::command::{ArgKind, Args, Command, Context, Group};
use crate::record::{Row, number};
use crate::run::run_nested;

pub(super) const COMMAND: Command = Command {
    name: "time",
    group: Group::Scripting,
    usage: "<command>",
    summary: "run a command and say how long it took",
    help: "Shows cycles of the time-stamp counter, and milliseconds where the target knows them. The time to print, and to wait at the end of a page, is part of it. `$_` becomes the cycles. Quotes around the command let it hold several, separated by `;`.",
    examples: &[
        ("time map", "the cost of reading all tables"),
        ("time repeat 1000 walk $rip", "and of a thousand walks"),
    ],
    rows: &[Row {
        name: "time",
        about: "how long it took",
        fields: &[
            number("cycles", "of the time-stamp counter"),
            number("nanoseconds", "where the target knows them").or_null(),
        ],
    }],
    args: &[ArgKind::Line],
    run,
};

fn run(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let line = line(args)?;
    let start = now(context)?;
    let result = run_nested(context, line);
    let end = now(context)?;
    // What was interrupted has no time worth showing.
    if !matches!(result, Ok(()) | Err(Error::Reported)) {
        return result;
    }
    let cycles = end.0.wrapping_sub(start.0);
    context.state.value = cycles;
    let spans = start.1.zip(end.1);
    if context.out.is_json() {
        context
            .out
            .record("time")
            .number("cycles", cycles)
            .number(
                "nanoseconds",
                spans.map(|(start, end)| end.saturating_sub(start)),
            )
            .end()?;
        return result;
    }
    write!(context.out, "{cycles} cycles")?;
    if let Some((start, end)) = spans {
        let microseconds = end.saturating_sub(start) / 1000;
        let (whole, rest) = (microseconds / 1000, microseconds % 1000);
        write!(context.out, ", {whole}.{rest:03} ms")?;
    }
    writeln!(context.out)?;
    result
}

fn now(context: &mut Context<'_>) -> Result<(u64, Option<u64>), Error> {
    let clock = context.target.clock().ok_or(Error::Lacks("clock"))?;
    Ok((clock.cycles(), clock.nanoseconds()))
}

/// The rest of the arguments as a line to run: what is in the quotes, if all of it is.
pub(super) fn line<'a>(args: &mut Args<'a>) -> Result<&'a str, Error> {
    match super::eval::unquoted(args.rest()) {
        "" => Err(Error::Missing("command")),
        line => Ok(line),
    }
}
