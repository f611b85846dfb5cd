//! `crash`: fault on purpose, to learn to read the reports.
//!
//! The first thing to try with a kernel one does not know yet: does it say what happened?

use crate::command::{ArgKind, Args, Command, Context, Group};
use crate::error::excerpt;
use crate::{CrashKind, Error};

pub(super) const COMMAND: Command = Command {
    name: "crash",
    group: Group::Session,
    usage: "<kind>",
    summary: "fault on purpose and see the report",
    help: "Makes the kernel itself do what it must not: `panic`; `panic-locked` (with interrupts off and every lock of the consoles held); `page-fault` (a write to a guard page); `read-only` (a write to its own constants); `undefined` (an undefined instruction); `breakpoint` (which it survives); `stack-overflow` (a double fault on its own stack); `debugger` (a page fault in the shell's own thread, which is caught: the command is given up). All but `breakpoint` and `debugger` end the session: the machine stays as it is, for a debugger to look at. The name must be written out.",
    examples: &[
        (
            "crash page-fault",
            "the report of a page fault, with the walk the CPU made",
        ),
        ("crash breakpoint", "one line, and on it goes"),
    ],
    rows: &[],
    args: &[ArgKind::Words(&KINDS)],
    run,
};

const KINDS: [&str; 8] = [
    "panic",
    "panic-locked",
    "page-fault",
    "read-only",
    "undefined",
    "breakpoint",
    "stack-overflow",
    "debugger",
];

fn run(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let word = args.word().ok_or(Error::Missing("kind of crash"))?;
    args.done()?;
    let kind = match word.text()? {
        "panic" => CrashKind::Panic,
        "panic-locked" => CrashKind::PanicLocked,
        "page-fault" => CrashKind::PageFault,
        "read-only" => CrashKind::ReadOnly,
        "undefined" => CrashKind::Undefined,
        "breakpoint" => CrashKind::Breakpoint,
        "stack-overflow" => CrashKind::StackOverflow,
        "debugger" => CrashKind::Debugger,
        _ => {
            return Err(Error::Unknown(
                excerpt(word.0),
                "a kind of crash; `help crash` lists them",
            ));
        }
    };
    let crash = context.target.crash().ok_or(Error::Lacks("way to crash"))?;
    crash.crash(kind);
    Ok(())
}
