//! `tables`: which frames are page tables, who shares them, and what they cost.
//!
//! Come here to see how much of a process is tables, or whether a table that all spaces should
//! have in common is private to one.

use core::fmt::{self, Write};

use machine::{Level, PhysAddr, Progress, Table, TableItem, Tables, walk};

use crate::command::{ArgKind, Args, Command, Context, Group};
use crate::process::Pids;
use crate::record::{Row, hex, number, text};
use crate::render::{Count, HoleLine, Size};
use crate::space::Space;
use crate::{Error, Pid};

pub(super) const COMMAND: Command = Command {
    name: "tables",
    group: Group::Memory,
    usage: "[root]",
    summary: "show which frames are page tables, and what they cost",
    help: "With a root, shows each table of that space: level, frame, the first address it stands for, and whether it is private or with how many other spaces it is shared. Without one, shows each space, the master and all processes that are alive, with its tables by level and how many of them are private to it. The last line adds them up; each table counts once there, however many spaces share it. `$_` becomes the number of tables in the sum.\nTwo spaces share a table if the same address leads to it in both. A table that a space reaches by two addresses counts twice, and one that an entry names where no memory is counts as well.\nA root is `cr3`, `master`, a pid, a snapshot (`@name`), or the physical address of a PML4.",
    examples: &[
        ("tables", "what do the page tables cost in all?"),
        ("tables 3", "which ones are this process's own?"),
    ],
    rows: &[
        Row {
            name: "table",
            about: "a table of the space given",
            fields: &[
                text("level", "its level: PML5, PML4, PDPT, PD, PT"),
                hex("at", "its frame"),
                hex("va", "the first address it stands for"),
                number(
                    "shared_with",
                    "how many other spaces have it; 0 if it is private",
                ),
            ],
        },
        HoleLine::ROW,
        Row {
            name: "space",
            about: "a space, if none is given",
            fields: &[
                text("name", "master, or pid N"),
                hex("root", "its top table"),
                number("pml5", "how many tables it has of this level"),
                number("pml4", "the same"),
                number("pdpt", "the same"),
                number("pd", "the same"),
                number("pt", "the same"),
                number("tables", "all of them"),
                number("private", "how many no other space has"),
            ],
        },
        Row {
            name: "summary",
            about: "what it comes to; a table counts once",
            fields: &[
                number("spaces", "how many spaces there are, if none is given").or_null(),
                number("tables", "how many tables"),
                number("bytes", "what they cost"),
                number("private", "how many no other space has, if one is given").or_null(),
                number("shared", "how many others have, too").or_null(),
                number("holes", "what could not be followed"),
            ],
        },
    ],
    args: &[ArgKind::Root(&[])],
    run,
};

const TABLE: u64 = 4096;

fn run(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    if args.peek().is_none() {
        return all(context);
    }
    let own = args.root(context)?;
    args.done()?;
    let paging = context.target.paging();
    let mut tables = Tables::new(paging, own.root);
    let (mut private, mut shared, mut holes) = (0_u64, 0_u64, 0_u64);
    while let Some(item) = next(context, &own, &mut tables)? {
        let table = match item {
            TableItem::Table(table) => table,
            TableItem::Hole(hole) => {
                holes = holes.saturating_add(1);
                HoleLine(&hole).show(&mut context.out)?;
                continue;
            }
        };
        let Table { at, level, va } = table;
        let others = sharing(context, &table, &own, None).others;
        let sum = if others == 0 {
            &mut private
        } else {
            &mut shared
        };
        *sum = sum.saturating_add(1);
        let out = &mut context.out;
        if out.is_json() {
            out.record("table")
                .text("level", level)
                .hex("at", at)
                .hex("va", va)
                .number("shared_with", others)
                .end()?;
            continue;
        }
        write!(out, "{level:<4} {at} {va} ")?;
        match others {
            0 => writeln!(out, "private")?,
            others => writeln!(out, "shared with {}", Count(others, "space"))?,
        }
    }
    let sum = private.saturating_add(shared);
    context.state.value = sum;
    let out = &mut context.out;
    if out.is_json() {
        let record = out
            .record("summary")
            .number("spaces", None::<u64>)
            .number("tables", sum)
            .number("bytes", sum.saturating_mul(TABLE))
            .number("private", private)
            .number("shared", shared)
            .number("holes", holes);
        return Ok(record.end()?);
    }
    write!(out, "{}: {private} private ", Cost(sum))?;
    write!(out, "{}, {shared} shared {}", bytes(private), bytes(shared))?;
    holes_line(out, holes)
}

