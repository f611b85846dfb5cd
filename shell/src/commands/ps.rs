//! `ps`: every process, what it is doing, where its tables are and where it goes on.

use core::fmt::Write;

use heapless::Vec;

use crate::command::{Args, Command, Context, Group};
use crate::process::{Number, Pids};
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
    rows: &[],
    args: &[],
    run,
};

fn run(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    args.done()?;
    let mut pids = Pids::all(context.target)?;
    let mut states = Vec::<(&'static str, u64), 8>::new();
    let mut count = 0_u64;
    while let Some(info) = pids.next(context.target) {
        if count == 0 {
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
        row(&mut context.out, &info)?;
    }
    context.state.value = count;
    write!(context.out, "{}", Number(count))?;
    let mut gap = ":";
    for (name, count) in &states {
        write!(context.out, "{gap} {count} {name}")?;
        gap = ",";
    }
    writeln!(context.out)?;
    Ok(())
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
