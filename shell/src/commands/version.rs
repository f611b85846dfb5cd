//! `version`: what this is, and which build of it.

use crate::Error;
use crate::command::{Args, Command, Context, Group};

pub(super) const COMMAND: Command = Command {
    name: "version",
    group: Group::Session,
    usage: "",
    summary: "show what is running, and which build of it",
    help: "Shows what the target says about itself: its build id, which the host's tools compare with the file they have symbols from, the firmware, memory, the processor and its protections, the consoles, and the time since boot.",
    examples: &[("version", "what is this?")],
    rows: &[],
    args: &[],
    run,
};

fn run(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    args.done()?;
    let Context { target, out, .. } = context;
    Ok(target.identity(out)?)
}
