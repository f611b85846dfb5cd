//! `history`: the lines typed before.

use core::fmt::Write;

use crate::Error;
use crate::command::{Args, Command, Context, Group};

pub(super) const COMMAND: Command = Command {
    name: "history",
    group: Group::Session,
    usage: "",
    summary: "show the lines typed before",
    help: "Shows the last lines, up to 64, the newest last. Up and Down bring them back for editing; Ctrl-R brings back the last one that contains what has been typed, and the one before it when pressed again.",
    examples: &[("history", "what was that address?")],
    rows: &[],
    args: &[],
    run,
};

fn run(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    args.done()?;
    for (number, line) in context.history.iter() {
        writeln!(context.out, "{number:>4} {line}")?;
    }
    Ok(())
}
