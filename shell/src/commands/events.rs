//! `events`: what the processor did, step by step, up to now.
//!
//! Come here when a switch went wrong: the last lines are how far it came.

use core::fmt::Write;

use machine::PhysAddr;

use crate::command::{ArgKind, Args, Command, Context, Group};
use crate::error::excerpt;
use crate::event::What;
use crate::once::Once;
use crate::output::Output;
use crate::record::{Row, hex, number, text};
use crate::render::Count;
use crate::{Error, Event, EventKind, Events, Pid};

pub(super) const COMMAND: Command = Command {
    name: "events",
    group: Group::Processor,
    usage: "[kind=NAME] [pid=PID] [last=COUNT]",
    summary: "show what the processor did, step by step",
    help: "Shows the records of the ring of events, the oldest first: number, cycles since the one shown before, pid (0 is the kernel), the ring by the low two bits of the CS that the CPU pushed (or takes, on a return; `-` where neither happens), CR3, and what happened. `kind=` and `pid=` choose; `last=` shows only so many of those chosen, the newest. The last line counts them and says how many records have been overwritten, and what one record costs. `$_` becomes the number shown.\nKinds: `save-context`, `cr3-load`, `rsp0-set`, `stack-switch`, `iretq`, `trap-entry`, `trap-exit`, `system-call`, `system-return`, `fault`, `flush`, `flush-all`, `poke`, `spawn`, `fork`, `exit`, `reap`, `nmi`.",
    examples: &[
        (
            "spawn hello; events last=40",
            "the way into ring 3 and back",
        ),
        ("events kind=cr3-load", "who was switched to, and when"),
        ("events pid=3 kind=fault", "what it died of"),
    ],
    rows: &[
        Row {
            name: "event",
            about: "a record of the ring, the oldest first",
            fields: &[
                number("number", "its number"),
                text("cycles", "the time-stamp counter, in decimal"),
                number("delta", "cycles since the one shown before").or_null(),
                number("pid", "whose it is; 0 is the kernel's"),
                number(
                    "ring",
                    "the low two bits of CS, where the CPU pushes or takes one",
                )
                .or_null(),
                hex("cr3", "CR3"),
                text("kind", "what happened"),
                hex("a", "the first value, by the kind"),
                hex("b", "the second one"),
                text("text", "kind and values in words"),
            ],
        },
        Row {
            name: "summary",
            about: "all of them",
            fields: &[
                number("events", "how many were shown"),
                number("lost", "how many records have been overwritten"),
                number("cost", "the cycles that one record costs").or_null(),
            ],
        },
    ],
    args: &[ArgKind::Words(EventKind::FILTERS)],
    run,
};

struct Wish {
    kind: Option<EventKind>,
    pid: Option<Pid>,
    last: Option<u64>,
}

impl Wish {
    fn admits(&self, event: &Event) -> bool {
        self.kind.is_none_or(|kind| kind == event.kind)
            && self.pid.is_none_or(|pid| pid == event.pid)
    }
}

fn run(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let wish = read(context, args)?;
    let ring = events(context)?;
    let newest = ring.newest();
    let oldest = ring.oldest();
    let first = first(context, &wish, oldest, newest)?;
    let (mut count, mut lost) = (0_u64, oldest.saturating_sub(1));
    let mut before = None;
    for seq in first..=newest {
        context.check_interrupt()?;
        let Some(event) = events(context)?.get(seq) else {
            // Overwritten since: what is shown goes on being made.
            lost = lost.saturating_add(1);
            continue;
        };
        if wish.admits(&event) {
            count = count.saturating_add(1);
            match context.out.is_json() {
                true => record(&mut context.out, &event, before)?,
                false => row(&mut context.out, &event, before)?,
            }
            before = Some(event.cycles);
        }
    }
    context.state.value = count;
    let cost = events(context)?.cost();
    let out = &mut context.out;
    if out.is_json() {
        let record = out.record("summary").number("events", count);
        return Ok(record.number("lost", lost).number("cost", cost).end()?);
    }
    write!(out, "{}, {lost} lost", Count(count, "event"))?;
    match cost {
        Some(cycles) => writeln!(out, ", {} each", Count(cycles, "cycle"))?,
        None => writeln!(out)?,
    }
    Ok(())
}

fn read(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<Wish, Error> {
    let (mut kind, mut pid, mut last) = (Once::default(), Once::default(), Once::default());
    while let Some(word) = args.word() {
        let text = word.text()?;
        match text.split_once('=') {
            Some(("kind", name)) => {
                let known = EventKind::from_name(name).ok_or(Error::Unknown(
                    excerpt(name),
                    "a kind of event; `help events` lists them",
                ))?;
                kind.set(text, known)?;
            }
            Some(("pid", value)) => {
                pid.set(text, crate::process::pid(context.evaluate(value)?)?)?;
            }
            Some(("last", value)) => last.set(text, context.evaluate(value)?)?,
            _ => {
                return Err(Error::Unknown(
                    excerpt(text),
                    "a choice of events; `help events` lists them",
                ));
            }
        }
    }
    Ok(Wish {
        kind: kind.get(),
        pid: pid.get(),
        last: last.get(),
    })
}

/// Where to begin so that only the last of those chosen are shown.
fn first(context: &mut Context<'_>, wish: &Wish, oldest: u64, newest: u64) -> Result<u64, Error> {
    let Some(mut missing) = wish.last else {
        return Ok(oldest);
    };
    let mut first = newest.saturating_add(1);
    while missing > 0 && first > oldest {
        context.check_interrupt()?;
        first -= 1;
        let event = events(context)?.get(first);
        missing -= u64::from(event.is_some_and(|event| wish.admits(&event)));
    }
    Ok(first)
}

fn record(out: &mut Output<'_>, event: &Event, before: Option<u64>) -> Result<(), Error> {
    let delta = |before| event.cycles.wrapping_sub(before).cast_signed();
    let record = out
        .record("event")
        .number("number", event.seq)
        .text("cycles", event.cycles)
        .number("delta", before.map(delta))
        .number("pid", event.pid)
        .number("ring", event.cs.map(|cs| cs & 3))
        .hex("cr3", event.cr3)
        .text("kind", event.kind.name())
        .hex("a", event.a)
        .hex("b", event.b)
        .text("text", What(event));
    Ok(record.end()?)
}

fn row(out: &mut dyn Write, event: &Event, before: Option<u64>) -> Result<(), Error> {
    let Event {
        seq,
        cycles,
        pid,
        cs,
        cr3,
        ..
    } = *event;
    write!(out, "{seq:>7} ")?;
    match before {
        // Another processor's counter may be behind.
        Some(before) => write!(out, "{:>+12} ", cycles.wrapping_sub(before).cast_signed())?,
        None => write!(out, "{:>12} ", "-")?,
    }
    write!(out, "pid {pid:<3} ")?;
    match cs {
        Some(cs) => write!(out, "ring {} ", cs & 3)?,
        None => write!(out, "ring - ")?,
    }
    writeln!(out, "cr3 {} {}", PhysAddr(cr3), What(event))?;
    Ok(())
}

fn events<'c>(context: &'c mut Context<'_>) -> Result<&'c mut dyn Events, Error> {
    let events = context.target.events();
    events.ok_or(Error::Lacks("record of events"))
}
