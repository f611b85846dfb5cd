//! `list`: the source around a place in the code.
//!
//! Type this after a fault whose report names a line, when the sources are not at hand. They are in the
//! kernel's ramdisk if they were put there when it was built.

use core::fmt::Write;
use core::str::from_utf8;

use heapless::String;
use machine::VirtAddr;

use crate::command::{ArgKind, Args, Command, Context, Group};
use crate::error::excerpt;
use crate::grammar::expression::literal;
use crate::names::{LONGEST, image_at, is_name, kernel, program};
use crate::record::{Row, flag, number, text};
use crate::{Error, Sources};

pub(super) const COMMAND: Command = Command {
    name: "list",
    group: Group::Memory,
    usage: "[address|name|<file>:<line>] [count]",
    summary: "show source lines",
    help: "Shows the source around a line, the line itself marked: that of RIP, of another address, of a function, or a line of a file by the end of its path. Of calls that were inlined at an address it is the innermost one whose source is there. 10 lines are shown, or so many. The sources of this repository must have been built in: `cargo xtask run --sources`, `exec --sources`. In GDB and on a dump (`rw list`) those of the checkout are shown where none were. `$_` becomes the number of the line.",
    examples: &[
        ("list", "where is it?"),
        ("list kernel::boot::shell 20", "a function"),
        ("list boot.rs:120", "a line"),
    ],
    rows: &[
        Row {
            name: "place",
            about: "the line that was asked for",
            fields: &[text("path", "its file"), number("line", "its number")],
        },
        Row {
            name: "line",
            about: "a line of the source",
            fields: &[
                number("number", "its number"),
                text("text", "what it says"),
                flag("is_asked", "whether it is the one that was asked for"),
            ],
        },
    ],
    args: &[ArgKind::Any, ArgKind::Any],
    run,
};

/// How many lines are shown unless somebody says.
const USUAL: u64 = 10;

/// A path, as the index of symbols spells it.
type Path = String<LONGEST>;

/// A line of a source file.
struct Place {
    path: Path,
    line: u32,
}

fn run(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let what = args.operand();
    let count = match args.peek() {
        Some(_) => args.number(context, "count")?,
        None => USUAL,
    };
    args.done()?;
    sources(context)?;
    let place = match what {
        None => {
            let rip = context.registers()?.rip;
            of_address(context, VirtAddr(rip))?
        }
        Some(word) => of_word(context, word.text()?)?,
    };
    show(context, &place, count)
}

fn sources<'c>(context: &'c mut Context<'_>) -> Result<&'c dyn Sources, Error> {
    context.target.sources().ok_or(Error::Said(
        "no sources were built in; `cargo xtask run --sources` builds them in",
    ))
}

/// The line that a word means: `FILE:LINE`, a name, or an expression.
fn of_word(context: &mut Context<'_>, word: &str) -> Result<Place, Error> {
    if let Some((file, line)) = word.rsplit_once(':')
        && !file.is_empty()
        && !file.ends_with(':')
        && let Ok(line) = literal(line)
    {
        return of_file(context, file, line);
    }
    let address = match is_name(word) {
        true => context.address_of(word)?,
        false => context.evaluate(word)?,
    };
    of_address(context, VirtAddr(address))
}

fn of_file(context: &mut Context<'_>, file: &str, line: u64) -> Result<Place, Error> {
    let image = match context.focus {
        Some(pid) => program(context.target, pid)?,
        None => kernel(context.target)?,
    };
    let mut paths = image.index.files_ending_with(file);
    let first = paths
        .next()
        .ok_or(Error::NoFile(excerpt(file), excerpt(image.name)))?;
    if paths.next().is_some() {
        return Err(Error::SeveralFiles(excerpt(file)));
    }
    let mut path = Path::new();
    // One that is longer is nobody's.
    let _ = write!(path, "{first}");
    let line = u32::try_from(line).unwrap_or(u32::MAX);
    Ok(Place { path, line })
}

/// The innermost function at an address whose source is there.
fn of_address(context: &mut Context<'_>, address: VirtAddr) -> Result<Place, Error> {
    let mut innermost = None;
    for depth in 0.. {
        let Some(place) = frame(context, address, depth)? else {
            break;
        };
        if sources(context)?.text(&place.path).is_some() {
            return Ok(place);
        }
        innermost.get_or_insert(place);
    }
    match innermost {
        Some(place) => Err(Error::NoSource(excerpt(&place.path))),
        None => Err(Error::NoLine(address)),
    }
}

/// The line of one of the functions at an address, innermost first.
fn frame(
    context: &mut Context<'_>,
    address: VirtAddr,
    depth: usize,
) -> Result<Option<Place>, Error> {
    let image = image_at(context.target, context.focus, address)?;
    let found = image.describe(address);
    let found = found.ok_or(Error::Unnamed(address, excerpt(image.name)))?;
    let mut frames = found.frames.filter(|frame| frame.line != 0);
    Ok(frames.nth(depth).map(|frame| {
        let mut path = Path::new();
        let _ = write!(path, "{}", frame.file);
        Place {
            path,
            line: frame.line,
        }
    }))
}

fn show(context: &mut Context<'_>, place: &Place, count: u64) -> Result<(), Error> {
    let Place { path, line } = place;
    let asked = u64::from(*line);
    context.state.value = asked;
    let Context { target, out, .. } = context;
    let text = target.sources().and_then(|sources| sources.text(path));
    let text = text.ok_or(Error::NoSource(excerpt(path)))?;
    match out.is_json() {
        true => out
            .record("place")
            .text("path", path)
            .number("line", asked)
            .end()?,
        false => writeln!(out, "{path}:{line}")?,
    }
    let first = asked.saturating_sub(count.saturating_sub(1) / 2).max(1);
    let end = first.saturating_add(count.max(1));
    // What stands behind the last line feed is no line.
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let mut is_there = false;
    for (number, bytes) in (1_u64..).zip(text.split(|byte| *byte == b'\n')) {
        if !(first..end).contains(&number) {
            continue;
        }
        let is_asked = number == asked;
        is_there |= is_asked;
        let text = from_utf8(bytes).unwrap_or("(not UTF-8)");
        match out.is_json() {
            true => out
                .record("line")
                .number("number", number)
                .text("text", text)
                .flag("is_asked", is_asked)
                .end()?,
            false => {
                let mark = if is_asked { "=>" } else { "  " };
                let gap = if text.is_empty() { "" } else { " " };
                writeln!(out, "{mark} {number:>4}{gap}{text}")?;
            }
        }
    }
    match is_there {
        true => Ok(()),
        false => Err(Error::Said("the file ends before that line")),
    }
}
