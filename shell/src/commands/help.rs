//! `help`: what there is to type, and how.

use core::fmt::{self, Write};

use super::{COMMANDS, find};
use crate::Error;
use crate::command::{ArgKind, Args, Command, Context, Group};
use crate::output::Output;
use crate::pipe;
use crate::record::{Row, text};

pub(super) const COMMAND: Command = Command {
    name: "help",
    group: Group::Session,
    usage: "[command | pipes]",
    summary: "list the commands, or explain one",
    help: "Alone, lists the commands by group. With a name, shows how that command is used and examples of it; `NAME --help` does the same. A name may be shortened as long as it stays the only one, here and everywhere.",
    examples: &[
        ("help", "what there is"),
        ("help walk", "how to use `walk`"),
        ("help pipes", "what stands behind a `|`"),
    ],
    rows: &[
        Row {
            name: "command",
            about: "one command of the list",
            fields: &[
                text("name", "its name"),
                text("group", "what it is about"),
                text("usage", "its arguments"),
                text("summary", "what it does"),
            ],
        },
        Row {
            name: "help",
            about: "the one that is explained",
            fields: &[
                text("name", "its name"),
                text("usage", "how it is typed"),
                text("summary", "what it does"),
                text("text", "the explanation; paragraphs are lines"),
            ],
        },
        Row {
            name: "filter",
            about: "a filter of a pipe",
            fields: &[
                text("name", "its name"),
                text("usage", "its arguments"),
                text("summary", "what it leaves"),
            ],
        },
        Row {
            name: "example",
            about: "something to type",
            fields: &[text("line", "the line"), text("why", "why one would")],
        },
    ],
    args: &[ArgKind::Command],
    run,
};

fn run(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let Some(word) = args.word() else {
        return Ok(list(&mut context.out)?);
    };
    args.done()?;
    if word.text()? == PIPES {
        return Ok(pipes(&mut context.out)?);
    }
    Ok(describe(find(word.text()?)?, &mut context.out)?)
}

fn list(out: &mut Output<'_>) -> fmt::Result {
    if out.is_json() {
        return COMMANDS.iter().try_for_each(|command| {
            out.record("command")
                .text("name", command.name)
                .text("group", command.group.title())
                .text("usage", command.usage)
                .text("summary", command.summary)
                .end()
        });
    }
    for group in Group::ALL {
        writeln!(out, "{}", group.title())?;
        for command in COMMANDS.iter().filter(|command| command.group == group) {
            writeln!(out, "  {:<11} {}", command.name, command.summary)?;
        }
    }
    writeln!(
        out,
        "`help NAME` explains one, `help pipes` what `|` does; Tab completes"
    )
}

/// What is explained and is no command.
const PIPES: &str = "pipes";
const PIPES_USAGE: &str = "<command> | <filter> [| <filter>...]";
const PIPES_SUMMARY: &str = "output through filters";

/// Explains the filters.
fn pipes(out: &mut Output<'_>) -> fmt::Result {
    if out.is_json() {
        out.record("help")
            .text("name", PIPES)
            .text("usage", PIPES_USAGE)
            .text("summary", PIPES_SUMMARY)
            .text("text", pipe::HELP)
            .end()?;
        for filter in &pipe::FILTERS {
            out.record("filter")
                .text("name", filter.name)
                .text("usage", filter.usage)
                .text("summary", filter.summary)
                .end()?;
        }
        return examples(&pipe::EXAMPLES, out);
    }
    writeln!(out, "{PIPES}: {PIPES_SUMMARY}")?;
    writeln!(out, "usage: {PIPES_USAGE}")?;
    for paragraph in pipe::HELP.lines() {
        wrap(paragraph, out)?;
    }
    for filter in &pipe::FILTERS {
        writeln!(out, "  {:<25} {}", filter.synopsis(), filter.summary)?;
    }
    examples(&pipe::EXAMPLES, out)
}

/// Explains one command.
pub(crate) fn describe(command: &Command, out: &mut Output<'_>) -> fmt::Result {
    let Command {
        name,
        summary,
        help,
        ..
    } = command;
    if out.is_json() {
        out.record("help")
            .text("name", name)
            .text("usage", command.synopsis())
            .text("summary", summary)
            .text("text", help)
            .end()?;
        return examples(command.examples, out);
    }
    writeln!(out, "{name}: {summary}")?;
    writeln!(out, "usage: {}", command.synopsis())?;
    for paragraph in help.lines() {
        wrap(paragraph, out)?;
    }
    examples(command.examples, out)
}

fn examples(examples: &[(&str, &str)], out: &mut Output<'_>) -> fmt::Result {
    for (line, why) in examples {
        if out.is_json() {
            out.record("example")
                .text("line", line)
                .text("why", why)
                .end()?;
            continue;
        }
        writeln!(out, "  {line:<34} # {why}")?;
    }
    Ok(())
}

/// Writes a paragraph in lines of at most 78 columns, so that nothing is broken mid-word.
fn wrap(paragraph: &str, out: &mut dyn Write) -> fmt::Result {
    let mut column = 0;
    for word in paragraph.split_whitespace() {
        let width = word.chars().count();
        if column > 0 && column + 1 + width > 78 {
            writeln!(out)?;
            column = 0;
        }
        if column > 0 {
            write!(out, " ")?;
            column += 1;
        }
        write!(out, "{word}")?;
        column += width;
    }
    writeln!(out)
}
