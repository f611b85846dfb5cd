//! `iretq`: start a program with a return frame of one's own making.
//!
//! For somebody whose kernel dies at IRETQ: put the frame it built here, and see which fault
//! the CPU raises, where, and with which error code.

use core::fmt::{self, Write};

use machine::iret::{Frame, Outcome, Report};

use crate::command::{ArgKind, Args, Command, Context, Group};
use crate::commands::spawn;
use crate::error::excerpt;
use crate::foreground::OUTPUT;
use crate::foretold::{Foretold, Held, compare, foretell, frame_of, ring_of_fault};
use crate::grammar::word::Word;
use crate::once::Once;
use crate::process::{self, Named};
use crate::record::{Row, flag, text};
use crate::{Error, Exit, Pid, Start};

pub(super) const COMMAND: Command = Command {
    name: "iretq",
    group: Group::Processes,
    usage: "<program> [cs=N] [ss=N] [rip=N] [rsp=N] [rflags=N] [unchecked] [--force] [break]",
    summary: "start a program with a changed return frame",
    help: "Starts a program like `spawn`, but the frame that the first IRETQ to ring 3 takes is changed as given. What `check iret` foretells of it decides: if it would not come to ring 3, or its stack would fault, it is refused with the reason, and nothing has run. `--force` tries it all the same; then the kernel checks the frame before it uses it, and a bad one ends the process with #GP(0) at the frame's RIP, whatever the CPU would have said; RFLAGS are masked: IOPL and VM off, IF on. With `unchecked` the frame goes to the CPU as it is, RFLAGS included, and what the CPU raises at the IRETQ ends the process. A frame with IF clear then runs until the machine is reset, since nothing can interrupt it; one that leads to ring 0 ends the kernel.\nWhere the CPU had its say, the command tells whether what was foretold came true: `as predicted`, or it fails with `prediction failed`. `check iret` takes the same words and tries nothing.\nWith `break` a hardware breakpoint (DR0) waits at the program's first instruction: #DB ends the process there, unless RF (0x10000) is set in the frame.",
    examples: &[
        (
            "iretq hello cs=0x10",
            "the kernel's data segment as CS: refused",
        ),
        (
            "iretq hello cs=0 unchecked",
            "what the CPU says of a null CS",
        ),
        (
            "iretq nothing rsp=0x8000_0000_0000 --force",
            "a stack pointer at the edge of what is canonical",
        ),
    ],
    rows: &[
        OUTPUT,
        Row {
            name: "prediction",
            about: "what was foretold, and whether it came",
            fields: &[
                flag("held", "whether it came so"),
                text("foretold", "what was foretold"),
                text("came", "what came; null if it was something else").or_null(),
                text(
                    "deviations",
                    "the known deviations that were taken into account, by id",
                )
                .or_null(),
            ],
        },
    ],
    args: &[
        ArgKind::Program,
        ArgKind::Words(&[
            "--force",
            "break",
            "cs=",
            "rflags=",
            "rip=",
            "rsp=",
            "ss=",
            "unchecked",
        ]),
    ],
    run,
};

fn run(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let program = args.word().ok_or(Error::Missing("program"))?;
    let Wish { start, force } = read(context, args)?;
    let pid = spawn::start(context, program, &[])?;
    let report = match foretold(context, pid, start, force) {
        Ok(report) => report,
        Err(why) => {
            let processes = context.processes()?;
            // It has not run; nothing of it stays.
            let _ = processes.kill(pid);
            let _ = processes.reap(pid);
            return Err(why);
        }
    };
    let who = Named::of(&process::info(context.target, pid)?);
    let stayed = spawn::stay(context, pid);
    let exit = match &stayed {
        Ok(()) => Some(Exit::Code(0)),
        Err(Error::Ended(_, exit)) => Some(*exit),
        Err(_) => None,
    };
    if let (Some(report), Some(exit)) = (report, exit) {
        said(context, &report, who, exit)?;
    }
    stayed
}

