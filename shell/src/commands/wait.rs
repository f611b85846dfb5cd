//! `wait`: stay with a process until it ends, and let go of it.

use core::fmt::{self, Write};

use crate::command::{Args, Command, Context, Group};
use crate::foreground::{OUTPUT, attend};
use crate::process::{Named, Number, Pids, exit_place, info, status_word};
use crate::record::{Row, hex, number, text};
use crate::stop::{STOP, Unfinished};
use crate::{Error, Exit, Pid};

pub(super) const COMMAND: Command = Command {
    name: "wait",
    group: Group::Processes,
    usage: "[pid]",
    summary: "wait until a process ends, and say how",
    help: "Shows what the process has written and nobody has seen, then what it writes, until it ends; then how it ended. Keys are for it while it reads; Ctrl-C stops the waiting and leaves the process alone. It then is off the books, unless it is the child of another process, which may want to know. Without a pid, waits for all that the shell has started, one after the other.\n`$_` becomes its status: the exit code, or 0x100 if it was killed, or 0x200 and the vector of its fault. That it did not end well is no failure of `wait`.",
    examples: &[
        ("spawn counter &; wait $_", "start it, then wait for it"),
        ("wait 3; assert $_ == 0x20e", "did it die of a page fault?"),
        ("wait", "until everything has ended"),
    ],
    rows: &[
        OUTPUT,
        EXIT,
        Row {
            name: "summary",
            about: "all of them, without a pid",
            fields: &[number("processes", "how many there were")],
        },
        STOP,
    ],
    args: &[],
    run,
};

fn run(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    if args.peek().is_some() {
        let pid = args.pid(context)?;
        args.done()?;
        info(context.target, pid)?;
        return wait(context, pid);
    }
    let mut pids = Pids::all(context.target)?;
    let mut count = 0_u64;
    while let Some(info) = pids.next(context.target) {
        if info.parent == 0 {
            count = count.saturating_add(1);
            wait(context, info.pid)?;
        }
    }
    if context.out.is_json() {
        let record = context.out.record("summary");
        return Ok(record.number("processes", count).end()?);
    }
    if count != 1 {
        writeln!(context.out, "{}", Number(count))?;
    }
    Ok(())
}

pub(crate) fn wait(context: &mut Context<'_>, pid: Pid) -> Result<(), Error> {
    let attended = attend(context, pid);
    if attended == Err(Error::Stopped) {
        context.state.unfinished = Unfinished::Wait(pid);
    }
    let (who, exit) = attended?;
    let parent = info(context.target, pid)?.parent;
    if parent == 0 {
        context.processes()?.reap(pid).map_err(Error::Process)?;
    }
    context.state.value = status_word(exit);
    Ok(show(context, &who, exit)?)
}

/// Says how a process ended, and where if it faulted.
pub(super) fn show(context: &mut Context<'_>, who: &Named, exit: Exit) -> fmt::Result {
    let Context { target, out, .. } = context;
    let place = exit_place(*target, &who.name, exit);
    match (out.is_json(), place) {
        (true, place) => out
            .record(EXIT.name)
            .number("pid", who.pid)
            .text("name", &who.name)
            .hex("status", status_word(exit))
            .text("how", exit)
            .maybe_text("place", place)
            .end(),
        (false, Some(place)) => writeln!(out, "{who} {exit}, in {place}"),
        (false, None) => writeln!(out, "{who} {exit}"),
    }
}

/// What a record says of it.
pub(super) const EXIT: Row = Row {
    name: "exit",
    about: "how a process ended",
    fields: &[
        number("pid", "its pid"),
        text("name", "the name of its program"),
        hex("status", "as in `$_`"),
        text("how", "the same in words"),
        text(
            "place",
            "the function and line of a fault, where they are known",
        )
        .or_null(),
    ],
};
