//! `line`: the code of a source line.
//!
//! Type this to see where a breakpoint for a line would have to be. A line that was inlined is in
//! several places, and one that the compiler moved apart is in pieces.

use core::fmt::Write;
use core::ops::ControlFlow;

use machine::VirtAddr;

use crate::command::{ArgKind, Args, Command, Context, Group};
use crate::error::excerpt;
use crate::grammar::expression::literal;
use crate::names::{LONGEST, kernel, program};
use crate::output::Output;
use crate::record::{Row, hex, number, text};
use crate::{Error, Image};

pub(super) const COMMAND: Command = Command {
    name: "line",
    group: Group::Memory,
    usage: "<file>:<line>",
    summary: "find the code of a source line",
    help: "Shows each piece of code that a line became: where it begins, how many bytes it has, and in which function it is, by address. Code that was inlined there belongs to the line, too. The file is a path or the end of one, as much as is needed to tell it from others: `boot.rs`, `frames/mod.rs`. Of a line without code, the next one that has some is named. Lines are the kernel's, or those of the process in question: `in 3 line hello.rs:9`. `$_` becomes the address of the first piece.",
    examples: &[("line boot.rs:120", "where would I stop for it?")],
    rows: &[
        Row {
            name: "piece",
            about: "a piece of code of the line",
            fields: &[
                hex("address", "where it begins"),
                number("bytes", "its size"),
                text("place", "which function it is in, and how far").or_null(),
            ],
        },
        Row {
            name: "file",
            about: "a file whose path ends so, if there are several",
            fields: &[text("path", "its path")],
        },
    ],
    args: &[ArgKind::Any],
    run,
};

fn run(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let word = args.word().ok_or(Error::Missing("line"))?;
    let text = word.text()?;
    args.done()?;
    let unreadable = || Error::Unknown(excerpt(text), "a line; that is FILE:LINE");
    let (file, line) = text.rsplit_once(':').ok_or_else(unreadable)?;
    let line = literal(line).ok().and_then(|line| u32::try_from(line).ok());
    let line = line.filter(|line| *line > 0).ok_or_else(unreadable)?;
    if file.is_empty() || file.len() > LONGEST {
        return Err(unreadable());
    }
    let image = match context.focus {
        Some(pid) => program(context.target, pid)?,
        None => kernel(context.target)?,
    };
    is_one(&image, file, &mut context.out)?;
    let mut first = None;
    let mut result = Ok(());
    let nearest = image.index.line(file, line, |stretch| {
        let at = image.run(stretch.address);
        first.get_or_insert(at);
        result = write_piece(&mut context.out, at, stretch.bytes, stretch.found());
        match result {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    });
    result?;
    match first {
        Some(first) => {
            context.state.value = first.0;
            Ok(())
        }
        None => Err(Error::NoCode(excerpt(text), nearest)),
    }
}

fn write_piece(
    out: &mut Output<'_>,
    at: VirtAddr,
    bytes: u64,
    found: Option<symbolizer::index::Found<'_>>,
) -> core::fmt::Result {
    if out.is_json() {
        return out
            .record("piece")
            .hex("address", at)
            .number("bytes", bytes)
            .maybe_text("place", found)
            .end();
    }
    write!(out, "{at} {bytes:6} ")?;
    match found {
        Some(found) => writeln!(out, "{found}"),
        None => writeln!(out, "?"),
    }
}

/// Fails if the image has no such file, or several.
fn is_one(image: &Image<'_>, file: &str, out: &mut Output<'_>) -> Result<(), Error> {
    let paths = || image.index.files_ending_with(file);
    match paths().count() {
        0 => Err(Error::NoFile(excerpt(file), excerpt(image.name))),
        1 => Ok(()),
        _ => {
            for path in paths() {
                match out.is_json() {
                    true => out.record("file").text("path", path).end()?,
                    false => writeln!(out, "{path}")?,
                }
            }
            Err(Error::SeveralFiles(excerpt(file)))
        }
    }
}
