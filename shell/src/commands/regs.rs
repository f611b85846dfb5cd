//! `regs`: the general registers, the segments, the flags, and where the code is.

use core::fmt::Write;

use heapless::String;
use machine::{Registers, Selector, VirtAddr, bits};

use crate::Error;
use crate::command::{ArgKind, Args, Command, Context, Group};
use crate::record::{Row, hex, text};

pub(super) const COMMAND: Command = Command {
    name: "regs",
    group: Group::Processor,
    usage: "[pid]",
    summary: "show the general registers",
    help: "Shows the general registers, the segment selectors and bases, RFLAGS with the names of the bits that are set, and RIP: of what is stopped, or the processor's; with a pid, of that process where it is stopped, or else those with which it goes on in ring 3 (where it waits in the kernel, `bt` shows). Each is a number in expressions: `$rax`, `$cs`, `$rflags.if`; `in PID` makes them those of a process.",
    examples: &[
        ("regs", "all of them"),
        ("regs 3", "of a process that waits"),
        ("assert $rflags.if == 1", "are interrupts on?"),
    ],
    rows: &[Row {
        name: "register",
        about: "a register",
        fields: &[
            text("name", "its name"),
            hex("value", "its value"),
            text("bits", "of RFLAGS, the names of the bits that are set").or_null(),
            text("region", "of RIP, the name of the region").or_null(),
        ],
    }],
    args: &[ArgKind::Process],
    run,
};

const GENERAL: [[&str; 2]; 8] = [
    ["rax", "rbx"],
    ["rcx", "rdx"],
    ["rsi", "rdi"],
    ["rbp", "rsp"],
    ["r8", "r9"],
    ["r10", "r11"],
    ["r12", "r13"],
    ["r14", "r15"],
];

fn run(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let pid = args.maybe_pid(context)?;
    args.done()?;
    let regs = match pid {
        Some(pid) => context.registers_of(pid)?,
        None => context.registers()?,
    };
    if context.out.is_json() {
        return records(context, &regs);
    }
    let out = &mut context.out;
    let value = |name| VirtAddr(regs.by_name(name).unwrap_or(0));
    for [left, right] in GENERAL {
        writeln!(
            out,
            "{left:<3} {}   {right:<4} {}",
            value(left),
            value(right)
        )?;
    }
    let segments = [
        [("cs", regs.cs), ("ss", regs.ss)],
        [("ds", regs.ds), ("es", regs.es)],
        [("fs", regs.fs), ("gs", regs.gs)],
        [("tr", regs.tr), ("ldtr", regs.ldtr)],
    ];
    for [(left, a), (right, b)] in segments {
        // The width of `Selector` is not under our control, so the left one is padded here.
        let mut padded = String::<40>::new();
        write!(padded, "{}", Selector(a))?;
        writeln!(out, "{left:<3} {padded:<23} {right:<4} {}", Selector(b))?;
    }
    writeln!(out, "fs_base        {}", VirtAddr(regs.fs_base))?;
    writeln!(out, "gs_base        {}", VirtAddr(regs.gs_base))?;
    writeln!(out, "kernel_gs_base {}", VirtAddr(regs.kernel_gs_base))?;
    let flags = bits::RFLAGS.names(regs.rflags);
    writeln!(out, "rflags {} {flags}", VirtAddr(regs.rflags))?;
    let rip = VirtAddr(regs.rip);
    match context.region(rip) {
        Some(region) => writeln!(context.out, "rip {rip} in {}", region.name)?,
        None => writeln!(context.out, "rip {rip}")?,
    }
    Ok(())
}

/// All that the text shows, in the same order.
fn records(context: &mut Context<'_>, regs: &Registers) -> Result<(), Error> {
    const OTHERS: [&str; 13] = [
        "cs",
        "ss",
        "ds",
        "es",
        "fs",
        "gs",
        "tr",
        "ldtr",
        "fs_base",
        "gs_base",
        "kernel_gs_base",
        "rflags",
        "rip",
    ];
    let region = context.region(VirtAddr(regs.rip));
    for name in GENERAL.iter().flatten().chain(&OTHERS).copied() {
        let flags = bits::RFLAGS.names(regs.rflags);
        context
            .out
            .record("register")
            .text("name", name)
            .hex("value", regs.by_name(name).unwrap_or(0))
            .maybe_text("bits", (name == "rflags").then_some(flags))
            .maybe_text(
                "region",
                region.filter(|_| name == "rip").map(|region| region.name),
            )
            .end()?;
    }
    Ok(())
}
