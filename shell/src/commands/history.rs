//! `history`: the lines typed before.

use core::fmt::Write;

use crate::Error;
use crate::command::{Args, Command, Context, Group};
use crate::record::{Row, number, text};

pub(super) const COMMAND: Command = Command {
    name: "history",
    group: Group::Session,
    usage: "",
    summary: "show the lines typed before",
    help: "Shows the last lines, up to 64, the newest last. Up and Down bring them back for editing; Ctrl-R brings back the last one that contains what has been typed, and the one before it when pressed again.",
    examples: &[("history", "what was that address?")],
    rows: &[Row {
        name: "line",
        about: "a line, the newest last",
        fields: &[
            number("number", "its number"),
            text("text", "the line as it was typed"),
        ],
    }],
    args: &[],
    run,
};

fn run(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    args.done()?;
    let out = &mut context.out;
    for (number, line) in context.history.iter() {
        match out.is_json() {
            true => out
                .record("line")
                .number("number", number)
                .text("text", line)
                .end()?,
            false => writeln!(out, "{number:>4} {line}")?,
        }
    }
    Ok(())
}
