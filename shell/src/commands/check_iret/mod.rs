//! `check iret`: what IRETQ would make of a return frame, before anybody executes it.
//!
//! For somebody whose kernel dies at IRETQ or right behind it: type the five words in, or name
//! a process, and learn which word is wrong, by which rule, and what the CPU raises.

mod words;

use core::fmt::{self, Write};

use machine::iret::{Finding, Frame, Outcome, Part, Report, What};
use machine::{
    Access, AccessKind, Missed, NoDescriptor, PhysAddr, Situation, Tss64, Verdict, VirtAddr,
};

use crate::command::{Args, Context};
use crate::foretold::{Foretold, foretell, frame_at, frame_of, situation};
use crate::going;
use crate::judged::Judged;
use crate::output::Output;
use crate::process;
use crate::record::{Row, text};
use crate::stop::next;
use crate::{Error, Pid};
use words::{Line, say, word};

pub(super) fn run(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let first = match args.operand() {
        Some(word) => Some(context.evaluate(word.text()?)?),
        None => None,
    };
    let wanted = match (first, context.focus) {
        (None, None) => Wanted::of_stop(context)?,
        (None, Some(pid)) => Wanted::of_process(context, pid)?,
        (Some(first), _) if args.peek().is_none() => {
            Wanted::of_process(context, process::pid(first)?)?
        }
        (Some(rip), _) => Wanted::typed(context, args, rip)?,
    };
    args.done()?;
    let report = foretell(context, wanted.root, wanted.frame)?;
    show(context, wanted.root, &report)?;
    rsp0(context, &wanted)?;
    answer(context, &report)
}

/// A frame, the space it is for, and the stack for the trap back.
struct Wanted {
    root: PhysAddr,
    frame: Frame,
    /// `None` for what the task state segment says.
    rsp0: Option<VirtAddr>,
}

impl Wanted {
    fn of_process(context: &mut Context<'_>, pid: Pid) -> Result<Self, Error> {
        let info = process::alive(context.target, pid)?;
        let registers = context.processes()?.registers(pid);
        let unknown = Error::Said("the registers of the process are not known");
        Ok(Wanted {
            root: info.root,
            frame: frame_of(&registers.ok_or(unknown)?),
            rsp0: info.kernel_stack.map(|(_, top)| top),
        })
    }

    /// Where everything is stopped: the frame that IRETQ is about to take, or that of the process.
    fn of_stop(context: &mut Context<'_>) -> Result<Self, Error> {
        let nobody = || Error::Missing("process or frame");
        let stop = context.stop().map_err(|_| nobody())?;
        let root = going::root(&stop);
        match stop.pid {
            _ if next(context.target, root, VirtAddr(stop.registers.rip)).is_iretq() => {
                Ok(Wanted {
                    root,
                    frame: frame_at(context, &stop)?,
                    rsp0: None,
                })
            }
            0 => Err(nobody()),
            pid => Wanted::of_process(context, pid),
        }
    }

    fn typed(context: &mut Context<'_>, args: &mut Args<'_>, rip: u64) -> Result<Self, Error> {
        let root = context.cr3()?;
        let mut word = |what| args.number(context, what);
        let (cs, rflags) = (word("CS")?, word("RFLAGS")?);
        let (rsp, ss) = (word("RSP")?, word("SS")?);
        let frame = Frame {
            rip,
            cs,
            rflags,
            rsp,
            ss,
        };
        let rsp0 = None;
        Ok(Wanted { root, frame, rsp0 })
    }
}

const PARTS: [(Part, &str); 6] = [
    (Part::Now, "now"),
    (Part::Rip, "rip"),
    (Part::Cs, "cs"),
    (Part::Rflags, "rflags"),
    (Part::Rsp, "rsp"),
    (Part::Ss, "ss"),
];

