//! `kernel-half`: the upper entries of every space are the master's.
//!
//! They are meant to reference the very tables that the master references, so that what is
//! mapped later is there at once. A private copy is right only until the master changes.

use machine::{Compared, DiffOptions, DiffRow, Level, Place as Side, Range, VirtAddr};

use super::report::{Place, Report, Row};
use super::scope::{Scope, Tree, Who};
use super::what::{Slot, What};
use crate::Error;
use crate::command::Context;
use crate::patience;
use crate::space::{Space, Views};

pub(super) fn run(context: &mut Context<'_>, scope: &Scope) -> Result<Report, Error> {
    let master = context.target.master();
    let master = Space::live(master.ok_or(Error::Lacks("master table"))?);
    let mut report = Report::default();
    let (mut spaces, mut slots) = (0_u64, 0_u64);
    let mut trees = scope.trees(context);
    while let Some(tree) = trees.next(context) {
        if tree.who == Who::Master {
            continue;
        }
        spaces = spaces.saturating_add(1);
        slots = slots.saturating_add(compare(context, &master, &tree, &mut report)?);
    }
    let (one, many) = scope.noun();
    let noun = if spaces == 1 { one } else { many };
    report.extent(format_args!("{spaces} {noun}, {slots} slots"));
    Ok(report)
}

/// Compares one space, and says how many slots were looked at.
fn compare(
    context: &mut Context<'_>,
    master: &Space,
    tree: &Tree,
    report: &mut Report,
) -> Result<u64, Error> {
    let Context { target, out, .. } = context;
    let paging = target.paging();
    let options = DiffOptions {
        range: Range::UPPER,
        ..DiffOptions::default()
    };
    let views = Views::new(*target, [master, &tree.space]);
    let (left, right) = (master.root, tree.space.root);
    let mut rows = machine::diff_sides(views, paging, left, right, options);
    let mut open: Option<Open> = None;
    while let Some(row) = patience::next(out, || rows.advance())? {
        if is_alike(&row) {
            continue;
        }
        let top = paging.top();
        let slot = VirtAddr(row.first.0 & !(top.span() - 1));
        match &mut open {
            Some(open) if open.slot == slot => open.take(&row),
            _ => {
                let before = open.replace(Open::new(slot, &row));
                if let Some(before) = before {
                    report.add(before.row(tree.who, top));
                }
            }
        }
    }
    let [_, upper] = rows.slots();
    if let Some(open) = open {
        report.add(open.row(tree.who, paging.top()));
    }
    Ok(upper.total)
}

/// Whether there is nothing to say. What neither side can follow is alike if the entries are.
fn is_alike(row: &DiffRow) -> bool {
    let raw = |side: Option<Side>| side.and_then(|side| side.raw);
    match row.kind {
        Compared::Shared => true,
        Compared::Unknown(..) => raw(row.left).is_some() && raw(row.left) == raw(row.right),
        _ => false,
    }
}

/// A slot about which something has to be said.
struct Open {
    slot: VirtAddr,
    /// The first row that differs, or, if none does, the first one.
    row: DiffRow,
    /// How many more differ.
    more: u64,
}

impl Open {
    fn new(slot: VirtAddr, row: &DiffRow) -> Open {
        Open {
            slot,
            row: *row,
            more: 0,
        }
    }

    fn take(&mut self, row: &DiffRow) {
        match (self.row.kind.is_same(), row.kind.is_same()) {
            (true, false) => self.row = *row,
            (false, false) => self.more = self.more.saturating_add(1),
            _ => {}
        }
    }

    fn row(&self, who: Who, top: Level) -> Row {
        let DiffRow {
            kind,
            level,
            left,
            right,
            ..
        } = self.row;
        let is = match kind {
            Compared::Shared | Compared::Equal => Slot::Copy,
            how if level == top => Slot::Differs(how),
            how => Slot::Stale(how),
        };
        let what = What::Slot {
            is,
            theirs: left.and_then(|side| side.raw),
            more: self.more,
        };
        let entry = right.map(|side| (level, side.entry_address(), side.raw.unwrap_or(0)));
        Row {
            entry,
            ..Row::new(Place::Slot(self.slot), what).of(who)
        }
    }
}
