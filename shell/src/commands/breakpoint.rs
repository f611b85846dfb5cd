//! `break`, `watch`, `delete` and `breakpoints`: where everything shall stop.
//!
//! Addresses are watched by the processor's four debug registers, which do not change what they
//! watch; moments are tests that the kernel makes in passing.

use core::fmt::{self, Write};

use machine::{PhysAddr, VirtAddr};

use crate::command::{ArgKind, Args, Command, Context, Group};
use crate::error::excerpt;
use crate::going::{SLOTS, free_slot};
use crate::grammar::word::Word;
use crate::output::Output;
use crate::process;
use crate::record::{Row, hex, number, text};
use crate::{DebugError, Error, Moment, Pid, WatchKind, Watched};

pub(super) const BREAK: Command = Command {
    name: "break",
    group: Group::Stops,
    usage: "<address> [if CONDITION] | on <moment> [pid]",
    summary: "stop at an instruction, or when something happens",
    help: "Stops everything when anybody is about to execute the instruction at the address, in the kernel or in a program, or, with a condition, only if that is not 0 then: an expression, in which registers are those of the thread that stops. It takes one of the four debug registers.\n`break on` stops at a moment, of one process or of any: `cr3` (CR3 is about to be loaded), `iret` (the kernel is about to return to ring 3), `cpl` (ring 3 was left, or is about to be entered), `syscall` and `fault` (they have entered the kernel, at its first instruction), `exit` (a process is about to end).\nAt a stop nothing runs but the shell: `regs`, `x`, `walk` and all the others show the thread that was stopped. `si` executes one instruction, `continue` goes on. Ctrl-\\ on either console, F12 and a break on the serial line stop whatever runs, and so does an NMI.",
    examples: &[
        (
            "break 0x40_1000 if $rdi == 1",
            "a function, with its first argument",
        ),
        (
            "break on cr3 3",
            "before the tables of process 3 are loaded",
        ),
    ],
    args: &[
        ArgKind::Words(&["on"]),
        ArgKind::Words(&["cpl", "cr3", "exit", "fault", "iret", "syscall", "if"]),
    ],
    rows: &[ADDRESS, MOMENT],
    run: run_break,
};

pub(super) const WATCH: Command = Command {
    name: "watch",
    group: Group::Stops,
    usage: "<address> <length> [r|w] | entry <address> [root]",
    summary: "stop when memory is read or written",
    help: "Stops everything after an instruction that wrote to those 1, 2, 4 or 8 bytes, or with `r` one that read or wrote them; the address must be a multiple of the length. It takes one of the four debug registers.\n`watch entry` watches the page-table entry that decides about an address in the tables that CR3, or ROOT, names: it stops whoever changes it. That the processor itself sets A and D in it is not noticed.",
    examples: &[
        ("watch $rsp 8", "who overwrites the return address?"),
        ("watch entry 0x40_0000 3", "who changes that mapping?"),
    ],
    args: &[
        ArgKind::Words(&["entry"]),
        ArgKind::Any,
        ArgKind::Words(&["r", "w"]),
    ],
    rows: &[
        Row {
            name: "entry",
            about: "the entry that decides, with `entry`",
            fields: &[
                text("level", "its level"),
                hex("entry_at", "its physical address"),
                hex("raw", "its value"),
            ],
        },
        ADDRESS,
    ],
    run: run_watch,
};

pub(super) const DELETE: Command = Command {
    name: "delete",
    group: Group::Stops,
    usage: "<number> | <moment> | all",
    summary: "stop there no more",
    help: "Takes back a `break` or a `watch`, by its number or the name of its moment; `breakpoints` lists both.",
    examples: &[("delete 0", "the first"), ("delete all", "every one")],
    args: &[ArgKind::Words(&[
        "all", "cpl", "cr3", "exit", "fault", "iret", "syscall",
    ])],
    rows: &[],
    run: run_delete,
};

pub(super) const LIST: Command = Command {
    name: "breakpoints",
    group: Group::Stops,
    usage: "",
    summary: "list where everything stops",
    help: "Lists what the debug registers watch, with the conditions, and the moments at which everything stops.",
    examples: &[("breakpoints", "all of them")],
    args: &[],
    rows: &[
        ADDRESS,
        MOMENT,
        Row {
            name: "summary",
            about: "all of them",
            fields: &[
                number("addresses", "how many addresses"),
                number("moments", "how many moments"),
            ],
        },
    ],
    run: run_list,
};

