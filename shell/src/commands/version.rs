//! `version`: what this is, and which build of it.

use core::fmt::{self, Write};

use crate::Error;
use crate::command::{Args, Command, Context, Group};
use crate::lines::Lines;
use crate::output::Output;
use crate::record::{Row, flag, text};

pub(super) const COMMAND: Command = Command {
    name: "version",
    group: Group::Session,
    usage: "",
    summary: "show what is running, and which build of it",
    help: "Shows what the target says about itself: its build id, which the host's tools compare with the file they have symbols from, the firmware, memory, the processor and its protections, the consoles, and the time since boot.",
    examples: &[("version", "what is this?")],
    rows: &[
        Row {
            name: "version",
            about: "what this is",
            fields: &[
                text("target", "the target's name"),
                text("build", "what identifies the build to the host's tools"),
            ],
        },
        Row {
            name: "line",
            about: "a line of what the target says of itself",
            fields: &[
                text("text", "the line, in pieces of 512 bytes at most"),
                flag("ends", "whether it ends with this piece"),
            ],
        },
    ],
    args: &[],
    run,
};

fn run(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    args.done()?;
    let Context { target, out, .. } = context;
    if !out.is_json() {
        return Ok(target.identity(out)?);
    }
    out.record("version")
        .text("target", target.name())
        .text("build", target.build_id())
        .end()?;
    let mut records = Records {
        out,
        lines: Lines::default(),
    };
    target.identity(&mut records)?;
    let Records { out, mut lines } = records;
    Ok(lines.finish(&mut |text, ends| line(out, text, ends))?)
}

/// Writes a record for each line.
struct Records<'o, 'a> {
    out: &'o mut Output<'a>,
    lines: Lines,
}

impl Write for Records<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let Records { out, lines } = self;
        lines.write(text, &mut |text, ends| line(out, text, ends))
    }
}

fn line(out: &mut Output<'_>, text: &str, ends: bool) -> fmt::Result {
    out.record("line")
        .text("text", text)
        .flag("ends", ends)
        .end()
}
