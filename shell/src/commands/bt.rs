//! `bt`: who called whom, down to here.

use core::fmt::{self, Write};

use machine::{PhysAddr, VirtAddr};

use crate::command::{Args, Command, Context, Group};
use crate::process;
use crate::record::{Row, hex, number, text};
use crate::stop::{next, symbol};
use crate::virt::Virt;
use crate::{Caller, Error, Pid};

pub(super) const COMMAND: Command = Command {
    name: "bt",
    group: Group::Stops,
    usage: "[pid]",
    summary: "show who called whom",
    help: "Shows the calls that led to where the stopped thread is, the last one first, or to where a process waits in the kernel and, through its trap, in ring 3. They are found by frame pointers (RBP), and each is checked against the page tables before it is read; a chain that breaks off or runs in a circle is said to. A function that has not set up its frame yet hides its caller.",
    examples: &[
        ("bt", "the stopped thread"),
        ("bt 3", "a process that does not run"),
    ],
    args: &[],
    rows: &[
        Row {
            name: "call",
            about: "a place that was called from the one below, the innermost first",
            fields: &[
                number("depth", "how many calls away"),
                hex("at", "the instruction that goes on"),
                number("ring", "its ring"),
                text("symbol", "the name of the place").or_null(),
                text("region", "where the place has no name, that of its region").or_null(),
            ],
        },
        Row {
            name: "note",
            about: "what lies between two of them, or why there are no more",
            fields: &[text("text", "in words")],
        },
    ],
    run,
};

/// More calls than that are no use.
const DEEPEST: usize = 64;

fn run(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let pid = match args.peek() {
        Some(_) => Some(args.pid(context)?),
        None => context.focus,
    };
    args.done()?;
    let stopped = context.debugger()?.stop();
    let (caller, root) = match pid {
        Some(pid) if stopped.as_ref().is_none_or(|stop| stop.pid != pid) => {
            let info = process::alive(context.target, pid)?;
            let caller = context.debugger()?.resting(pid).ok_or(Error::Said(
                "where the process stands in the kernel is not known",
            ))?;
            (caller, info.root)
        }
        _ => {
            let registers = context.registers()?;
            let caller = Caller {
                rip: VirtAddr(registers.rip),
                rbp: VirtAddr(registers.rbp),
                rsp: VirtAddr(registers.rsp),
                cs: registers.cs,
            };
            (caller, PhysAddr(registers.cr3))
        }
    };
    chain(context, caller, root, pid)
}

fn chain(
    context: &mut Context<'_>,
    mut at: Caller,
    root: PhysAddr,
    pid: Option<Pid>,
) -> Result<(), Error> {
    line(context, 0, at, pid)?;
    // The first one may be at the very beginning of a function, or at its end.
    let first = next(context.target, root, at.rip);
    let mut hidden = first.words_to_return();
    for depth in 1..DEEPEST {
        let mut virt = Virt::new(context.target, root);
        let (place, rbp) = match hidden.take() {
            // Its frame is not there (any more): RBP is still the caller's, or was just pushed.
            Some(words) => (at.rsp.0.wrapping_add(words * 8), at.rbp),
            None => {
                let Ok(rbp) = virt.word(at.rbp.0, 0) else {
                    return end(context, at);
                };
                (at.rbp.0.wrapping_add(8), VirtAddr(rbp))
            }
        };
        let Ok(back) = virt.word(place, 0) else {
            return end(context, at);
        };
        if back == 0 {
            return Ok(());
        }
        let above = VirtAddr(place.wrapping_add(8));
        let ring = at.cs;
        at = match context.debugger()?.interrupted(VirtAddr(back), above) {
            Some(caller) => {
                let inner = Caller {
                    rip: VirtAddr(back),
                    rbp,
                    rsp: above,
                    cs: ring,
                };
                line(context, depth, inner, pid)?;
                let ring = caller.cs & 3;
                note(context, format_args!("trap from ring {ring}"))?;
                caller
            }
            None => Caller {
                rip: VirtAddr(back),
                rbp,
                rsp: above,
                cs: ring,
            },
        };
        line(context, depth, at, pid)?;
        // Frames lie above each other; a chain that goes down goes round.
        if at.cs == ring && rbp.0 != 0 && rbp.0 < place && at.rbp == rbp {
            return note(
                context,
                format_args!("RBP {rbp} leads down: the chain is broken"),
            );
        }
    }
    note(context, format_args!("more than {DEEPEST} calls"))
}

/// No more frames: RBP 0 is how a chain ends.
fn end(context: &mut Context<'_>, at: Caller) -> Result<(), Error> {
    if at.rbp.0 != 0 {
        let rbp = at.rbp;
        note(context, format_args!("RBP {rbp} leads to no stack"))?;
    }
    Ok(())
}

/// What is to be known besides the calls.
fn note(context: &mut Context<'_>, what: fmt::Arguments<'_>) -> Result<(), Error> {
    let out = &mut context.out;
    match out.is_json() {
        true => out.record("note").text("text", what).end()?,
        false => writeln!(out, "    -- {what} --")?,
    }
    Ok(())
}

fn line(
    context: &mut Context<'_>,
    depth: usize,
    at: Caller,
    pid: Option<Pid>,
) -> Result<(), Error> {
    let ring = at.cs & 3;
    let whose = pid.or_else(|| context.whose());
    let name = symbol(context.target, whose, at.rip);
    let region = context.region(at.rip).filter(|_| name.is_none());
    let out = &mut context.out;
    if out.is_json() {
        return Ok(out
            .record("call")
            .number("depth", depth)
            .hex("at", at.rip)
            .number("ring", ring)
            .maybe_text("symbol", name)
            .maybe_text("region", region.map(|region| region.name))
            .end()?);
    }
    write!(out, "{depth:>3} {} ring {ring}", at.rip)?;
    match (name, region) {
        (Some(name), _) => writeln!(out, "  <{name}>")?,
        (None, Some(region)) => writeln!(out, " in {}", region.name)?,
        (None, None) => writeln!(out)?,
    }
    Ok(())
}
