//! `echo`: print words, to mark a place in a script's output.

use core::fmt::{self, Write};

use crate::Error;
use crate::command::{ArgKind, Args, Command, Context, Group};
use crate::grammar::word::Word;
use crate::record::{Row, text};

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
    rows: &[Row {
        name: "echo",
        about: "the words",
        fields: &[text("text", "all of them, a blank between two")],
    }],
    args: &[ArgKind::Any],
    run,
};

fn run(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let words = Words(args.rest());
    let out = &mut context.out;
    match out.is_json() {
        true => out.record("echo").text("text", words).end()?,
        false => writeln!(out, "{words}")?,
    }
    Ok(())
}

/// Words as they are printed: without their quotes, and with one blank between two.
struct Words<'a>(&'a str);

impl fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut rest, mut gap) = (self.0, "");
        while let Some((word, after)) = Word::first(rest) {
            write!(f, "{gap}{word}")?;
            (rest, gap) = (after, " ");
        }
        Ok(())
    }
}
