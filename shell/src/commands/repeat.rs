//! `repeat`: the same line again and again, until it fails. For what goes wrong seldom.

use core::fmt::Write;

use super::time::line;
use crate::Error;
use crate::command::{ArgKind, Args, Command, Context, Group};
use crate::record::{Row, number};
use crate::render::Count;
use crate::run::run_nested;

pub(super) const COMMAND: Command = Command {
    name: "repeat",
    group: Group::Scripting,
    usage: "<count> <command>",
    summary: "run a command many times, until it fails",
    help: "Stops at the first round that fails, or at Ctrl-C, and says which round it was. Quotes around the command let it hold several, separated by `;`.",
    examples: &[
        ("repeat 1000 assert $cr4.smap == 1", "is it ever off?"),
        ("repeat 3 'frames; echo'", "several commands a round"),
    ],
    rows: &[Row {
        name: "summary",
        about: "after the last round",
        fields: &[number("rounds", "how many there were")],
    }],
    args: &[ArgKind::Any, ArgKind::Line],
    run,
};

fn run(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let rounds = args.number(context, "count")?;
    let line = line(args)?;
    for round in 1..=rounds {
        if context.out.interrupted() {
            return Err(Error::InterruptedRound(round));
        }
        match run_nested(context, line) {
            Ok(()) => {}
            Err(Error::Reported) => return Err(Error::Round(round, rounds)),
            Err(Error::Interrupted) => return Err(Error::InterruptedRound(round)),
            Err(Error::Output) if context.out.interrupted() => {
                return Err(Error::InterruptedRound(round));
            }
            Err(error) => return Err(error),
        }
    }
    let out = &mut context.out;
    match out.is_json() {
        true => out.record("summary").number("rounds", rounds).end()?,
        false => writeln!(out, "{} succeeded", Count(rounds, "round"))?,
    }
    Ok(())
}
