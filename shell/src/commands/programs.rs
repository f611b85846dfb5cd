//! `programs`: what `spawn` can start.

use core::fmt::Write;

use crate::Error;
use crate::command::{Args, Command, Context, Group};
use crate::render::Count;

pub(super) const COMMAND: Command = Command {
    name: "programs",
    group: Group::Processes,
    usage: "",
    summary: "list the programs that can be started",
    help: "Shows each program with the size of its file in bytes.",
    examples: &[("programs", "what there is to `spawn`")],
    rows: &[],
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
        writeln!(out, "{:>10}  {}", program.bytes, program.name)?;
        count = count.saturating_add(1);
    }
    writeln!(context.out, "{}", Count(count, "program"))?;
    Ok(())
}
