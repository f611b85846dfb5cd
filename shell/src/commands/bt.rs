//! `bt`: who called whom, down to here.

use core::fmt::Write;

use machine::{PhysAddr, Registers};
use unwinder::Walk;

use crate::backtrace::{Entry, Images};
use crate::command::{ArgKind, Args, Command, Context, Group};
use crate::names::is_upper;
use crate::process::{self, Named, Pids};
use crate::record::{Row, flag, hex, number, text};
use crate::{Backtrace, Error, Pid, Resting, Symbols, Threads};

pub(super) const COMMAND: Command = Command {
    name: "bt",
    group: Group::Stops,
    usage: "[pid|all]",
    summary: "show who called whom",
    help: "Shows the calls that led to where a thread is, the innermost first, each with its function, the inlined ones, file and line: of the stopped thread, or of one that waits. A process has one thread, with its pid; 0 is the kernel's own, which is also what is shown while nothing is stopped; `all` shows every one. The way leads through interrupts and system calls, with a marked line between, into the program. It is found by the unwind tables (.eh_frame) of the kernel and of the program, and by RBP only where they say nothing. Each word of a stack is looked up in the page tables before it is read; if the way ends early, the last line says why.",
    examples: &[
        ("bt", "the stopped thread"),
        ("bt 3", "a process that does not run"),
        ("bt all", "every thread"),
    ],
    args: &[ArgKind::Process],
    rows: &[
        Row {
            name: "thread",
            about: "whose calls follow, of `bt all`",
            fields: &[
                number("pid", "the process; 0 is the kernel's own thread"),
                text("program", "its program; `kernel` for the kernel's own"),
            ],
        },
        Row {
            name: "call",
            about: "a function that called the one above, the innermost first; the inlined ones, too",
            fields: &[
                number("pid", "the thread"),
                number("depth", "how many calls away"),
                hex("at", "the instruction that goes on"),
                number("ring", "its ring"),
                text("function", "its name").or_null(),
                text("file", "where its source is").or_null(),
                number("line", "the line there").or_null(),
                flag("inlined", "it is part of the next one"),
                flag("guess", "found by RBP, without a table"),
                text("interrupted_by", "why it does not go on by itself").or_null(),
                number("repeats", "how many more calls follow from the same place"),
            ],
        },
        Row {
            name: "end",
            about: "why there are no more calls, if the last one is not the outermost function",
            fields: &[number("pid", "the thread"), text("reason", "in words")],
        },
    ],
    run,
};

/// More calls than that are no use, but for those from the same place.
const DEEPEST: usize = 64;

fn run(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let all = args.peek().is_some_and(|word| word.0 == "all");
    if all {
        args.word();
        args.done()?;
        return every(context);
    }
    let pid = args.maybe_pid(context)?.or(context.focus);
    args.done()?;
    let stopped = stopped(context).map(|(pid, _)| pid);
    one(context, pid.or(stopped).unwrap_or(0))
}

/// Every thread: the kernel's own, then the processes that are not dead.
fn every(context: &mut Context<'_>) -> Result<(), Error> {
    let mut pids = Pids::all(context.target)?;
    let mut result = head(context, 0, None).and_then(|()| one(context, 0));
    loop {
        context.check_interrupt()?;
        let Some(info) = pids.next(context.target) else {
            return result;
        };
        if info.state.exit().is_some() {
            continue;
        }
        head(context, info.pid, Some(Named::of(&info)))?;
        // One that cannot be followed does not hide the others.
        match one(context, info.pid) {
            Err(error @ (Error::Said(_) | Error::NoProcess(_))) => result = Err(error),
            other => other?,
        }
    }
}

fn head(context: &mut Context<'_>, pid: Pid, named: Option<Named>) -> Result<(), Error> {
    let out = &mut context.out;
    let name = named.as_ref().map_or("kernel", |named| named.name.as_str());
    match out.is_json() {
        true => out
            .record("thread")
            .number("pid", pid)
            .text("program", name)
            .end()?,
        false => writeln!(out, "{name} (pid {pid}):")?,
    }
    Ok(())
}

/// The thread that is stopped.
fn stopped(context: &mut Context<'_>) -> Option<(Pid, Registers)> {
    let stop = context.target.debugger()?.stop()?;
    Some((stop.pid, stop.registers))
}

fn one(context: &mut Context<'_>, pid: Pid) -> Result<(), Error> {
    let (resting, root) = match stopped(context).filter(|stopped| stopped.0 == pid) {
        Some((_, registers)) => (
            Resting {
                registers: unwinder::Registers::of(&registers),
                is_interrupted: true,
            },
            PhysAddr(registers.cr3),
        ),
        None => {
            let root = match pid {
                0 => context
                    .target
                    .master()
                    .ok_or(Error::Lacks("master table"))?,
                pid => process::alive(context.target, pid)?.root,
            };
            let resting = threads(context)?.resting(pid);
            let unknown = Error::Said("where this thread stands in the kernel is not known");
            (resting.ok_or(unknown)?, root)
        }
    };
    let tables = threads(context)?.unwind_tables(pid);
    let walk = Walk::new(tables, resting.registers, resting.is_interrupted);
    let paging = context.target.paging();
    let memory = context.target.memory();
    let backtrace = Backtrace::<DEEPEST>::follow(walk, memory, &paging, root);
    let images = match context.target.symbols() {
        Some(symbols) => images(symbols, pid),
        None => Images::default(),
    };
    let out = &mut context.out;
    if !out.is_json() {
        return Ok(backtrace.write(&images, out)?);
    }
    let mut depth = 0_u64;
    for call in &backtrace.calls {
        let found = images.describe(call);
        let mut frames = found.into_iter().flat_map(|found| found.frames).peekable();
        loop {
            let frame = frames.next();
            let place = frame.as_ref().filter(|frame| !frame.file.is_empty());
            let line = place.map(|frame| frame.line).filter(|line| *line != 0);
            let entry = call.entry.map(Entry);
            out.record("call")
                .number("pid", pid)
                .number("depth", depth)
                .hex("at", call.rip)
                .number("ring", if is_upper(call.rip) { 0_u32 } else { 3 })
                .maybe_text("function", frame.as_ref().map(|frame| frame.function))
                .maybe_text("file", place.map(|frame| frame.file))
                .number("line", line)
                .flag(
                    "inlined",
                    frame.as_ref().is_some_and(|frame| frame.is_inlined),
                )
                .flag("guess", call.is_guess)
                .maybe_text("interrupted_by", entry)
                .number("repeats", call.repeats)
                .end()?;
            if frames.peek().is_none() {
                break;
            }
        }
        depth = depth.saturating_add(1).saturating_add(call.repeats.into());
    }
    if !backtrace.ends.is_empty() {
        out.record("end")
            .number("pid", pid)
            .text("reason", &backtrace.ends)
            .end()?;
    }
    Ok(())
}

pub(super) fn threads<'a>(context: &'a mut Context<'_>) -> Result<&'a mut dyn Threads, Error> {
    let threads = context.target.threads();
    threads.ok_or(Error::Lacks("way to walk up its stacks"))
}

fn images(symbols: &mut dyn Symbols, pid: Pid) -> Images<'_> {
    let symbols: &dyn Symbols = symbols;
    let program = (pid != 0).then(|| symbols.program(pid).ok());
    Images {
        kernel: symbols.kernel().ok(),
        program: program.flatten(),
    }
}