const ADDRESS: Row = Row {
    name: "address",
    about: "an address at which everything stops",
    fields: &[
        number("number", "its debug register, as `delete` takes it"),
        text("kind", "`execute`, `write` or `access`"),
        hex("at", "the first byte"),
        number("bytes", "how many"),
        text("condition", "the condition").or_null(),
    ],
};

const MOMENT: Row = Row {
    name: "moment",
    about: "a moment at which everything stops",
    fields: &[
        text("moment", "its name, as `delete` takes it"),
        number("pid", "of this process only").or_null(),
    ],
};

fn run_break(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    if args.peek() == Some(Word("on")) {
        let _ = args.word();
        let word = args.word().ok_or(Error::Missing("moment"))?;
        let moment = moment(word)?;
        let pid = args.maybe_pid(context)?.unwrap_or(0);
        args.done()?;
        if pid != 0 {
            process::alive(context.target, pid)?;
        }
        context.debugger()?.arm(moment, Some(pid));
        return Ok(show_moment(&mut context.out, moment, pid)?);
    }
    let at = args.virt(context)?;
    let condition = match args.word() {
        None => None,
        Some(Word("if")) => Some(args.rest()),
        Some(other) => return Err(Error::Unexpected(excerpt(other.0))),
    };
    if let Some(condition) = condition {
        // A slip in it is found now, not when it is too late.
        context.evaluate(condition)?;
    }
    set(context, at, 1, WatchKind::Execute, condition)
}

fn run_watch(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    if args.peek() == Some(Word("entry")) {
        let _ = args.word();
        let va = args.virt(context)?;
        let root = args.root(context)?;
        args.done()?;
        if root.snapshot.is_some() {
            return Err(Error::Said("nobody changes a snapshot"));
        }
        return watch_entry(context, va, root.root);
    }
    let at = args.virt(context)?;
    let length = args.number(context, "length")?;
    let kind = match args.word() {
        None | Some(Word("w")) => WatchKind::Write,
        Some(Word("r" | "rw")) => WatchKind::Access,
        Some(other) => return Err(Error::Unknown(excerpt(other.0), "`r` or `w`")),
    };
    args.done()?;
    let bytes = u8::try_from(length).unwrap_or(0);
    set(context, at, bytes, kind, None)
}

fn watch_entry(context: &mut Context<'_>, va: VirtAddr, root: PhysAddr) -> Result<(), Error> {
    let paging = context.target.paging();
    let walk = machine::walk(context.target.memory(), &paging, root, va);
    let step = walk.steps().last().ok_or(Error::Said(
        "no entry decides about that address: it is not canonical, or its table cannot be read",
    ))?;
    let offset = u64::from(step.index).saturating_mul(8);
    let place = PhysAddr(step.table.0.wrapping_add(offset));
    let (level, raw) = (step.entry.level, step.entry.raw);
    let at = context
        .debugger()?
        .written_at(place)
        .ok_or(Error::Said("the kernel does not write to that table"))?;
    let out = &mut context.out;
    match out.is_json() {
        true => out
            .record("entry")
            .text("level", level.name())
            .hex("entry_at", place)
            .hex("raw", raw)
            .end()?,
        false => writeln!(out, "{} entry at {place}: {raw:016x}", level.name())?,
    }
    set(context, at, 8, WatchKind::Write, None)
}

fn set(
    context: &mut Context<'_>,
    at: VirtAddr,
    bytes: u8,
    kind: WatchKind,
    condition: Option<&str>,
) -> Result<(), Error> {
    let slot = free_slot(context)?;
    let text = match condition {
        Some(condition) => Some(
            condition
                .try_into()
                .map_err(|_| Error::Said("a condition has at most 80 characters"))?,
        ),
        None => None,
    };
    let watched = Watched { at, bytes, kind };
    context.debugger()?.watch(slot, Some(watched))?;
    if let Some(place) = context.state.conditions.get_mut(slot) {
        *place = text;
    }
    show(context, slot, watched)
}

