//! What there is to say about one slot of a top table, alone or beside that of another.

use machine::{
    Compared, DiffOptions, Kind, Level, PhysAddr, PhysMemory as _, Range, VirtAddr, diff_sides,
};

use crate::Error;
use crate::command::Context;
use crate::patience;
use crate::space::{Space, View, Views};

/// Slots of a top table.
pub(super) const SLOTS: u64 = 512;

/// What a slot is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    /// Nothing is there.
    Empty,
    /// The same table, or the master's.
    Shared,
    /// Another table with the same content.
    Equal,
    /// A table of its own.
    Private,
    /// Something below is not the same.
    Differs,
    OnlyLeft,
    OnlyRight,
    /// Reserved bits are set, or it leads back to the top table.
    Malformed,
    /// It could not be read, it or something that would have to be compared.
    Unknown,
}

impl Slot {
    /// Those that a picture of two tables may have, in the order in which they are counted.
    pub(super) const OF_TWO: &'static [Slot] = &[
        Slot::Shared,
        Slot::Equal,
        Slot::Differs,
        Slot::OnlyLeft,
        Slot::OnlyRight,
        Slot::Unknown,
        Slot::Empty,
    ];
    /// The same for a picture of one.
    pub(super) const OF_ONE: &'static [Slot] = &[
        Slot::Shared,
        Slot::Private,
        Slot::Malformed,
        Slot::Unknown,
        Slot::Empty,
    ];

    /// The letter in its cell.
    pub(super) const fn letter(self) -> char {
        match self {
            Slot::Empty => '.',
            Slot::Shared => 'S',
            Slot::Equal => 'E',
            Slot::Private => 'P',
            Slot::Differs => 'D',
            Slot::OnlyLeft => 'L',
            Slot::OnlyRight => 'R',
            Slot::Malformed => '!',
            Slot::Unknown => '?',
        }
    }

    /// The colours of its cell, as SGR: ink, then paper.
    pub(super) const fn colours(self) -> &'static str {
        match self {
            Slot::Empty => "\x1b[90m",
            Slot::Shared => "\x1b[30;42m",
            Slot::Equal => "\x1b[30;46m",
            Slot::Private => "\x1b[30;44m",
            Slot::Differs | Slot::Malformed => "\x1b[30;41m",
            Slot::OnlyLeft => "\x1b[30;43m",
            Slot::OnlyRight => "\x1b[30;45m",
            Slot::Unknown => "\x1b[30;47m",
        }
    }

    /// One word for it, or two.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Slot::Empty => "empty",
            Slot::Shared => "shared",
            Slot::Equal => "equal",
            Slot::Private => "private",
            Slot::Differs => "differs",
            Slot::OnlyLeft => "only left",
            Slot::OnlyRight => "only right",
            Slot::Malformed => "malformed",
            Slot::Unknown => "unknown",
        }
    }
}

/// The first address of a slot.
pub(super) fn first(context: &Context<'_>, slot: u64) -> VirtAddr {
    let paging = context.target.paging();
    paging.sign_extend(slot << paging.top().shift())
}

fn entry(context: &mut Context<'_>, space: &Space, slot: u64) -> Result<Kind, machine::ReadError> {
    let paging = context.target.paging();
    let at = PhysAddr(paging.root(space.root).0.wrapping_add(slot * 8));
    let raw = View::new(context.target, space).read_u64(at)?;
    Ok(paging.decode(raw, paging.top()).kind)
}

/// A slot of one table: beside the master's, if there is a master.
pub(super) fn of_one(context: &mut Context<'_>, space: &Space, slot: u64) -> Slot {
    let top = context.target.paging().root(space.root);
    let master = context.target.master().map(Space::live);
    let is_masters = |context: &mut Context<'_>, at| {
        let master = master.filter(|_| space.snapshot.is_none())?;
        let there = entry(context, &master, slot).ok()?;
        (there == Kind::Table { at }).then_some(())
    };
    match entry(context, space, slot) {
        Err(_) => Slot::Unknown,
        Ok(Kind::Absent) => Slot::Empty,
        Ok(Kind::Reserved { .. }) => Slot::Malformed,
        Ok(Kind::Table { at }) if at == top => Slot::Malformed,
        Ok(Kind::Table { at }) if is_masters(context, at).is_some() => Slot::Shared,
        Ok(Kind::Table { .. } | Kind::Page { .. }) => Slot::Private,
    }
}

/// The same slot of two tables, with all that is below.
pub(super) fn of_two(
    context: &mut Context<'_>,
    spaces: [&Space; 2],
    slot: u64,
) -> Result<Slot, Error> {
    let kinds = spaces.map(|space| entry(context, space, slot));
    if kinds.iter().all(|kind| *kind == Ok(Kind::Absent)) {
        return Ok(Slot::Empty);
    }
    let paging = context.target.paging();
    let first = first(context, slot);
    let last = VirtAddr(first.0 | (paging.top().span() - 1));
    let options = DiffOptions {
        range: Range::new(first, last),
        ..DiffOptions::default()
    };
    let roots = spaces.map(|space| space.root);
    let Context { target, out, .. } = context;
    let views = Views::new(*target, spaces);
    let mut rows = diff_sides(views, paging, roots[0], roots[1], options);
    let mut slot = Slot::Shared;
    while let Some(row) = patience::next(out, || rows.advance())? {
        slot = worse(slot, of_row(row.kind, row.level, paging.top()));
        if slot == Slot::Differs {
            // Nothing that may come changes that.
            break;
        }
    }
    Ok(slot)
}

/// What one row of a comparison says about its slot.
fn of_row(kind: Compared, level: Level, top: Level) -> Slot {
    match kind {
        Compared::Shared if level == top => Slot::Shared,
        Compared::Shared | Compared::Equal => Slot::Equal,
        Compared::OnlyLeft if level == top => Slot::OnlyLeft,
        Compared::OnlyRight if level == top => Slot::OnlyRight,
        Compared::Differs(_) | Compared::OnlyLeft | Compared::OnlyRight => Slot::Differs,
        Compared::Unknown(..) => Slot::Unknown,
    }
}

/// What is to be said about a slot of which two things are known.
fn worse(one: Slot, other: Slot) -> Slot {
    let weight = |slot| match slot {
        Slot::Shared => 0,
        Slot::Equal => 1,
        Slot::Unknown => 2,
        _ => 3,
    };
    match weight(other) > weight(one) {
        true => other,
        false => one,
    }
}
