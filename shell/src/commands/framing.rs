//! `framing`: output for programs to read.

use crate::Error;
use crate::command::{ArgKind, Args, Command, Context, Group};
use crate::error::excerpt;

pub(super) const COMMAND: Command = Command {
    name: "framing",
    group: Group::Session,
    usage: "on|off",
    summary: "mark output for a program at the other end of the line",
    help: "From the next line on, the serial line carries neither prompt nor echo. Each line received is answered by `@begin SEQ LINE`, the output with `|` before each line, errors with `!`, and `@end SEQ lines=N crc=XXXXXXXX status=ok|failed|interrupted`. The CRC-32 covers the marked lines with their markers, each ending in one line feed. `framing on` is answered by `@framed VERSION build=ID` once its own line is done. The screen shows everything as ever.",
    examples: &[
        ("framing on", "what a script sends first"),
        ("framing off", "back to the prompt"),
    ],
    rows: &[],
    args: &[ArgKind::Words(&["off", "on"])],
    run,
};

fn run(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let word = args.word().ok_or(Error::Missing("of on and off"))?;
    args.done()?;
    context.state.framing = match word.text()? {
        "on" => Some(true),
        "off" => Some(false),
        _ => return Err(Error::Unknown(excerpt(word.0), "on or off")),
    };
    Ok(())
}
