//! `poke-entry`: write one entry of a page table by hand. `undo` takes it back.
//!
//! Come here to try what a change would do: take W away from a page and see who faults, plant a
//! difference and see whether a check finds it, mend a table of a process that is broken.

mod danger;
mod place;
mod value;

use core::fmt::{self, Write};

use machine::{Level, PhysAddr, Range, Step, walk};

use crate::command::{ArgKind, Args, Command, Context, Group};
use crate::error::excerpt;
use crate::grammar::word::Word;
use crate::output::Output;
use crate::process::Pids;
use crate::record::{Row, hex, number, text};
use crate::render::EntryLine;
use crate::root::root;
use crate::{Edits, Error, Flush, Poke};
use danger::Harm;
use place::{Holders, Spot};
use value::{SETTINGS, Value};

pub(super) const COMMAND: Command = Command {
    name: "poke-entry",
    group: Group::Memory,
    usage: "<root address level | entry> <[value] [bit=0|1...] [frame=ADDRESS]> [--force]",
    summary: "write one entry of a page table",
    help: "Writes the entry that a walk to the address meets at the level (`pml4`, `pdpt`, `pd`, `pt`), or the one at the physical address given. What to write is a value, or the present one with bits set or cleared: `p` `w` `u` `pwt` `pcd` `a` `d` `ps` `pat` `g` `nx`, each with `=0` or `=1`, and `frame=` for the address in it.\nShows the entry as it was and as it is now, warns of what that endangers, drops what the processor has cached (the page, or everything if the entry is above a page table) and records both as events. `$_` becomes the number of the edit. `undo` takes it back; 32 edits are remembered.\nA value with blanks in it needs parentheses.\nWhat would surely end the kernel is refused without `--force`: an edit by which a page that it runs on (code, data, stacks, heap, the mapping of RAM, the screen) would not be mapped, or mapped elsewhere, or lose W or X, or become user code's, in the master table or in a process's. An entry is written only where a table of some space is.\nBefore the kernel itself changes or frees the tables of a process (at `map`, `unmap` and `fork`, when a page is copied, at its end) it takes back those edits on the way that make an entry lead elsewhere; the others stand. An edit whose table is freed is forgotten by `undo`.",
    examples: &[
        ("poke-entry 3 0x40_1000 pt w=1", "make a page writable"),
        ("poke-entry 3 0x40_1000 pd u=0", "take U away one level up"),
        ("poke-entry 3 $rip pt p=0; undo", "there and back"),
        ("poke-entry 0x5_3008 0x7_3005", "an entry by its address"),
    ],
    rows: &[
        POKE,
        Row {
            name: "warning",
            about: "what the edit endangers",
            fields: &[text("what", "in words")],
        },
    ],
    args: &[
        ArgKind::Root(&[]),
        ArgKind::Any,
        ArgKind::Words(&["pd", "pdpt", "pml4", "pt"]),
        ArgKind::Words(SETTINGS),
    ],
    run,
};

const POKE: Row = Row {
    name: "poke",
    about: "the entry that was written",
    fields: &[
        number("edit", "its number"),
        hex("at", "physical address of the entry"),
        text("level", "the table's level: PML5, PML4, PDPT, PD, PT"),
        number("index", "which entry of it"),
        hex("va", "the first address it stands for"),
        hex("old", "what was there"),
        hex("new", "what is there now"),
        hex(
            "flushed",
            "the page whose translation was dropped; null: all",
        )
        .or_null(),
        number("spaces", "how many spaces have the table"),
    ],
};

fn run(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    edits(context)?;
    let (spot, holders) = place(context, args)?;
    let old = context.target.memory().read_u64(spot.at)?;
    let (new, force) = Value::new(spot.level, old).read(context, args)?;
    let poke = Poke {
        at: spot.at,
        level: spot.level,
        va: spot.va,
        old,
        new,
    };
    let harm = danger::harm(context, &poke)?;
    if let (Some(harm), false) = (harm, force) {
        return Err(Error::Deadly(harm.pid, harm.va, harm.region, harm.what));
    }
    let number = edits(context)?.poke(&poke).map_err(Error::Edit)?;
    show(context, &poke, &holders, harm, number)?;
    context.state.value = number;
    Ok(())
}

pub(super) fn edits<'c>(context: &'c mut Context<'_>) -> Result<&'c mut dyn Edits, Error> {
    let edits = context.target.edits();
    edits.ok_or(Error::Lacks("way to write entries"))
}

