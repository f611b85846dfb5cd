//! `stacks`: every stack, whose it is, and whether the page below it stops an overflow.
//!
//! The books say where stacks are; this holds the page tables against them. A guard page that
//! is mapped anywhere lets an overflow go on unnoticed.

mod check;

pub(super) use check::{Wrong, in_space};

use core::fmt::Write;

use crate::abilities::{StackInfo, StackKind, StackState, Stacks};
use crate::command::{ArgKind, Args, Command, Context, Group};
use crate::error::excerpt;
use crate::process::Number;
use crate::record::{Row, hex, number, text};
use crate::render::{Count, Size};
use crate::{Error, Pid};

pub(super) const COMMAND: Command = Command {
    name: "stacks",
    group: Group::Processes,
    usage: "[verify | reserve COUNT | release]",
    summary: "show every stack, and check the guard pages",
    help: "Shows each kernel, exception (`ist`) and user stack: whether it is live or free, its range (both ends included) and size, the most of it that was ever in use, and whose it is. Of each, the guard page below (of user stacks also the page above) is looked up in the tables: of kernel and exception stacks in the master and in every live process, of user stacks in their own. A guard that is mapped, or of which the tables do not tell, has a line, and the command fails.\n`verify` shows only what is wrong, and looks at more: every page of a live stack must be mapped and writable (or, of a process, wait to be copied on the first write), kernel stacks in every space to the same frame as in the master and not for user code; no page of a free or reserved one may be mapped. `$_` becomes the number of stacks.\n`reserve` gives out places of so many kernel stacks without memory behind them, so that the region grows; `release` takes them all back.",
    examples: &[
        ("stacks", "whose they are and how full"),
        (
            "stacks verify",
            "is every one of them sound, in every space?",
        ),
        (
            "stacks reserve 250; stacks verify; stacks release",
            "beyond the first 16 MiB",
        ),
    ],
    rows: &[
        Row {
            name: "stack",
            about: "a stack; reserved ones in a row are one",
            fields: &[
                text("kind", "kernel, ist, user"),
                text("state", "live, free, reserved"),
                hex("first", "the first address"),
                hex("last", "the last one"),
                number("used", "the most of it that was ever in use, in bytes").or_null(),
                number("pid", "whose it is").or_null(),
                text("name", "what it is for").or_null(),
                number(
                    "count",
                    "how many there are; more than one of reserved ones only",
                ),
            ],
        },
        check::ROW,
        Row {
            name: "summary",
            about: "all of them",
            fields: &[
                number("stacks", "how many there are"),
                number("live", "how many are in use"),
                number("free", "how many are not"),
                number("reserved", "how many are places without memory"),
                number(
                    "spaces",
                    "in how many beside the master they were looked up",
                ),
                number("wrong", "how many pages are not as they should be"),
            ],
        },
        Row {
            name: "changed",
            about: "what `reserve` and `release` did",
            fields: &[
                text("what", "reserved, released"),
                number("stacks", "how many"),
            ],
        },
    ],
    args: &[
        ArgKind::Words(&["release", "reserve", "verify"]),
        ArgKind::Any,
    ],
    run,
};

fn run(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let Some(word) = args.word() else {
        return show(context, Depth::Guards);
    };
    match word.text()? {
        "verify" => {
            args.done()?;
            show(context, Depth::Pages)
        }
        "reserve" => {
            let count = args.number(context, "count")?;
            args.done()?;
            stacks(context)?.reserve(count).map_err(Error::Stack)?;
            changed(context, count, "reserved")
        }
        "release" => {
            args.done()?;
            let count = stacks(context)?.release();
            changed(context, count, "released")
        }
        _ => Err(Error::Unknown(
            excerpt(word.0),
            "verify, reserve or release",
        )),
    }
}

fn changed(context: &mut Context<'_>, count: u64, what: &str) -> Result<(), Error> {
    let out = &mut context.out;
    match out.is_json() {
        true => out
            .record("changed")
            .text("what", what)
            .number("stacks", count)
            .end()?,
        false => writeln!(out, "{} {what}", Count(count, "stack"))?,
    }
    Ok(())
}

/// How closely to look.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// At the guard pages; and every stack has a row.
    Guards,
    /// At every page; and only what is wrong has a row.
    Pages,
}

#[derive(Default)]
struct Tally {
    live: u64,
    free: u64,
    reserved: u64,
    wrong: u64,
    /// The reserved ones that have no row yet: the first and the last byte of them.
    run: Option<(u64, StackInfo, StackInfo)>,
}

