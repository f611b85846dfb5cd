//! `faults` and `fault`: what went wrong lately, and the whole report of one.
//!
//! Come here when a program is gone and its one line of farewell was not enough.

use core::fmt::Write;

use machine::{VirtAddr, vectors};

use crate::command::{ArgKind, Args, Command, Context, Group};
use crate::grammar::word::Word;
use crate::record::{Row, hex, number, text};
use crate::render::Count;
use crate::report::{Who, look_up, report};
use crate::{Error, FaultRecord, Faults};

pub(super) const FAULTS: Command = Command {
    name: "faults",
    group: Group::Processor,
    usage: "",
    summary: "list the last faults, each with its cause",
    help: "Shows the faults that ended a program or the kernel's work, and its panics, the oldest first: number, vector, error code, RIP, and the cause in one sentence. The last line counts them and says how many older ones have been overwritten. `$_` becomes the number of the newest. `fault NUMBER` shows all that was known.",
    examples: &[
        ("faults", "what has gone wrong?"),
        ("spawn fault-null-read; faults", "and why?"),
    ],
    rows: &[FAULT_ROW, SUMMARY_ROW],
    args: &[],
    run: list,
};

pub(super) const FAULT: Command = Command {
    name: "fault",
    group: Group::Processor,
    usage: "[number] [cost]",
    summary: "show the report of a fault again",
    help: "Shows the report of one fault, the newest if no number is given: the cause in one sentence, vector and error code in words, registers with what they point at, the instruction, the tables as they were (the entry that decided is marked), the stack, the backtrace, and what to type next. What is shown was written down when the fault came, so it does not matter that the process is gone. `$_` becomes its number. With `cost` it says how many cycles it took to write it down, and how many it takes to find its names and instructions, without printing them.",
    examples: &[("fault", "the newest"), ("fault 3", "the third since boot")],
    rows: &[FAULT_ROW, COST_ROW],
    args: &[ArgKind::Any, ArgKind::Words(&["cost"])],
    run: show,
};

const FAULT_ROW: Row = Row {
    name: "fault",
    about: "a fault",
    fields: &[
        number("number", "counted from 1 since boot"),
        number("vector", "the vector; null for a panic").or_null(),
        text("name", "its name, or `panic`"),
        hex("error", "the error code; 0 where there is none"),
        hex("rip", "the instruction"),
        hex("cr2", "CR2 as it was"),
        hex("cr3", "CR3 as it was"),
        number("pid", "the process that ran; 0 is the kernel"),
        text("program", "its program; empty for the kernel"),
        number("ring", "the ring it came in, by the CS that the CPU pushed"),
        text("cause", "one sentence"),
    ],
};

const COST_ROW: Row = Row {
    name: "cost",
    about: "instead, with `cost`",
    fields: &[
        number("calls", "how many its backtrace has"),
        number("written", "cycles to write it down when it came"),
        number("named", "cycles to find its names"),
    ],
};

const SUMMARY_ROW: Row = Row {
    name: "summary",
    about: "the last line",
    fields: &[
        number("shown", "how many there are"),
        number("lost", "how many older ones have been overwritten"),
    ],
};

fn list(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    args.done()?;
    let (oldest, newest) = bounds(context)?;
    let mut count = 0_u64;
    for seq in oldest..=newest {
        context.check_interrupt()?;
        let Some(record) = faults(context)?.get(seq) else {
            continue;
        };
        count = count.saturating_add(1);
        row(context, &record)?;
    }
    context.state.value = newest;
    let lost = oldest.saturating_sub(1);
    let out = &mut context.out;
    match out.is_json() {
        true => out
            .record(SUMMARY_ROW.name)
            .number("shown", count)
            .number("lost", lost)
            .end()?,
        false => writeln!(out, "{}, {lost} overwritten", Count(count, "fault"))?,
    }
    Ok(())
}

fn row(context: &mut Context<'_>, record: &FaultRecord) -> Result<(), Error> {
    let out = &mut context.out;
    let vector = record.panic.is_none().then_some(u64::from(record.vector));
    let name = match vector {
        Some(_) => vectors::name(record.vector),
        None => "panic",
    };
    if out.is_json() {
        out.record(FAULT_ROW.name)
            .number("number", record.seq)
            .number("vector", vector)
            .text("name", name)
            .hex("error", record.error)
            .hex("rip", record.registers.rip)
            .hex("cr2", record.registers.cr2)
            .hex("cr3", record.registers.cr3)
            .number("pid", u64::from(record.pid))
            .text("program", &record.name)
            .number("ring", u64::from(record.registers.cs & 3))
            .text("cause", record.sentence())
            .end()?;
        return Ok(());
    }
    let mnemonic = name.split(' ').next().unwrap_or(name);
    writeln!(
        out,
        "{:>4} {mnemonic} {:#x} {} {}{}",
        record.seq,
        record.error,
        VirtAddr(record.registers.rip),
        record.sentence(),
        Who(record)
    )?;
    Ok(())
}

fn show(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (oldest, newest) = bounds(context)?;
    let is_cost = |word: Word<'_>| word.0 == "cost";
    let seq = match args.peek() {
        Some(word) if !is_cost(word) => args.number(context, "number")?,
        _ => newest,
    };
    let wants_cost = args.peek().is_some_and(is_cost);
    if wants_cost {
        args.word();
    }
    args.done()?;
    if newest < oldest {
        return Err(Error::Said("there has been no fault"));
    }
    let Some(record) = faults(context)?.get(seq) else {
        return Err(Error::NoFault(seq, oldest, newest));
    };
    context.state.value = seq;
    if wants_cost {
        return cost(context, &record);
    }
    if context.out.is_json() {
        return row(context, &record);
    }
    write!(context.out, "fault {seq}: ")?;
    report(&record, context.target, &mut context.out)?;
    Ok(())
}

/// What a report costs besides printing.
fn cost(context: &mut Context<'_>, record: &FaultRecord) -> Result<(), Error> {
    let before = cycles(context)?;
    let calls = look_up(record, context.target);
    let named = cycles(context)?.saturating_sub(before);
    let written = record.took;
    let out = &mut context.out;
    match out.is_json() {
        true => out
            .record(COST_ROW.name)
            .number("calls", calls)
            .number("written", written)
            .number("named", named)
            .end()?,
        false => writeln!(
            out,
            "{}: {written} cycles to write it down, {named} to name them",
            Count(calls, "call")
        )?,
    }
    Ok(())
}

fn cycles(context: &mut Context<'_>) -> Result<u64, Error> {
    let clock = context.target.clock().ok_or(Error::Lacks("clock"))?;
    Ok(clock.cycles())
}

fn bounds(context: &mut Context<'_>) -> Result<(u64, u64), Error> {
    let faults = faults(context)?;
    Ok((faults.oldest(), faults.newest()))
}

fn faults<'a>(context: &'a mut Context<'_>) -> Result<&'a mut dyn Faults, Error> {
    let faults = context.target.faults();
    faults.ok_or(Error::Lacks("record of faults"))
}