/// Which entry is meant. The third word says which of the two forms it is.
fn place(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<(Spot, Holders), Error> {
    let missing = Error::Missing("entry, or root, address and level");
    let first = args.operand().ok_or(missing)?;
    let mut rest = args.clone();
    let address = rest.operand();
    let third = rest.word();
    let (Some(address), Some(level)) = (address, third.and_then(level)) else {
        const LEVELS: &str = "a level: pml4, pdpt, pd or pt";
        let is_setting = |word: &Word<'_>| word.0.contains('=') || *word == Word("--force");
        if let Some(word) = third.filter(|word| !is_setting(word)) {
            return Err(Error::Unknown(excerpt(word.0), LEVELS));
        }
        let at = PhysAddr(context.evaluate(first.text()?)?);
        // No entry is in frame 0: that is a pid.
        if at.0 < 0x1000 {
            return Err(Error::Missing("address and level (pml4, pdpt, pd or pt)"));
        }
        let holders = place::holders(context, at)?;
        let is_entry = at.0.is_multiple_of(8);
        let (_, spot) = holders
            .first
            .filter(|_| is_entry)
            .ok_or(Error::NoEntry(at))?;
        return Ok((spot, holders));
    };
    let space = root(first.text()?, context)?;
    if space.snapshot.is_some() {
        return Err(Error::Said("a snapshot is not written, only kept"));
    }
    let va = machine::VirtAddr(context.evaluate(address.text()?)?);
    *args = rest;
    let paging = context.target.paging();
    let walk = walk(context.target.memory(), &paging, space.root, va);
    let met = walk.steps().iter().find(|step| step.entry.level == level);
    let step = met.ok_or(Error::NotMet(level, va, walk.end()))?;
    let at = step.entry_address();
    let holders = place::holders(context, at)?;
    let span = level.span() - 1;
    let va = paging.sign_extend(va.0 & !span);
    match holders.first {
        Some(_) => Ok((Spot { at, level, va }, holders)),
        None => Err(Error::NoEntry(at)),
    }
}

/// A level by its name, or by its number: 1 is the page table.
fn level(word: Word<'_>) -> Option<Level> {
    let numbers = ["5", "4", "3", "2", "1"];
    let mut levels = Level::ALL.into_iter().zip(numbers);
    let found = levels
        .find(|(level, number)| word.0.eq_ignore_ascii_case(level.name()) || word.0 == *number);
    found.map(|(level, _)| level)
}

fn show(
    context: &mut Context<'_>,
    poke: &Poke,
    holders: &Holders,
    harm: Option<Harm>,
    number: u64,
) -> Result<(), Error> {
    let paging = context.target.paging();
    let index = ((poke.at.0 & 0xfff) / 8) as u16;
    let step = |raw| Step {
        table: PhysAddr(poke.at.0 & !0xfff),
        index,
        entry: paging.decode(raw, poke.level),
    };
    if !context.out.is_json() {
        writeln!(context.out, "was {}", EntryLine(&step(poke.old)))?;
        writeln!(context.out, "now {}", EntryLine(&step(poke.new)))?;
    }
    warnings(context, poke, holders, harm)?;
    let out = &mut context.out;
    if !out.is_json() {
        writeln!(
            out,
            "edit {number} of {}: {}",
            poke.at,
            Flushed(poke.flush())
        )?;
        return Ok(());
    }
    let flushed = match poke.flush() {
        Flush::Page(va) => Some(va),
        Flush::All => None,
    };
    out.record(POKE.name)
        .number("edit", number)
        .hex("at", poke.at)
        .text("level", poke.level)
        .number("index", index)
        .hex("va", poke.va)
        .hex("old", poke.old)
        .hex("new", poke.new)
        .hex("flushed", flushed)
        .number("spaces", holders.count)
        .end()?;
    Ok(())
}

fn warnings(
    context: &mut Context<'_>,
    poke: &Poke,
    holders: &Holders,
    harm: Option<Harm>,
) -> Result<(), Error> {
    if let Some(harm) = harm {
        let whose = Whose(harm.pid);
        let Harm {
            va, region, what, ..
        } = harm;
        warn(
            &mut context.out,
            format_args!("{va} ({region}) in {whose} {what}"),
        )?;
    }
    let Holders { count, spaces, .. } = *holders;
    if count > 1 {
        let all = if count == spaces { "all " } else { "" };
        warn(
            &mut context.out,
            format_args!("{all}{count} spaces have this table"),
        )?;
    } else if Range::UPPER.contains(poke.va)
        && let Some((owner, _)) = holders.first
    {
        let whose = Whose(owner.pid);
        let text = format_args!("an entry of the kernel half, and only in {whose}");
        warn(&mut context.out, text)?;
    }
    let paging = context.target.paging();
    let entry = paging.decode(poke.new, poke.level);
    if let machine::Kind::Table { at } | machine::Kind::Page { at, .. } = entry.kind
        && context.target.memory().read_u64(at).is_err()
    {
        warn(&mut context.out, format_args!("there is no memory at {at}"))?;
    }
    let Ok(mut pids) = Pids::all(context.target) else {
        return Ok(());
    };
    let last = poke.va.0 | (poke.level.span() - 1);
    while let Some(info) = pids.next(context.target) {
        let walk = walk(context.target.memory(), &paging, info.root, poke.va);
        let mut steps = walk.steps().iter();
        let has_it =
            info.state.exit().is_none() && steps.any(|step| step.entry_address() == poke.at);
        for (what, va) in [("code", info.rip), ("stack", info.rsp)] {
            if has_it && poke.va.0 <= va.0 && va.0 <= last {
                let text = format_args!("pid {} has its {what} here, {va}", info.pid);
                warn(&mut context.out, text)?;
            }
        }
    }
    Ok(())
}

fn warn(out: &mut Output<'_>, what: fmt::Arguments<'_>) -> fmt::Result {
    match out.is_json() {
        true => out.record("warning").text("what", what).end(),
        false => writeln!(out, "warning: {what}"),
    }
}

/// In whose tables.
pub(crate) struct Whose(pub(crate) Option<crate::Pid>);

impl fmt::Display for Whose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(pid) => write!(f, "pid {pid}"),
            None => f.write_str("the master"),
        }
    }
}

/// What was dropped of what the processor had cached.
pub(super) struct Flushed(pub(super) Flush);

impl fmt::Display for Flushed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Flush::Page(va) => write!(f, "the page at {va} flushed"),
            Flush::All => write!(f, "all translations flushed"),
        }
    }
}
