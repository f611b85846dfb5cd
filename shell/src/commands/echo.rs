//! `echo`: print words, to mark a place in a script's output.

use core::fmt::Write;

use crate::Error;
use crate::command::{ArgKind, Args, Command, Context, Group};

pub(super) const COMMAND: Command = Command {
    name: "echo",
    group: Group::Scripting,
    usage: "[word...]",
    summary: "print words",
    help: "Prints its arguments with one blank between them. Quotes keep blanks, `;` and `#` together, and are not printed.",
    examples: &[
        ("echo before; walk $rip", "mark a place in the output"),
        ("echo 'a;  b'", "print `a;  b`"),
    ],
    rows: &[],
    args: &[ArgKind::Any],
    run,
};

fn run(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let mut gap = "";
    while let Some(word) = args.word() {
        write!(context.out, "{gap}{word}")?;
        gap = " ";
    }
    writeln!(context.out)?;
    Ok(())
}
