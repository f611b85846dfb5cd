//! `crash`: fault on purpose, to learn to read the reports.
//!
//! The first thing to try with a kernel one does not know yet: does it say what happened?

use core::fmt::Write;

use crate::command::{ArgKind, Args, Command, Context, Group};
use crate::error::excerpt;
use crate::record::{Row, text};
use crate::{CrashKind, Error};

pub(super) const COMMAND: Command = Command {
    name: "crash",
    group: Group::Session,
    usage: "<kind>|list",
    summary: "fault on purpose and see the report",
    help: "Makes the kernel itself do what it must not, and shows that it says so. `crash list` lists the kinds: panics, page faults, other exceptions, faults inside the report of another one, faults with locks held or without a heap. Those of SMAP and SMEP go wrong in the space of a process that is started for it. A stack at an address that is not canonical is not among them: QEMU raises #GP for it, not #SS (D-05). After all but `breakpoint`, `debugger` and `debugger-again` the kernel is dead: what it was doing stays as it is, the shell looks at it, and only `crash` can be done to it once more; `reboot` begins again. The name must be written out.",
    examples: &[
        (
            "crash page-fault",
            "the report of a page fault, with the walk the CPU made",
        ),
        ("crash breakpoint", "one line, and on it goes"),
    ],
    rows: &[KIND_ROW],
    args: &[ArgKind::Words(CrashKind::NAMES)],
    run,
};

const KIND_ROW: Row = Row {
    name: "kind",
    about: "a kind of crash, of `crash list`",
    fields: &[
        text("name", "what it is called"),
        text("about", "what it does"),
    ],
};

fn run(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let word = args.word().ok_or(Error::Missing("kind of crash"))?;
    args.done()?;
    if word.0 == "list" {
        return list(context);
    }
    let kind = CrashKind::named(word.text()?).ok_or(Error::Unknown(
        excerpt(word.0),
        "a kind of crash; `crash list` lists them",
    ))?;
    let crash = context.target.crash().ok_or(Error::Lacks("way to crash"))?;
    crash.crash(kind).map_err(Error::Said)
}

fn list(context: &mut Context<'_>) -> Result<(), Error> {
    let out = &mut context.out;
    for kind in CrashKind::ALL {
        let (name, about) = (kind.name(), kind.about());
        match out.is_json() {
            true => out
                .record(KIND_ROW.name)
                .text("name", name)
                .text("about", about)
                .end()?,
            false => writeln!(out, "{name:<16} {about}")?,
        }
    }
    Ok(())
}
