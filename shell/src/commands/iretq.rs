//! `iretq`: start a program with a return frame of one's own making.
//!
//! For somebody whose kernel dies at IRETQ: put the frame it built here, and see which fault
//! the CPU raises, where, and with which error code.

use core::fmt::Write;

use heapless::Vec;
use machine::VirtAddr;
use machine::iret::{Frame, Outcome, Report};

use crate::command::{ArgKind, Args, Command, Context, Group};
use crate::commands::spawn;
use crate::error::excerpt;
use crate::foreground::OUTPUT;
use crate::foretold::{Foretold, Held, Ids, compare, foretell, frame_of, ring_of_fault};
use crate::grammar::word::Word;
use crate::once::Once;
use crate::process::{self, Named};
use crate::record::{Row, flag, text};
use crate::stop::STOP;
use crate::way::{self, CourseLine, switches};
use crate::{Error, Exit, Pid, Spoil, Start, spoil};

pub(super) const COMMAND: Command = Command {
    name: "iretq",
    group: Group::Processes,
    usage: "<program> [cs|ss|rip|rsp|rflags|rsp0=N...] [spoil=...] [unchecked] [--force] [break]",
    summary: "start a program with a changed return frame",
    help: "Starts a program like `spawn`, with the frame that the first IRETQ to ring 3 takes changed as given, and the process broken by `spoil=` and `rsp0=` as by the command `spoil`. What `check switch` and `check iret` find wrong with it is the reason why it is refused. `--force` tries it: what would end the kernel is said before, and the report of the fault says whether it came so. The kernel then checks the frame, and a bad one ends the process with #GP(0) at the frame's RIP; RFLAGS are masked: IOPL and VM off, IF on. With `unchecked` the frame goes to the CPU as it is, and what the CPU raises at the IRETQ ends the process; with IF clear it runs until the machine is reset, and a frame that leads to ring 0 ends the kernel.\nThe command tells whether what was foretold came true: `as predicted`, or it fails with `prediction failed`.\nWith `break` a hardware breakpoint (DR0) waits at the program's first instruction: #DB ends the process there, unless RF (0x10000) is set in the frame.",
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
        STOP,
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
            "rsp0=",
            "rsp=",
            "spoil=",
            "ss=",
            "unchecked",
        ]),
    ],
    run,
};

fn run(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let program = args.word().ok_or(Error::Missing("program"))?;
    let wish = read(context, args)?;
    let pid = spawn::start(context, program, &[])?;
    let report = match foretold(context, pid, &wish) {
        Ok(report) => report,
        Err(why) => {
            spawn::forget(context, pid)?;
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
    if let (Some(report), Some(exit)) = (report, exit)
        && (wish.start.unchecked || !is_own_check(&report, exit))
    {
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
fn foretold(context: &mut Context<'_>, pid: Pid, wish: &Wish) -> Result<Option<Report>, Error> {
    let Wish { start, force, .. } = *wish;
    for what in &wish.spoils {
        let spoiled = switches(context)?.spoil(pid, *what);
        spoiled.map_err(Error::Process)?;
    }
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
    switch(context, pid, &report, force)?;
    let is_sound = report.outcome == Outcome::Enters(3) || is_trap(report.outcome);
    if !force && !start.unchecked {
        if !is_sound {
            return Err(Error::Refused(Foretold::of(&report)));
        }
        if let Some(raised) = report.push.or(report.top) {
            return Err(Error::RefusedStack(raised));
        }
    }
    let goes_to_cpu = start.unchecked || !matches!(report.outcome, Outcome::AtIretq(_));
    Ok((!start.breakpoint && goes_to_cpu).then_some(report))
}

/// Looks the switch to the process up, where the target knows what it needs. If it would end the
/// kernel and is to be tried all the same, says so first: there is no afterwards.
fn switch(context: &mut Context<'_>, pid: Pid, report: &Report, force: bool) -> Result<(), Error> {
    if context.target.switches().is_none() {
        return Ok(());
    }
    let way = way::of(context, pid, report)?;
    if !force {
        way.refuse()?;
    }
    if let Some((what, course)) = &way.stop {
        writeln!(
            context.out,
            "predicted: stops at: {what}: {}",
            CourseLine(course, way.unreported)
        )?;
    } else if let Some(course) = &way.back {
        let foretold = Foretold::of(report);
        let line = CourseLine(course, way.unreported);
        writeln!(
            context.out,
            "predicted: {foretold}; the first trap back: {line}"
        )?;
    }
    let switches = switches(context)?;
    switches.expect(way.reported());
    switches.release(pid);
    Ok(())
}

/// Whether the kernel refused the frame by itself: it says so as #GP(0) at the frame's RIP.
fn is_own_check(report: &Report, exit: Exit) -> bool {
    const GENERAL_PROTECTION: u8 = 13;
    exit == Exit::Fault {
        vector: GENERAL_PROTECTION,
        error: 0,
        address: None,
        rip: VirtAddr(report.frame.rip),
    }
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

/// What was asked for.
struct Wish {
    start: Start,
    force: bool,
    spoils: Vec<Spoil, 4>,
}

fn read(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<Wish, Error> {
    let (mut cs, mut ss, mut rip) = (Once::default(), Once::default(), Once::default());
    let (mut rsp, mut rflags) = (Once::default(), Once::default());
    let (mut unchecked, mut breakpoint) = (Once::default(), Once::default());
    let mut force = Once::default();
    let mut spoils = Vec::new();
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
            Some(("spoil", value)) => {
                let spoil = spoil::entry(value, context)?;
                add(&mut spoils, spoil)?;
            }
            Some(("rsp0", value)) => {
                let spoil = Spoil::Rsp0(VirtAddr(context.evaluate(value)?));
                add(&mut spoils, spoil)?;
            }
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
    Ok(Wish {
        start,
        force,
        spoils,
    })
}

fn add(spoils: &mut Vec<Spoil, 4>, spoil: Spoil) -> Result<(), Error> {
    let added = spoils.push(spoil);
    added.map_err(|_| Error::Said("a process is broken in 4 ways at most"))
}

fn unknown(text: &str) -> Error {
    Error::Unknown(
        excerpt(text),
        "a part of the frame; `help iretq` lists them",
    )
}