fn show(context: &mut Context<'_>, depth: Depth) -> Result<(), Error> {
    stacks(context)?;
    let mut tally = Tally::default();
    for index in 0.. {
        context.check_interrupt()?;
        let Some(stack) = stacks(context)?.stack(index) else {
            break;
        };
        let count = match stack.state {
            StackState::Live => &mut tally.live,
            StackState::Free => &mut tally.free,
            StackState::Reserved => &mut tally.reserved,
        };
        *count = count.saturating_add(1);
        if depth == Depth::Guards {
            list(context, &mut tally, &stack)?;
        }
        let wrong = check::stack(context, &stack, depth)?;
        tally.wrong = tally.wrong.saturating_add(wrong);
    }
    end_run(context, &mut tally)?;
    let Tally {
        live,
        free,
        reserved,
        wrong,
        ..
    } = tally;
    let all = live.saturating_add(free).saturating_add(reserved);
    context.state.value = all;
    let spaces = check::spaces(context);
    if context.out.is_json() {
        context
            .out
            .record("summary")
            .number("stacks", all)
            .number("live", live)
            .number("free", free)
            .number("reserved", reserved)
            .number("spaces", spaces)
            .number("wrong", wrong)
            .end()?;
        return unless_wrong(wrong);
    }
    write!(
        context.out,
        "{}: {live} live, {free} free",
        Count(all, "stack")
    )?;
    if reserved > 0 {
        write!(context.out, ", {reserved} reserved")?;
    }
    writeln!(
        context.out,
        "; looked up in the master and in {}",
        Number(spaces)
    )?;
    unless_wrong(wrong)
}

fn unless_wrong(pages: u64) -> Result<(), Error> {
    match pages {
        0 => Ok(()),
        pages => Err(Error::Pages(pages)),
    }
}

/// The row of a stack. Reserved ones, of which there may be thousands, share one.
fn list(context: &mut Context<'_>, tally: &mut Tally, stack: &StackInfo) -> Result<(), Error> {
    if stack.state == StackState::Reserved {
        tally.run = Some(match tally.run {
            Some((count, first, _)) => (count.saturating_add(1), first, *stack),
            None => (1, *stack, *stack),
        });
        return Ok(());
    }
    end_run(context, tally)?;
    if context.out.is_json() {
        return record(context, stack, stack, 1);
    }
    let StackInfo {
        name,
        owner,
        bottom,
        top,
        kind,
        state,
        high_water,
        ..
    } = stack;
    let size = Size(top.0.wrapping_sub(bottom.0));
    let last = machine::VirtAddr(top.0.wrapping_sub(1));
    let (kind, state) = (kind.name(), state.name());
    let out = &mut context.out;
    write!(out, "{kind:<6} {state:<8} {bottom}..{last} {size:>5} ")?;
    match high_water {
        Some(bytes) => write!(out, "used {bytes:>6}")?,
        None => write!(out, "used      ?")?,
    }
    if let Some(pid) = owner {
        write!(out, " pid {pid}")?;
    }
    if !name.is_empty() {
        write!(out, " {name}")?;
    }
    writeln!(out)?;
    Ok(())
}

fn end_run(context: &mut Context<'_>, tally: &mut Tally) -> Result<(), Error> {
    if let Some((count, first, last)) = tally.run.take() {
        if context.out.is_json() {
            return record(context, &first, &last, count);
        }
        let (bottom, last) = (first.bottom, machine::VirtAddr(last.top.0.wrapping_sub(1)));
        writeln!(
            context.out,
            "{:<6} reserved {bottom}..{last} {}",
            first.kind.name(),
            Count(count, "stack")
        )?;
    }
    Ok(())
}

/// The record of so many stacks that follow one another.
fn record(
    context: &mut Context<'_>,
    first: &StackInfo,
    last: &StackInfo,
    count: u64,
) -> Result<(), Error> {
    let name = Some(&first.name).filter(|name| !name.is_empty());
    let record = context
        .out
        .record("stack")
        .text("kind", first.kind.name())
        .text("state", first.state.name())
        .hex("first", first.bottom)
        .hex("last", last.top.0.wrapping_sub(1))
        .number("used", first.high_water)
        .number("pid", first.owner)
        .maybe_text("name", name)
        .number("count", count);
    Ok(record.end()?)
}

pub(super) fn stacks<'c>(context: &'c mut Context<'_>) -> Result<&'c mut dyn Stacks, Error> {
    let stacks = context.target.stacks();
    stacks.ok_or(Error::Lacks("record of stacks"))
}

/// The name of a space, for a message.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whose {
    Master,
    Process(Pid),
    /// Of a user stack that nobody owns.
    Own,
}

impl core::fmt::Display for Whose {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Whose::Master => f.write_str("the master"),
            Whose::Process(pid) => write!(f, "pid {pid}"),
            Whose::Own => f.write_str("its own space"),
        }
    }
}

/// Whether the stack is in every space, or in one.
fn is_shared(stack: &StackInfo) -> bool {
    stack.kind != StackKind::User
}
