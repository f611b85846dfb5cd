//! `clear`: an empty screen.

use crate::Error;
use crate::command::{Args, Command, Context, Group};

pub(super) const COMMAND: Command = Command {
    name: "clear",
    group: Group::Session,
    usage: "",
    summary: "clear the screen",
    help: "Ctrl-L does the same and keeps the line that is being typed.",
    examples: &[("clear", "start at the top")],
    rows: &[],
    args: &[],
    run,
};

fn run(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    args.done()?;
    context.out.control("\x1b[H\x1b[J");
    Ok(())
}
