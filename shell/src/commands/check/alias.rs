//! `alias`: a table frame that two entries of one space reference, and code that can be written by
//! another name.

use machine::check::{CodePage, CodePages, Met, TableNames};
use machine::{HoleWhy, Kind, Level, Node, Path, Paths, Progress, Range};

use super::pace::Pace;
use super::report::{Place, Report, Row};
use super::scope::{Scope, Tree, Who};
use super::what::What;
use crate::Error;
use crate::command::Context;
use crate::render::Count;

pub(super) fn run(context: &mut Context<'_>, scope: &Scope) -> Result<Report, Error> {
    let mut report = Report::default();
    let (mut spaces, mut count) = (0_u64, 0_u64);
    let mut trees = scope.trees(context);
    while let Some(tree) = trees.next(context) {
        spaces = spaces.saturating_add(1);
        count = count.saturating_add(tables(context, &tree, &mut report)?);
    }
    let pages = code(context, scope, &mut report)?;
    let (spaces, tables) = (Count(spaces, "space"), Count(count, "table"));
    let pages = Count(pages, "page");
    report.extent(format_args!("{spaces}, {tables}, {pages} of user code"));
    Ok(report)
}

/// The tables of one space; how many there are.
fn tables(context: &mut Context<'_>, tree: &Tree, report: &mut Report) -> Result<u64, Error> {
    let (mut names, mut pace, mut before) = (TableNames::new(), Pace::default(), 0_u64);
    // The top table is one, too.
    let (mut count, mut is_first) = (1_u64, true);
    loop {
        let mut paths = Paths::new(context.target.paging(), tree.space.root, Range::ALL);
        loop {
            let row = paths.advance(&mut context.view(&tree.space));
            if !pace.goes_on(context, paths.visited().saturating_add(before))? {
                report.cut();
                return Ok(count);
            }
            let path = match row {
                Progress::Done => break,
                Progress::Working => continue,
                Progress::Row(path) => path,
            };
            let Node::Table { at, level } = path.node else {
                // The lower half is looked at for code as well.
                if is_first && is_unreadable(&path) && Range::UPPER.contains(path.va) {
                    report.unknown();
                }
                continue;
            };
            if level == Level::Pt {
                paths.skip();
            }
            match names.meet(at, level, path.va, &path.last()) {
                Met::New | Met::Elsewhere => count = count.saturating_add(is_first.into()),
                Met::Again => paths.skip(),
                Met::Alias(known) => {
                    paths.skip();
                    let what = What::TwoNames {
                        at,
                        level,
                        entry: known.entry,
                        va: known.va,
                        other: known.level,
                    };
                    // What is wrong in the master is said of the master.
                    let is_masters = tree.shares_address(context, path.va)
                        && tree.shares_address(context, known.va);
                    if !is_masters {
                        let place = Place::Range(path.va, path.end());
                        report.add(Row::new(place, what).of(tree.who).through(&path.last()));
                    }
                }
            }
        }
        before = paths.visited().saturating_add(before);
        is_first = false;
        if !names.next_pass() {
            return Ok(count);
        }
    }
}

/// The pages that user code executes, and who can write them; how many there are.
fn code(context: &mut Context<'_>, scope: &Scope, report: &mut Report) -> Result<u64, Error> {
    let (mut pages, mut count, mut is_first) = (CodePages::new(), 0_u64, true);
    loop {
        each_user_page(context, scope, report, |report, number, _, path, page| {
            let Some(page) = page else {
                if is_first {
                    report.unknown();
                }
                return;
            };
            let rights = path.rights();
            if rights.execute && !rights.write {
                count = count.saturating_add(u64::from(is_first));
                pages.meet(CodePage {
                    space: number,
                    ..page
                });
            }
        })?;
        each_user_page(context, scope, report, |report, _, tree, path, page| {
            let rights = path.rights();
            // A page that is both by the same name is for `wx`.
            let page = page.filter(|_| rights.write && !rights.execute);
            let Some(page) = page else { return };
            if let Some(code) = pages.overlapping(page.at, page.size) {
                let what = What::WritableCode {
                    at: page.at.max(code.at),
                    va: code.va,
                    who: who(code.space),
                };
                let place = Place::Range(path.va, path.end());
                report.add(Row::new(place, what).of(tree.who).through(&path.last()));
            }
        })?;
        is_first = false;
        if !pages.next_pass() {
            return Ok(count);
        }
    }
}

/// Spaces as numbers: processes by their pid.
fn number(who: Who) -> u32 {
    match who {
        Who::Process(pid) => pid,
        Who::Master => 0,
        Who::Given => u32::MAX,
    }
}

fn who(number: u32) -> Who {
    match number {
        0 => Who::Master,
        u32::MAX => Who::Given,
        pid => Who::Process(pid),
    }
}

fn is_unreadable(path: &Path) -> bool {
    matches!(path.node, Node::Hole(HoleWhy::Unreadable(_)))
}

/// Calls `visit` with each page of the lower halves that user code can use, and without one for
/// what could not be read.
fn each_user_page(
    context: &mut Context<'_>,
    scope: &Scope,
    report: &mut Report,
    mut visit: impl FnMut(&mut Report, u32, &Tree, &Path, Option<CodePage>),
) -> Result<(), Error> {
    let (mut pace, mut before) = (Pace::default(), 0_u64);
    let mut trees = scope.trees(context);
    while let Some(tree) = trees.next(context) {
        let mut paths = Paths::new(context.target.paging(), tree.space.root, Range::LOWER);
        loop {
            let row = paths.advance(&mut context.view(&tree.space));
            if !pace.goes_on(context, paths.visited().saturating_add(before))? {
                report.cut();
                return Ok(());
            }
            let path = match row {
                Progress::Done => break,
                Progress::Working => continue,
                Progress::Row(path) => path,
            };
            if is_unreadable(&path) {
                visit(report, number(tree.who), &tree, &path, None);
            }
            let Kind::Page { at, size } = path.last().entry.kind else {
                continue;
            };
            if path.rights().user {
                let page = CodePage {
                    at,
                    size,
                    va: path.va,
                    space: 0,
                };
                visit(report, number(tree.who), &tree, &path, Some(page));
            }
        }
        before = before.saturating_add(paths.visited());
    }
    Ok(())
}
