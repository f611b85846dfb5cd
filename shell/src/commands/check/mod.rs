//! `check`: would it work? Nothing is changed, and nothing is tried.

use super::check_iret;
use crate::Error;
use crate::command::{ArgKind, Args, Command, Context, Group};
use crate::error::excerpt;

pub(super) const COMMAND: Command = Command {
    name: "check",
    group: Group::Processor,
    usage: "iret [pid | <rip> <cs> <rflags> <rsp> <ss>]",
    summary: "say beforehand what the CPU will make of it",
    help: "`iret` holds a return frame against the rules of IRETQ in the kernel: the five words given, with the tables of CR3, or those a process will go on with, with its own. A line for each word says `ok`, `warn` or `FAIL`, by which rule, and for addresses which entry of the tables decided with which bit; so does a line for RSP0, which the trap back needs. The last line is the answer: the first exception with its error code, in which ring and when it comes, or `enters ring 3`. `$_` becomes 0 if it does, else 0x200 and the vector; if it does not, the command fails. What QEMU 7.2 does otherwise than the manuals say is named by its id.",
    examples: &[
        ("check iret 3", "will process 3 come back to ring 3?"),
        (
            "check iret 0x40_1000 0x23 0x202 0x7fff_fff0_0000 0x1b",
            "a frame of one's own",
        ),
        (
            "in 3 check iret $rip 0x2b $rflags $rsp $ss",
            "the same with another CS, in the tables of process 3",
        ),
    ],
    rows: &[],
    args: &[ArgKind::Words(&["iret"]), ArgKind::Any],
    run,
};

fn run(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let part = args.word().ok_or(Error::Missing("part"))?;
    match part.text()? {
        "iret" => check_iret::run(context, args),
        other => Err(Error::Unknown(
            excerpt(other),
            "something to check; `help check` lists them",
        )),
    }
}