/// What is foretold of the process, if that is what will be tried: a breakpoint comes first, and
/// the kernel's own check ends a process whose frame it does not like before the CPU can.
///
/// # Errors
///
/// It is not to be tried, or cannot be.
fn foretold(
    context: &mut Context<'_>,
    pid: Pid,
    start: Start,
    force: bool,
) -> Result<Option<Report>, Error> {
    let info = process::info(context.target, pid)?;
    let registers = context.processes()?.registers(pid);
    let changed = context.processes()?.change_start(pid, start);
    changed.map_err(Error::Process)?;
    // A target without registers foretells nothing.
    let (Some(registers), true) = (registers, context.target.cpu().is_some()) else {
        return Ok(None);
    };
    let usual = frame_of(&registers);
    let frame = Frame {
        rip: start.rip.unwrap_or(usual.rip),
        cs: start.cs.unwrap_or(usual.cs),
        rflags: start.rflags.unwrap_or(usual.rflags),
        rsp: start.rsp.unwrap_or(usual.rsp),
        ss: start.ss.unwrap_or(usual.ss),
    };
    let report = foretell(context, info.root, frame)?;
    let is_sound = report.outcome == Outcome::Enters(3) || is_trap(report.outcome);
    if !force && !start.unchecked {
        if !is_sound {
            return Err(Error::Refused(Foretold::of(&report)));
        }
        if let Some(raised) = report.push.or(report.top) {
            return Err(Error::RefusedStack(raised));
        }
    }
    Ok((!start.breakpoint && (start.unchecked || is_sound)).then_some(report))
}

/// Whether it is the #DB that TF asked for.
fn is_trap(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::AfterFirst(_, 3))
}

/// Says whether it came as foretold.
fn said(context: &mut Context<'_>, report: &Report, who: Named, exit: Exit) -> Result<(), Error> {
    let ring = ring_of_fault(context, who.pid);
    let held = compare(report, exit, ring);
    if context.out.is_json() {
        let (came, ids) = match &held {
            Held::True(came) => (Some(came), None),
            Held::Deviating(came) => (Some(came), Some(Ids(report))),
            Held::False => (None, None),
        };
        context
            .out
            .record("prediction")
            .flag("held", came.is_some())
            .text("foretold", Foretold::of(report))
            .maybe_text("came", came)
            .maybe_text("deviations", ids)
            .end()?;
        return match held {
            Held::False => Err(Error::NotAsForetold(who, exit)),
            _ => Ok(()),
        };
    }
    match held {
        Held::True(came) => writeln!(context.out, "as predicted: {came}")?,
        Held::Deviating(came) => {
            write!(context.out, "as predicted for")?;
            for known in report.deviations() {
                write!(context.out, " {} ({})", known.who, known.id)?;
            }
            writeln!(context.out, ": {came}")?;
        }
        Held::False => {
            writeln!(context.out, "predicted: {}", Foretold::of(report))?;
            return Err(Error::NotAsForetold(who, exit));
        }
    }
    Ok(())
}

/// The known deviations that a report names.
struct Ids<'a>(&'a Report);

impl fmt::Display for Ids<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut gap = "";
        for known in self.0.deviations() {
            write!(f, "{gap}{}", known.id)?;
            gap = " ";
        }
        Ok(())
    }
}

/// What was asked for.
struct Wish {
    start: Start,
    force: bool,
}

fn read(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<Wish, Error> {
    let (mut cs, mut ss, mut rip) = (Once::default(), Once::default(), Once::default());
    let (mut rsp, mut rflags) = (Once::default(), Once::default());
    let (mut unchecked, mut breakpoint) = (Once::default(), Once::default());
    let mut force = Once::default();
    while let Some(word) = args.word() {
        let text = word.text()?;
        match text.split_once('=') {
            None if word == Word("&") => {
                return Err(Error::Said(
                    "`&` is not taken: `iretq` runs in the foreground",
                ));
            }
            None if text == "unchecked" => unchecked.set(text, ())?,
            None if text == "--force" => force.set(text, ())?,
            None if text == "break" => breakpoint.set(text, ())?,
            Some((name, value)) => {
                let field = match name {
                    "cs" => &mut cs,
                    "ss" => &mut ss,
                    "rip" => &mut rip,
                    "rsp" => &mut rsp,
                    "rflags" => &mut rflags,
                    _ => return Err(unknown(text)),
                };
                field.set(text, context.evaluate(value)?)?;
            }
            None => return Err(unknown(text)),
        }
    }
    let start = Start {
        cs: cs.get(),
        ss: ss.get(),
        rip: rip.get(),
        rsp: rsp.get(),
        rflags: rflags.get(),
        unchecked: unchecked.is_set(),
        breakpoint: breakpoint.is_set(),
    };
    let force = force.is_set();
    Ok(Wish { start, force })
}

fn unknown(text: &str) -> Error {
    Error::Unknown(
        excerpt(text),
        "a part of the frame; `help iretq` lists them",
    )
}
