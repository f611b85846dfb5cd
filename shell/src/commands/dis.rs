//! `dis`: memory as instructions.

use core::fmt::Write;

use machine::VirtAddr;

use crate::Error;
use crate::command::{Args, Command, Context, Group};
use crate::disassembly::{BYTES, INSTRUCTION, LEADS_TO, Line};
use crate::record::{Row, flag, hex, text};
use crate::stop::{called, symbol};
use crate::virt::Virt;

pub(super) const COMMAND: Command = Command {
    name: "dis",
    group: Group::Memory,
    usage: "[address] [count]",
    summary: "show memory as instructions",
    help: "Shows instructions from the address on, or from RIP: 8 of them, or so many. Each line has the address, the bytes and the instruction; where a jump leads and what an operand relative to RIP means are addresses. What is no instruction is shown byte by byte. The tables that CR3 names are read; `in PID dis` reads those of a process.",
    examples: &[
        ("dis", "what comes next"),
        ("dis $rip 20", "more of it"),
        ("in 3 dis", "where process 3 goes on"),
    ],
    args: &[],
    rows: &[Row {
        name: "instruction",
        about: "what stands at an address",
        fields: &[
            hex("at", "its address"),
            BYTES,
            INSTRUCTION,
            LEADS_TO,
            text("symbol", "the name of the place").or_null(),
            flag("is_next", "whether RIP is there"),
        ],
    }],
    run,
};

fn run(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let registers = context.registers()?;
    let mut at = match args.peek() {
        Some(_) => args.virt(context)?,
        None => VirtAddr(registers.rip),
    };
    let count = match args.peek() {
        Some(_) => args.number(context, "count")?,
        None => 8,
    };
    args.done()?;
    let root = context.cr3()?;
    let focus = context.whose();
    for _ in 0..count {
        let line = Line::at(&mut Virt::new(context.target, root), at);
        if !line.is_readable() {
            // Says why.
            Virt::new(context.target, root).bytes::<1>(at.0, 0)?;
        }
        let is_next = at.0 == registers.rip;
        if context.out.is_json() {
            let name = symbol(context.target, focus, at);
            line.fields(context.out.record("instruction"))
                .maybe_text("symbol", name)
                .flag("is_next", is_next)
                .end()?;
        } else {
            let mark = if is_next { "=>" } else { "  " };
            let name = called(context.target, focus, at);
            writeln!(context.out, "{mark} {line}{name}")?;
        }
        at = line.next();
    }
    Ok(())
}
