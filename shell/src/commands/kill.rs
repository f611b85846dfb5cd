//! `kill`: end a process, whatever it is doing.

use core::fmt::Write;

use crate::Error;
use crate::command::{ArgKind, Args, Command, Context, Group};
use crate::process::{Named, alive};
use crate::record::{Row, number, text};
use crate::stop::STOP;

pub(super) const COMMAND: Command = Command {
    name: "kill",
    group: Group::Processes,
    usage: "<pid>",
    summary: "end a process",
    help: "Ends the process and gives back its memory. It is then dead until `wait`, or its parent, takes how it ended.",
    examples: &[
        ("kill 3", "end process 3"),
        ("each name=spinner kill $pid", "end them all"),
    ],
    rows: &[
        Row {
            name: "killed",
            about: "what was killed",
            fields: &[
                number("pid", "its pid"),
                text("name", "the name of its program"),
            ],
        },
        STOP,
    ],
    args: &[ArgKind::Process],
    run,
};

fn run(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let pid = args.pid(context)?;
    args.done()?;
    if pid == 0 {
        return Err(Error::Said("process 0 is the kernel; `poweroff` ends it"));
    }
    let info = alive(context.target, pid)?;
    context.processes()?.kill(pid).map_err(Error::Process)?;
    let out = &mut context.out;
    match out.is_json() {
        true => out
            .record("killed")
            .number("pid", pid)
            .text("name", &info.name)
            .end()?,
        false => writeln!(out, "{} was killed", Named::of(&info))?,
    }
    Ok(())
}
