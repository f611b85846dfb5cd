//! `in`: ask a question about one process, as if it were the one that runs.

use crate::Error;
use crate::Pid;
use crate::command::{ArgKind, Args, Command, Context, Group};
use crate::process::alive;
use crate::run::run_nested;

pub(super) const COMMAND: Command = Command {
    name: "in",
    group: Group::Processes,
    usage: "<pid> <command>",
    summary: "run a command about one process",
    help: "Runs a command to which `cr3` is the root of that process and registers, such as `$rip`, are those saved when it last entered the kernel. CR3 is not loaded: memory is read through the tables of the process. `$pid` is its pid. 0 is the kernel itself. Quotes around the command let it hold several, separated by `;`.",
    examples: &[
        ("in 3 walk $rip", "the code it will go on with"),
        ("in 3 x $rsp 8 g", "the top of its stack"),
        ("in 3 'regs; map lower'", "all about it"),
    ],
    rows: &[],
    args: &[ArgKind::Process, ArgKind::Line],
    run,
};

fn run(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let pid = args.pid(context)?;
    let line = super::time::line(args)?;
    let focus = match pid {
        0 => None,
        _ => Some(alive(context.target, pid)?.pid),
    };
    with_focus(context, focus, line)
}

/// Runs a line about a process, or about none.
pub(super) fn with_focus(
    context: &mut Context<'_>,
    focus: Option<Pid>,
    line: &str,
) -> Result<(), Error> {
    let before = core::mem::replace(&mut context.focus, focus);
    let result = run_nested(context, line);
    context.focus = before;
    result
}