/// One line for each word, and one for each thing there is to say about it.
pub(super) fn show(
    context: &mut Context<'_>,
    root: PhysAddr,
    report: &Report,
) -> Result<(), Error> {
    let now = situation(context, root)?;
    for (part, name) in PARTS {
        let mut found = report.findings().filter(|finding| finding.part == part);
        let first = found.next();
        // What is well needs no line where nothing was asked.
        if part == Part::Now && first.is_none() {
            continue;
        }
        let verdict = match first {
            None => "ok",
            Some(finding) => grade(finding),
        };
        let mut text = Line::new();
        word(context, part, report, &mut text)?;
        if let Some(finding) = first {
            text.write_str(": ")?;
            say(context, &now, report, finding, &mut text)?;
        }
        row(&mut context.out, (name, name), verdict, &text)?;
        for finding in found {
            let mut text = Line::new();
            say(context, &now, report, finding, &mut text)?;
            row(&mut context.out, (name, ""), grade(finding), &text)?;
        }
    }
    Ok(())
}

/// One line: the part, as it is called and as it is shown, and what is said of it.
fn row(
    out: &mut Output<'_>,
    (part, shown): (&str, &str),
    verdict: &str,
    text: &dyn fmt::Display,
) -> Result<(), Error> {
    match out.is_json() {
        true => out
            .record(ROW.name)
            .text("part", part)
            .text("verdict", verdict)
            .text("text", text)
            .end()?,
        false => writeln!(out, "{shown:<6} {verdict:<4} {text}")?,
    }
    Ok(())
}

/// What is written with `--json`.
pub(super) const ROW: Row = Row {
    name: "word",
    about: "of iret: a word of the frame, or RSP0, and what there is to say about it",
    fields: &[
        text("part", "now, rip, cs, rflags, rsp, ss, rsp0"),
        text("verdict", "ok, warn, FAIL"),
        text("text", "the word, and what is said about it"),
    ],
};

pub(super) const DEVIATION: Row = Row {
    name: "deviation",
    about: "of iret: what an emulator is known to do otherwise",
    fields: &[
        text("id", "what the deviation is called"),
        text("who", "the emulator"),
        text("what", "what it does"),
    ],
};

pub(super) const ANSWER: Row = Row {
    name: "iret",
    about: "of iret: what comes of the frame, if it is ring 3",
    fields: &[
        text("foretold", "in words"),
        text("region", "the name of the region of its RIP").or_null(),
        text("push", "what the first push raises").or_null(),
        text(
            "deviating",
            "what an emulator is known to make of it instead",
        )
        .or_null(),
    ],
};

fn grade(finding: &Finding) -> &'static str {
    match (finding.raises, finding.what) {
        (Some(_), _) => "FAIL",
        (None, What::FirstPush(..)) => "FAIL",
        (None, _) => "warn",
    }
}

/// How far below the top of a stack its guard page is looked for.
const FARTHEST: u64 = 1 << 20;
const PAGE: u64 = 0x1000;
const RSP0: (&str, &str) = ("rsp0", "rsp0");