/// A row for each space.
fn all(context: &mut Context<'_>) -> Result<(), Error> {
    let (mut spaces, mut sum, mut holes) = (0_u64, 0_u64, 0_u64);
    if let Some(master) = context.target.master() {
        spaces = 1;
        space(context, Who::Master, master, &mut sum, &mut holes)?;
    }
    // Without processes the master is all there is.
    if let Ok(mut pids) = Pids::all(context.target) {
        while let Some(info) = pids.next(context.target) {
            if info.state.exit().is_none() {
                spaces = spaces.saturating_add(1);
                let pid = Who::Process(info.pid);
                space(context, pid, info.root, &mut sum, &mut holes)?;
            }
        }
    }
    if spaces == 0 {
        return Err(Error::Lacks("master table"));
    }
    context.state.value = sum;
    if context.out.is_json() {
        let record = context
            .out
            .record("summary")
            .number("spaces", spaces)
            .number("tables", sum)
            .number("bytes", sum.saturating_mul(TABLE))
            .number("private", None::<u64>)
            .number("shared", None::<u64>)
            .number("holes", holes);
        return Ok(record.end()?);
    }
    write!(context.out, "{}: {}", Count(spaces, "space"), Cost(sum))?;
    holes_line(&mut context.out, holes)
}

/// One space; adds the tables that no space before it has to `sum`.
fn space(
    context: &mut Context<'_>,
    who: Who,
    root: PhysAddr,
    sum: &mut u64,
    holes: &mut u64,
) -> Result<(), Error> {
    let paging = context.target.paging();
    let own = Space::live(root);
    let mut tables = Tables::new(paging, root);
    let (mut levels, mut private) = ([0_u64; 5], 0_u64);
    while let Some(item) = next(context, &own, &mut tables)? {
        let TableItem::Table(table) = item else {
            *holes = holes.saturating_add(1);
            continue;
        };
        let place = Level::ALL.iter().position(|level| *level == table.level);
        if let Some(count) = place.and_then(|place| levels.get_mut(place)) {
            *count = count.saturating_add(1);
        }
        let sharing = sharing(context, &table, &own, Some(who));
        private = private.saturating_add(u64::from(sharing.others == 0));
        *sum = sum.saturating_add(u64::from(!sharing.is_known));
    }
    let count = levels
        .iter()
        .fold(0_u64, |sum, more| sum.saturating_add(*more));
    let out = &mut context.out;
    if out.is_json() {
        let mut record = match who {
            Who::Master => out.record("space").text("name", "master"),
            Who::Process(pid) => out.record("space").text("name", format_args!("pid {pid}")),
        }
        .hex("root", root);
        for (level, count) in ["pml5", "pml4", "pdpt", "pd", "pt"].into_iter().zip(levels) {
            record = record.number(level, count);
        }
        let record = record.number("tables", count).number("private", private);
        return Ok(record.end()?);
    }
    write!(out, "{who} {root}")?;
    for (level, count) in Level::ALL.into_iter().zip(levels) {
        if level >= paging.top() {
            write!(out, " {count:>3} {level}")?;
        }
    }
    writeln!(
        out,
        "  {}, {private} private {}",
        Cost(count),
        bytes(private)
    )?;
    Ok(())
}

/// The next table, unless Ctrl-C is pressed.
fn next(
    context: &mut Context<'_>,
    own: &Space,
    tables: &mut Tables,
) -> Result<Option<TableItem>, Error> {
    loop {
        match tables.advance(&mut context.view(own)) {
            Progress::Row(item) => {
                context.check_interrupt()?;
                return Ok(Some(item));
            }
            Progress::Working => context.check_interrupt()?,
            Progress::Done => return Ok(None),
        }
    }
}

struct Sharing {
    /// In how many other spaces the same address leads to the table.
    others: u64,
    /// Whether one of them comes before the space that asks.
    is_known: bool,
}

/// Who else has a table. Spaces with the same top table are the same space.
fn sharing(context: &mut Context<'_>, table: &Table, own: &Space, who: Option<Who>) -> Sharing {
    let mut sharing = Sharing {
        others: 0,
        is_known: false,
    };
    let mut ask = |context: &mut Context<'_>, other: Who, root: PhysAddr| {
        let paging = context.target.paging();
        // What a snapshot keeps is nobody's now, not even its own subject's.
        if own.snapshot.is_none() && paging.root(root) == paging.root(own.root) {
            return;
        }
        let walk = walk(context.target.memory(), &paging, root, table.va);
        let mut steps = walk.steps().iter();
        if steps.any(|step| step.entry.level == table.level && step.table == table.at) {
            sharing.others = sharing.others.saturating_add(1);
            sharing.is_known |= Some(other) < who;
        }
    };
    if let Some(master) = context.target.master() {
        ask(context, Who::Master, master);
    }
    if let Ok(mut pids) = Pids::all(context.target) {
        while let Some(info) = pids.next(context.target) {
            if info.state.exit().is_none() {
                ask(context, Who::Process(info.pid), info.root);
            }
        }
    }
    sharing
}

/// A space that is asked about; the master comes first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Who {
    Master,
    Process(Pid),
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Who::Master => write!(f, "{:<10}", "master"),
            Who::Process(pid) => write!(f, "pid {pid:<6}"),
        }
    }
}

/// `12 tables 48K`.
struct Cost(u64);

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", Count(self.0, "table"), bytes(self.0))
    }
}

fn bytes(tables: u64) -> Size {
    Size(tables.saturating_mul(TABLE))
}

fn holes_line(out: &mut dyn Write, holes: u64) -> Result<(), Error> {
    match holes {
        0 => writeln!(out)?,
        _ => writeln!(out, "; {} could not be followed", Count(holes, "row"))?,
    }
    Ok(())
}
