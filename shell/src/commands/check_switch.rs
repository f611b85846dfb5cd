//! `check switch`: would the kernel survive the load of a process's CR3, and come back?
//!
//! For somebody whose kernel dies without a word right behind `mov cr3`. All that the CPU and
//! the kernel touch from there on is looked up in the tables to come, while those in use are
//! still good.

use core::fmt::{self, Write};

use machine::transition::{Met, Need, Use, When};
use machine::{End, VirtAddr};

use crate::Error;
use crate::command::{Args, Context};
use crate::foretold::{Foretold, foretell, frame_of};
use crate::judged::Judged;
use crate::process;
use crate::record::{Row, flag, hex, text};
use crate::way::{CourseLine, Way, look};

pub(super) fn run(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let pid = match (args.peek(), context.focus) {
        (None, Some(pid)) => pid,
        _ => args.pid(context)?,
    };
    args.done()?;
    let root = process::alive(context.target, pid)?.root;
    let registers = context.processes()?.registers(pid);
    let unknown = Error::Said("the registers of the process are not known");
    let report = foretell(context, root, frame_of(&registers.ok_or(unknown)?))?;
    let way = look(context, pid, &report, Some(row))?;
    if let Some(stale) = way.stale {
        let (value, should_be) = (stale.value, stale.should_be);
        let out = &mut context.out;
        match out.is_json() {
            true => out
                .record(NEED.name)
                .text("group", "trap")
                .text("what", "RSP0")
                .hex("first", value)
                .hex("last", value)
                .flag("met", false)
                .hex("at", value)
                .text("text", format_args!("its kernel stack ends at {should_be}"))
                .end()?,
            false => writeln!(
                out,
                "FAIL trap   RSP0 {value}: its kernel stack ends at {should_be}"
            )?,
        }
    }
    end(context, &way, &Foretold::of(&report))
}

/// What is written with `--json`.
pub(super) const NEED: Row = Row {
    name: "need",
    about: "of switch: what is touched, and what it comes to in the tables to come",
    fields: &[
        text("group", "way, trap, report, region"),
        text("what", "what it is"),
        hex("first", "its first address"),
        hex("last", "its last one"),
        flag("met", "whether it is as needed"),
        hex("at", "the address that decided"),
        text(
            "text",
            "the rights there, or the entry at fault and its bit",
        ),
    ],
};

pub(super) const COURSE: Row = Row {
    name: "course",
    about: "of switch: where it leads",
    fields: &[
        text("foretold", "what IRETQ makes of the frame"),
        text("stops_at", "the need at which the way stops before").or_null(),
        text(
            "course",
            "what is raised there or by the first trap, and its end",
        )
        .or_null(),
    ],
};

/// One line for a need.
fn row(context: &mut Context<'_>, need: &Need, met: &Met) -> Result<(), Error> {
    context.check_interrupt()?;
    let verdict = if met.is_met { "ok" } else { "FAIL" };
    let group = match need.when {
        When::Switch => "way",
        When::Trap => "trap",
        When::Report => "report",
        When::Whole => "region",
    };
    let last = VirtAddr(need.first.0.wrapping_add(need.bytes.saturating_sub(1)));
    let out = &mut context.out;
    if out.is_json() {
        let record = out
            .record(NEED.name)
            .text("group", group)
            .text("what", need.what)
            .hex("first", need.first)
            .hex("last", last)
            .flag("met", met.is_met)
            .hex("at", met.at)
            .text("text", Judged::of(&met.walk, met.verdict));
        return Ok(record.end()?);
    }
    write!(out, "{verdict:<4} {group:<6} {} ", need.what)?;
    match need.bytes {
        0..=16 => write!(out, "{}", need.first)?,
        _ => write!(out, "{}..{last}", need.first)?,
    }
    if met.is_met {
        writeln!(out, "{}", Well(need, met))?;
        return Ok(());
    }
    let judged = Judged::of(&met.walk, met.verdict);
    match (need.how, met.at == need.first) {
        (Use::Guard, _) => writeln!(out, ": {} is mapped: {judged}", met.at)?,
        (_, true) => writeln!(out, ": {judged}")?,
        (_, false) => writeln!(out, ": at {}: {judged}", met.at)?,
    }
    Ok(())
}

/// What a need that is met comes to.
struct Well<'a>(&'a Need, &'a Met);

impl fmt::Display for Well<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.how, self.1.walk.end()) {
            (Use::Guard, _) => f.write_str(" not mapped"),
            (_, End::Mapped { rights, .. }) => write!(f, " {rights}"),
            _ => Ok(()),
        }
    }
}

/// The answer.
fn end(context: &mut Context<'_>, way: &Way, foretold: &Foretold) -> Result<(), Error> {
    let out = &mut context.out;
    if out.is_json() {
        let stop = way.stop.as_ref();
        let course = stop.map(|(_, course)| course).or(way.back.as_ref());
        let line = course.map(|course| CourseLine(course, way.unreported));
        out.record(COURSE.name)
            .text("foretold", foretold)
            .maybe_text("stops_at", stop.map(|(what, _)| what))
            .maybe_text("course", line)
            .end()?;
        return ready(context, way);
    }
    match (&way.stop, &way.back) {
        (Some((what, course)), _) => {
            writeln!(
                out,
                "stops at: {what}: {}",
                CourseLine(course, way.unreported)
            )?;
        }
        (None, Some(course)) => {
            writeln!(
                out,
                "{foretold}; the first trap back does not arrive: {}",
                CourseLine(course, way.unreported)
            )?;
        }
        (None, None) => writeln!(out, "{foretold}")?,
    }
    ready(context, way)
}

/// `$_`, and whether all is well.
fn ready(context: &mut Context<'_>, way: &Way) -> Result<(), Error> {
    context.state.value = way.missing + u64::from(way.stale.is_some());
    match way.is_clear() && context.state.value == 0 {
        true => Ok(()),
        false => Err(Error::NotReady(context.state.value, way.needs)),
    }
}