/// The stack for the trap back: whether the CPU can push there, and what is below.
fn rsp0(context: &mut Context<'_>, wanted: &Wanted) -> Result<(), Error> {
    let now = situation(context, wanted.root)?;
    let top = match wanted.rsp0 {
        Some(top) => top,
        None => match from_tss(context, &now) {
            Ok(top) => top,
            Err(why) => {
                return row(&mut context.out, RSP0, "FAIL", &why);
            }
        },
    };
    // SS, RSP, RFLAGS, CS, RIP and an error code, from a multiple of 16 downwards.
    let first = VirtAddr((top.0 & !0xf).wrapping_sub(48));
    let page_below = VirtAddr((first.0 & !(PAGE - 1)).wrapping_sub(8));
    let access = Access {
        kind: AccessKind::Write,
        user: false,
    };
    let controls = machine::Controls {
        ac: false,
        ..now.controls
    };
    for va in [first, page_below] {
        let (walk, verdict) = now.access(context.target.memory(), va, access, controls);
        if !matches!(verdict, Verdict::Allowed { .. }) {
            let judged = Judged::of(&walk, verdict);
            let what = match va == first {
                true => "the trap back pushes",
                false => "the page below",
            };
            let text = format_args!("{top}: {what} at {va}: {judged}");
            return row(&mut context.out, RSP0, "FAIL", &text);
        }
    }
    let mut page = page_below.0 & !(PAGE - 1);
    while top.0.wrapping_sub(page) < FARTHEST {
        let va = VirtAddr(page);
        let (_, verdict) = now.access(context.target.memory(), va, access, controls);
        if matches!(verdict, Verdict::PageFault { .. }) {
            let room = top.0.wrapping_sub(page).wrapping_sub(PAGE);
            let size = crate::render::Size(room);
            let text = format_args!("{top}: {size} above a guard page");
            return row(&mut context.out, RSP0, "ok", &text);
        }
        page = page.wrapping_sub(PAGE);
    }
    let text = format_args!("{top}: no guard page within 1M below");
    row(&mut context.out, RSP0, "warn", &text)
}

/// RSP0 as the CPU would read it.
fn from_tss(context: &mut Context<'_>, now: &Situation) -> Result<VirtAddr, &'static str> {
    if now.tr.is_null() {
        return Err("no task state segment is loaded");
    }
    let memory = context.target.memory();
    let segment = now.system(memory, now.tr).map_err(|why| match why {
        NoDescriptor::BeyondLimit => "TR names no descriptor of the GDT",
        _ => "the descriptor of the task state segment cannot be read under this CR3",
    })?;
    let read = now.read::<{ Tss64::BYTES }>(memory, VirtAddr(segment.base));
    match read {
        Ok(bytes) => Ok(Tss64::decode(&bytes).rsp[0]),
        Err(Missed::Raised(..)) => Err("the task state segment is not mapped under this CR3"),
        Err(Missed::Unknown(..)) => Err("the task state segment cannot be read from here"),
    }
}

/// The last line, and `$_`: 0 if it comes to ring 3, else 0x200 and the vector.
fn answer(context: &mut Context<'_>, report: &Report) -> Result<(), Error> {
    deviations(context, report)?;
    let raised = report.outcome.raised();
    context.state.value = raised.map_or(0, |(raised, _)| 0x200 | u64::from(raised.vector));
    let foretold = Foretold::of(report);
    match report.outcome {
        Outcome::Enters(3) if context.out.is_json() => {
            let region = context.region(VirtAddr(report.frame.rip));
            let record = context
                .out
                .record(ANSWER.name)
                .text("foretold", foretold)
                .maybe_text("region", region.map(|region| region.name))
                .maybe_text("push", report.push)
                .maybe_text("deviating", Foretold::deviating(report));
            Ok(record.end()?)
        }
        Outcome::Enters(3) => {
            write!(context.out, "{foretold}")?;
            if let Some(region) = context.region(VirtAddr(report.frame.rip)) {
                write!(context.out, " in {}", region.name)?;
            }
            match report.push {
                Some(raised) => writeln!(context.out, ", and the first push raises {raised}")?,
                None => writeln!(context.out)?,
            }
            Ok(())
        }
        _ => Err(Error::Foretold(foretold)),
    }
}

/// What an emulator is known to do otherwise with this frame.
fn deviations(context: &mut Context<'_>, report: &Report) -> Result<(), Error> {
    for known in report.deviations() {
        let out = &mut context.out;
        match out.is_json() {
            true => out
                .record(DEVIATION.name)
                .text("id", known.id)
                .text("who", known.who)
                .text("what", known.what)
                .end()?,
            false => writeln!(out, "{}: {}: {}", known.id, known.who, known.what)?,
        }
    }
    if context.out.is_json() {
        return Ok(());
    }
    if let Some(foretold) = Foretold::deviating(report) {
        writeln!(context.out, "so there: {foretold}")?;
    }
    Ok(())
}