fn show(context: &mut Context<'_>, slot: usize, watched: Watched) -> Result<(), Error> {
    let condition = context.state.conditions.get(slot).cloned().flatten();
    let (at, bytes) = (watched.at, watched.bytes);
    let out = &mut context.out;
    if out.is_json() {
        let kind = match watched.kind {
            WatchKind::Execute => "execute",
            WatchKind::Write => "write",
            WatchKind::Access => "access",
        };
        return Ok(out
            .record(ADDRESS.name)
            .number("number", slot)
            .text("kind", kind)
            .hex("at", at)
            .number("bytes", bytes)
            .maybe_text("condition", condition)
            .end()?);
    }
    match watched.kind {
        WatchKind::Execute => write!(out, "{slot} break {at}")?,
        WatchKind::Write => write!(out, "{slot} watch {at} {bytes} w")?,
        WatchKind::Access => write!(out, "{slot} watch {at} {bytes} r")?,
    }
    if let Some(condition) = condition {
        write!(out, " if {condition}")?;
    }
    writeln!(out)?;
    Ok(())
}

fn run_delete(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let word = args.word().ok_or(Error::Missing("breakpoint"))?;
    args.done()?;
    if word == Word("all") {
        for slot in 0..SLOTS {
            remove(context, slot)?;
        }
        for moment in chosen() {
            context.debugger()?.arm(moment, None);
        }
        return Ok(());
    }
    if let Ok(moment) = moment(word) {
        if context.debugger()?.armed(moment).is_none() {
            return Err(Error::Said("nothing stops at that moment"));
        }
        context.debugger()?.arm(moment, None);
        return Ok(());
    }
    let number = context.evaluate(word.text()?)?;
    let slot = usize::try_from(number).unwrap_or(SLOTS);
    if context.debugger()?.watched(slot).is_none() {
        return Err(Error::Said(
            "there is no such breakpoint; `breakpoints` lists them",
        ));
    }
    remove(context, slot)
}

fn remove(context: &mut Context<'_>, slot: usize) -> Result<(), Error> {
    if let Some(place) = context.state.conditions.get_mut(slot) {
        *place = None;
    }
    match context.debugger()?.watch(slot, None) {
        // Somebody else has it: there is nothing of ours to be removed.
        Ok(()) | Err(DebugError::NoneFree) => Ok(()),
        Err(why) => Err(why.into()),
    }
}

fn run_list(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    args.done()?;
    let (mut addresses, mut moments) = (0_u64, 0_u64);
    for slot in 0..SLOTS {
        if let Some(watched) = context.debugger()?.watched(slot) {
            addresses += 1;
            show(context, slot, watched)?;
        }
    }
    for moment in chosen() {
        if let Some(pid) = context.debugger()?.armed(moment) {
            moments += 1;
            show_moment(&mut context.out, moment, pid)?;
        }
    }
    let out = &mut context.out;
    if out.is_json() {
        let record = out.record("summary").number("addresses", addresses);
        return Ok(record.number("moments", moments).end()?);
    }
    if addresses + moments == 0 {
        writeln!(out, "no breakpoints")?;
    }
    Ok(())
}

/// The moments that a person can choose.
fn chosen() -> impl Iterator<Item = Moment> {
    Moment::ALL.iter().copied().take(Moment::CHOSEN)
}

fn moment(word: Word<'_>) -> Result<Moment, Error> {
    let text = word.text()?;
    chosen()
        .find(|moment| moment.name() == text)
        .ok_or(Error::Unknown(
            excerpt(word.0),
            "a moment: cr3, iret, cpl, syscall, fault or exit",
        ))
}

fn show_moment(out: &mut Output<'_>, moment: Moment, pid: Pid) -> fmt::Result {
    let name = moment.name();
    // 0 is whoever comes.
    let pid = Some(pid).filter(|pid| *pid != 0);
    if out.is_json() {
        let record = out.record(MOMENT.name).text("moment", name);
        return record.number("pid", pid).end();
    }
    match pid {
        None => writeln!(out, "break on {name}"),
        Some(pid) => writeln!(out, "break on {name} {pid}"),
    }
}
