//! `trace`: a number of instructions, each with the registers it changed.

use core::fmt::Write;

use machine::{Registers, VirtAddr};

use super::wait::EXIT;
use crate::command::{Args, Command, Context, Group};
use crate::disassembly::{BYTES, INSTRUCTION, LEADS_TO, Line};
use crate::foreground::OUTPUT;
use crate::going::{self, finish};
use crate::record::{Row, hex, number, text};
use crate::stop::{STOP, next};
use crate::{Error, StopReason, Went};

pub(super) const COMMAND: Command = Command {
    name: "trace",
    group: Group::Stops,
    usage: "<count>",
    summary: "execute instructions and show what each changes",
    help: "Executes so many instructions, as `si` does, and shows each of them with the registers that it changed; RIP is left out, since the next line shows it.",
    examples: &[("trace 20", "what the next twenty do")],
    args: &[],
    rows: &[
        Row {
            name: "instruction",
            about: "an instruction that was executed",
            fields: &[
                hex("at", "its address"),
                BYTES,
                INSTRUCTION,
                LEADS_TO,
                number(
                    "changed",
                    "how many registers it changed; their rows follow",
                )
                .or_null(),
            ],
        },
        Row {
            name: "register",
            about: "a register that it changed",
            fields: &[text("name", "its name"), hex("value", "its value now")],
        },
        STOP,
        OUTPUT,
        EXIT,
    ],
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
            show(context, &line, None)?;
            return finish(context, went);
        }
        let after = context.stop()?;
        show(context, &line, Some((&before.registers, &after.registers)))?;
        if after.reason != StopReason::Step {
            break;
        }
    }
    Ok(())
}

/// Shows an instruction, with the registers before and after it where they are known.
fn show(
    context: &mut Context<'_>,
    line: &Line,
    around: Option<(&Registers, &Registers)>,
) -> Result<(), Error> {
    let changes = || around.into_iter().flat_map(changed);
    let out = &mut context.out;
    if out.is_json() {
        let count = around.map(|_| changes().count());
        line.fields(out.record("instruction"))
            .number("changed", count)
            .end()?;
        for (name, value) in changes() {
            let record = out.record("register").text("name", name);
            record.hex("value", value).end()?;
        }
        return Ok(());
    }
    write!(out, "{line}")?;
    let mut sign = " #";
    for (name, value) in changes() {
        write!(out, "{sign} {name} {value:#x}")?;
        sign = "";
    }
    writeln!(out)?;
    Ok(())
}

/// The registers that are not as they were, and what they are now.
fn changed<'r>(
    (before, after): (&'r Registers, &'r Registers),
) -> impl Iterator<Item = (&'static str, u64)> + use<'r> {
    SHOWN.into_iter().filter_map(|name| {
        let new = after.by_name(name)?;
        (before.by_name(name) != Some(new)).then_some((name, new))
    })
}
