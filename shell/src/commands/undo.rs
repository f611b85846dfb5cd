//! `undo`: take back what `poke-entry` wrote, last first.

use core::fmt::Write;

use machine::{PhysAddr, Step};

use super::poke::{Flushed, edits};
use crate::command::{ArgKind, Args, Command, Context, Group};
use crate::error::excerpt;
use crate::output::Output;
use crate::record::{Row, hex, number, text};
use crate::render::{Count, EntryLine};
use crate::{Edit, EditState, Error, UndoError};

pub(super) const COMMAND: Command = Command {
    name: "undo",
    group: Group::Memory,
    usage: "[list | all]",
    summary: "take back the last entry that was written",
    help: "Writes back what was in the entry before the last `poke-entry`, and drops what the processor has cached. Refused, with the reason, if the table has been freed, if the entry does not hold any more what was written (Accessed and Dirty, which the CPU writes, do not count), or if the kernel has taken it back already; the edit is then off the list, so that the one before it can be taken back.\n`all` takes back every one, the last first; it goes on after one that is refused, and then fails. `list` shows them: number, entry, old and new value, and whether the edit is standing, settled (taken back by the kernel) or gone (its table was freed). `$_` becomes the number of edits that are left.",
    examples: &[
        ("undo", "take the last edit back"),
        ("undo list", "what is there to take back?"),
        ("undo all", "leave everything as it was"),
    ],
    rows: &[
        EDIT,
        Row {
            name: "summary",
            about: "after a list",
            fields: &[number("edits", "how many there are")],
        },
    ],
    args: &[ArgKind::Words(&["all", "list"])],
    run,
};

const EDIT: Row = Row {
    name: "edit",
    about: "an edit, listed or taken back",
    fields: &[
        number("edit", "its number"),
        hex("at", "physical address of the entry"),
        text("level", "the table's level: PML5, PML4, PDPT, PD, PT"),
        hex("va", "the first address it stands for"),
        hex("old", "what was there before"),
        hex("new", "what was written"),
        text("state", "standing, settled, gone, undone"),
    ],
};

fn run(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let word = args.word();
    args.done()?;
    match word.map(|word| word.0) {
        None => one(context),
        Some("list") => list(context),
        Some("all") => all(context),
        Some(word) => Err(Error::Unknown(
            excerpt(word),
            "list or all; without either, the newest edit is taken back",
        )),
    }
}

fn one(context: &mut Context<'_>) -> Result<(), Error> {
    let taken = edits(context)?.undo();
    context.state.value = left(context)?;
    show(context, &taken.map_err(Error::Undo)?)
}

fn all(context: &mut Context<'_>) -> Result<(), Error> {
    let mut refused = false;
    while left(context)? > 0 {
        match edits(context)?.undo() {
            Ok(edit) => show(context, &edit)?,
            Err(UndoError::Nothing) => break,
            Err(why) => {
                refused = true;
                context.out.error(&format_args!("undo: {why}"));
            }
        }
    }
    context.state.value = 0;
    match refused {
        true => Err(Error::Reported),
        false => Ok(()),
    }
}

fn left(context: &mut Context<'_>) -> Result<u64, Error> {
    let edits = edits(context)?;
    let count = (0..).map_while(|index| edits.edit(index)).count();
    Ok(count as u64)
}

fn list(context: &mut Context<'_>) -> Result<(), Error> {
    let mut count = 0_u64;
    for index in 0.. {
        let Some(edit) = edits(context)?.edit(index) else {
            break;
        };
        count = count.saturating_add(1);
        if context.out.is_json() {
            record(&mut context.out, &edit, edit.state.name())?;
            continue;
        }
        let Edit {
            number,
            poke,
            state,
        } = edit;
        let (level, at, va) = (poke.level, poke.at, poke.va);
        let (old, new, state) = (poke.old, poke.new, state.name());
        let out = &mut context.out;
        writeln!(
            out,
            "{number:>3} {level:<4} {at} {old:016x} -> {new:016x} {state:<8} {va}"
        )?;
    }
    context.state.value = count;
    match context.out.is_json() {
        true => context.out.record("summary").number("edits", count).end()?,
        false => writeln!(context.out, "{}", Count(count, "edit"))?,
    }
    Ok(())
}

/// An edit that has been taken back.
fn show(context: &mut Context<'_>, edit: &Edit) -> Result<(), Error> {
    debug_assert!(edit.state == EditState::Standing, "others are refused");
    let poke = edit.poke;
    let paging = context.target.paging();
    let out = &mut context.out;
    if out.is_json() {
        return Ok(record(out, edit, "undone")?);
    }
    let step = Step {
        table: PhysAddr(poke.at.0 & !0xfff),
        index: ((poke.at.0 & 0xfff) / 8) as u16,
        entry: paging.decode(poke.old, poke.level),
    };
    let flushed = Flushed(poke.flush());
    writeln!(out, "now {}", EntryLine(&step))?;
    writeln!(
        out,
        "edit {} of {} taken back: {flushed}",
        edit.number, poke.at
    )?;
    Ok(())
}

fn record(out: &mut Output<'_>, edit: &Edit, state: &str) -> core::fmt::Result {
    let poke = edit.poke;
    out.record(EDIT.name)
        .number("edit", edit.number)
        .hex("at", poke.at)
        .text("level", poke.level)
        .hex("va", poke.va)
        .hex("old", poke.old)
        .hex("new", poke.new)
        .text("state", state)
        .end()
}
