//! `trace`: a number of instructions, each with the registers it changed.

use core::fmt::Write;

use machine::{Registers, VirtAddr};

use crate::command::{Args, Command, Context, Group};
use crate::going::{self, finish};
use crate::stop::next;
use crate::{Error, StopReason, Went};

pub(super) const COMMAND: Command = Command {
    name: "trace",
    group: Group::Stops,
    usage: "<count>",
    summary: "execute instructions and show what each changes",
    help: "Executes so many instructions, as `si` does, and shows each of them with the registers that it changed; RIP is left out, since the next line shows it.",
    examples: &[("trace 20", "what the next twenty do")],
    args: &[],
    rows: &[],
    run,
};

/// What an instruction of interest changes.
const SHOWN: [&str; 21] = [
    "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", "r8", "r9", "r10", "r11", "r12", "r13",
    "r14", "r15", "rflags", "cs", "ss", "cr2", "cr3",
];

fn run(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let count = args.number(context, "count")?;
    args.done()?;
    for _ in 0..count {
        context.check_interrupt()?;
        let before = context.stop()?;
        let at = VirtAddr(before.registers.rip);
        let line = next(context.target, going::root(&before), at);
        let went = going::step(context)?;
        if went != Went::Stopped {
            writeln!(context.out, "{line}")?;
            return finish(context, went);
        }
        let after = context.stop()?;
        write!(context.out, "{line}")?;
        changed(context, &before.registers, &after.registers)?;
        writeln!(context.out)?;
        if after.reason != StopReason::Step {
            break;
        }
    }
    Ok(())
}

fn changed(context: &mut Context<'_>, before: &Registers, after: &Registers) -> Result<(), Error> {
    let mut sign = " #";
    for name in SHOWN {
        let (old, new) = (before.by_name(name), after.by_name(name));
        if let Some(value) = new.filter(|_| new != old) {
            write!(context.out, "{sign} {name} {value:#x}")?;
            sign = "";
        }
    }
    Ok(())
}
