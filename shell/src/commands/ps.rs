//! `ps`: every process, what it is doing, where its tables are and where it goes on.

use core::fmt::Write;

use heapless::Vec;

use crate::command::{Args, Command, Context, Group};
use crate::output::Output;
use crate::process::{Number, Pids, status_word};
use crate::record::{Row, hex, number, text};
use crate::{Error, ProcessInfo};

pub(super) const COMMAND: Command = Command {
    name: "ps",
    group: Group::Processes,
    usage: "",
    summary: "list the processes",
    help: "Shows each process: its pid and its parent's (0 is the kernel), what it is doing, how many frames it has, how many timer interrupts found it running, its root, its RIP in ring 3, and the name of its program. States: `ready`, `sleeping`, `waiting` (for a child), `reading`, `blocked` (until somebody takes its output), `dead` (until `wait` or its parent takes how it ended; of these that is shown, too). `$_` becomes the number of processes.",
    examples: &[
        ("ps", "what is there"),
        ("ps; assert $_ == 0", "is everything gone?"),
    ],
    rows: &[
        Row {
            name: "process",
            about: "a process",
            fields: &[
                number("pid", "its pid"),
                number("parent", "its parent's; 0 is the kernel"),
                text("name", "the name of its program"),
                text("state", "what it is doing"),
                number("frames", "how many frames it has"),
                number("ticks", "how many timer interrupts found it running"),
                hex("root", "its PML4").or_null(),
                hex("rip", "its RIP in ring 3").or_null(),
                hex("status", "how it ended, as in `$_` after `wait`").or_null(),
                text("how", "the same in words").or_null(),
            ],
        },
        Row {
            name: "summary",
            about: "all of them",
            fields: &[number("processes", "how many there are")],
        },
    ],
    args: &[],
    run,
};

fn run(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    args.done()?;
    let mut pids = Pids::all(context.target)?;
    let mut states = Vec::<(&'static str, u64), 8>::new();
    let mut count = 0_u64;
    while let Some(info) = pids.next(context.target) {
        if count == 0 && !context.out.is_json() {
            writeln!(
                context.out,
                "  pid parent state    frames  ticks root           rip                   name"
            )?;
        }
        count = count.saturating_add(1);
        let state = info.state.name();
        match states.iter_mut().find(|(name, _)| *name == state) {
            Some((_, count)) => *count = count.saturating_add(1),
            // There are fewer states than room.
            None => drop(states.push((state, 1))),
        }
        match context.out.is_json() {
            true => record(&mut context.out, &info)?,
            false => row(&mut context.out, &info)?,
        }
    }
    context.state.value = count;
    if context.out.is_json() {
        let record = context.out.record("summary");
        return Ok(record.number("processes", count).end()?);
    }
    write!(context.out, "{}", Number(count))?;
    let mut gap = ":";
    for (name, count) in &states {
        write!(context.out, "{gap} {count} {name}")?;
        gap = ",";
    }
    writeln!(context.out)?;
    Ok(())
}

fn record(out: &mut Output<'_>, info: &ProcessInfo) -> Result<(), Error> {
    let exit = info.state.exit();
    let is_alive = exit.is_none();
    let record = out
        .record("process")
        .number("pid", info.pid)
        .number("parent", info.parent)
        .text("name", &info.name)
        .text("state", info.state.name())
        .number("frames", info.frames)
        .number("ticks", info.ticks)
        .hex("root", is_alive.then_some(info.root))
        .hex("rip", is_alive.then_some(info.rip))
        .hex("status", exit.map(status_word))
        .maybe_text("how", exit);
    Ok(record.end()?)
}

fn row(out: &mut dyn Write, info: &ProcessInfo) -> Result<(), Error> {
    let ProcessInfo {
        pid,
        parent,
        name,
        state,
        frames,
        ticks,
        rip,
        ..
    } = info;
    let words = state.name();
    write!(
        out,
        "{pid:>5} {parent:>6} {words:<8} {frames:>6} {ticks:>6} "
    )?;
    match state.exit() {
        Some(exit) => writeln!(out, "{:<14} {:<21} {name} {exit}", "-", "-")?,
        None => writeln!(out, "{} {rip} {name}", info.root)?,
    }
    Ok(())
}
