//! `picture`: the 512 slots of a top table, in colour.
//!
//! Come here to see at a glance what a process shares with the kernel, or where two spaces are
//! not the same; `diff` says in what.

mod slot;

use core::fmt::Write;

use crate::Error;
use crate::command::{ArgKind, Args, Command, Context, Group};
use crate::record::{Row, hex, number, text};
use crate::root::root;
use slot::{SLOTS, Slot};

pub(super) const COMMAND: Command = Command {
    name: "picture",
    group: Group::Memory,
    usage: "[root [root]]",
    summary: "draw the slots of one or two top tables in colour",
    help: "Draws a cell for each of the 512 entries of a top table, 32 a line behind the first address of the line, in colour, with a letter in it for who sees none. Of one root (CR3, if none is given): S the master has the same table there, P a table of its own, `!` malformed or leading back to the top, ? unreadable, a dot for empty. Of two roots, all that is below is compared, as `diff` does: S the same table, E other tables with the same content, D something differs, L and R only the left or the right one has anything, ? unknown. The lower half comes first. The last line counts them; `$_` becomes the number of slots that are neither empty, shared nor equal.\nIn frames, through pipes and with `--json` there are letters or words only; the screen has the colours of what is framed. A root is `cr3`, `master`, a pid, a snapshot (`@name`), or the physical address of a PML4.",
    examples: &[
        ("picture", "what is where?"),
        ("picture master 3", "what does process 3 have of its own?"),
    ],
    rows: &[
        Row {
            name: "slot",
            about: "an entry that is not empty",
            fields: &[
                number("index", "which entry, 0 to 511"),
                hex("first", "the first address it stands for"),
                text(
                    "kind",
                    "shared, private, equal, differs, only left, only right, malformed, unknown",
                ),
            ],
        },
        Row {
            name: "summary",
            about: "how many slots there are of each kind",
            fields: &[
                number("shared", "the same table on both sides, or the master's"),
                number("private", "of one root: a table of its own"),
                number("equal", "of two: other tables, the same content"),
                number("differs", "of two: something below is not the same"),
                number("only_left", "of two: the right one has nothing"),
                number("only_right", "of two: the left one has nothing"),
                number("malformed", "of one: malformed, or leading back to the top"),
                number("unknown", "unreadable, or not to be compared"),
                number("empty", "nothing on any side"),
            ],
        },
    ],
    args: &[ArgKind::Root(&[]), ArgKind::Root(&[])],
    run,
};

/// Slots on a line.
const LINE: u64 = 32;
const PLAIN: &str = "\x1b[0m";

fn run(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let left = args.root(context)?;
    let right = match args.operand() {
        Some(word) => Some(root(word.text()?, context)?),
        None => None,
    };
    args.done()?;
    let kinds = match right {
        Some(_) => Slot::OF_TWO,
        None => Slot::OF_ONE,
    };
    let mut counts = Counts([0; 9]);
    for line in 0..SLOTS / LINE {
        let mut cells = [Slot::Empty; LINE as usize];
        for (index, cell) in (line * LINE..).zip(&mut cells) {
            *cell = match &right {
                Some(right) => slot::of_two(context, [&left, right], index)?,
                None => slot::of_one(context, &left, index),
            };
            counts.add(*cell);
        }
        match context.out.is_json() {
            true => records(context, line * LINE, &cells)?,
            false => row(context, line * LINE, &cells)?,
        }
    }
    let same = [Slot::Empty, Slot::Shared, Slot::Equal];
    let other = kinds.iter().filter(|kind| !same.contains(kind));
    context.state.value = other.map(|kind| counts.of(*kind)).sum();
    if context.out.is_json() {
        let record = context.out.record("summary");
        let record = record
            .number("shared", counts.of(Slot::Shared))
            .number("private", counts.of(Slot::Private))
            .number("equal", counts.of(Slot::Equal))
            .number("differs", counts.of(Slot::Differs))
            .number("only_left", counts.of(Slot::OnlyLeft))
            .number("only_right", counts.of(Slot::OnlyRight))
            .number("malformed", counts.of(Slot::Malformed))
            .number("unknown", counts.of(Slot::Unknown))
            .number("empty", counts.of(Slot::Empty));
        return Ok(record.end()?);
    }
    for (gap, kind) in ["", ", "]
        .into_iter()
        .chain(core::iter::repeat(", "))
        .zip(kinds)
    {
        write!(context.out, "{gap}")?;
        cells(context, *kind, 1)?;
        write!(context.out, " {} {}", counts.of(*kind), kind.name())?;
    }
    writeln!(context.out)?;
    Ok(())
}

/// A line of cells.
fn row(context: &mut Context<'_>, index: u64, slots: &[Slot]) -> Result<(), Error> {
    let first = slot::first(context, index);
    write!(context.out, "{first} ")?;
    for run in slots.chunk_by(|one, other| one == other) {
        if let Some(slot) = run.first() {
            cells(context, *slot, run.len())?;
        }
    }
    writeln!(context.out)?;
    Ok(())
}

fn records(context: &mut Context<'_>, index: u64, slots: &[Slot]) -> Result<(), Error> {
    for (index, slot) in (index..).zip(slots) {
        let first = slot::first(context, index);
        if *slot != Slot::Empty {
            let record = context.out.record("slot").number("index", index);
            record.hex("first", first).text("kind", slot.name()).end()?;
        }
    }
    Ok(())
}

/// Neighbours of one kind: letters in their colours, where those can be seen.
fn cells(context: &mut Context<'_>, slot: Slot, count: usize) -> Result<(), Error> {
    let out = &mut context.out;
    let in_colour = out.filters() == 0;
    if in_colour {
        out.control(slot.colours());
    }
    let mut letters = core::iter::repeat_n(slot.letter(), count);
    let written = letters.try_for_each(|letter| out.write_char(letter));
    if in_colour {
        out.control(PLAIN);
    }
    Ok(written?)
}

/// Slots of each kind.
struct Counts([u64; 9]);

impl Counts {
    fn add(&mut self, slot: Slot) {
        if let Some(count) = self.0.get_mut(slot as usize) {
            *count += 1;
        }
    }

    fn of(&self, slot: Slot) -> u64 {
        self.0.get(slot as usize).copied().unwrap_or(0)
    }
}
