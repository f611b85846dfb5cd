//! `programs`: what `spawn` can start.

use core::fmt::Write;

use crate::Error;
use crate::command::{Args, Command, Context, Group};
use crate::record::{Row, number, text};
use crate::render::Count;

pub(super) const COMMAND: Command = Command {
    name: "programs",
    group: Group::Processes,
    usage: "",
    summary: "list the programs that can be started",
    help: "Shows each program with the size of its file in bytes.",
    examples: &[("programs", "what there is to `spawn`")],
    rows: &[
        Row {
            name: "program",
            about: "a program that can be started",
            fields: &[
                text("name", "its name"),
                number("bytes", "the size of its file"),
            ],
        },
        Row {
            name: "summary",
            about: "all of them",
            fields: &[number("programs", "how many there are")],
        },
    ],
    args: &[],
    run,
};

fn run(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    args.done()?;
    context.processes()?;
    let mut count = 0_u64;
    for index in 0.. {
        let Context { target, out, .. } = context;
        let program = target.processes().and_then(|all| all.program(index));
        let Some(program) = program else {
            break;
        };
        match out.is_json() {
            true => out
                .record("program")
                .text("name", program.name)
                .number("bytes", program.bytes)
                .end()?,
            false => writeln!(out, "{:>10}  {}", program.bytes, program.name)?,
        }
        count = count.saturating_add(1);
    }
    let out = &mut context.out;
    match out.is_json() {
        true => out.record("summary").number("programs", count).end()?,
        false => writeln!(out, "{}", Count(count, "program"))?,
    }
    Ok(())
}
