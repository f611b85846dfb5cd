//! `stacks`: what `stacks verify` looks at, in each space, as findings.

use super::report::{Place, Report, Row};
use super::scope::{Scope, Tree, Who};
use super::what::What;
use crate::Error;
use crate::abilities::{StackInfo, StackKind};
use crate::command::Context;
use crate::commands::stacks::{self, Depth, Wrong};
use crate::render::Count;
use crate::space::Space;
use machine::{End, Right, Step, VirtAddr};

pub(super) fn run(context: &mut Context<'_>, scope: &Scope) -> Result<Report, Error> {
    stacks::stacks(context)?;
    let mut report = Report::default();
    let (mut spaces, mut count) = (0_u64, 0_u64);
    let mut trees = scope.trees(context);
    while let Some(tree) = trees.next(context) {
        context.check_interrupt()?;
        spaces = spaces.saturating_add(1);
        for index in 0.. {
            let Some(stack) = stacks::stacks(context)?.stack(index) else {
                break;
            };
            if is_in(&tree, &stack) {
                count = count.saturating_add(1);
                look(context, &tree, &stack, &mut report)?;
            }
        }
    }
    let (count, spaces) = (Count(count, "stack"), Count(spaces, "space"));
    report.extent(format_args!("{count} in {spaces}"));
    Ok(report)
}

/// Whether a stack is to be found in a space.
fn is_in(tree: &Tree, stack: &StackInfo) -> bool {
    stack.kind != StackKind::User || stack.root == tree.space.root
}

fn look(
    context: &mut Context<'_>,
    tree: &Tree,
    stack: &StackInfo,
    report: &mut Report,
) -> Result<(), Error> {
    let guard = VirtAddr(stack.bottom.0.wrapping_sub(1));
    let last = VirtAddr(stack.top.0.wrapping_sub(1));
    if tree.shares_address(context, guard) && tree.shares_address(context, last) {
        // The same tables as the master's, which have been looked at.
        return Ok(());
    }
    let master = context.target.master().map(Space::live);
    let is_master = tree.who == Who::Master || master == Some(tree.space);
    let master = master.filter(|_| !is_master && stack.kind != StackKind::User);
    let mut add = |_: &mut Context<'_>, wrong: &Wrong| {
        let page = Place::Range(wrong.va, VirtAddr(wrong.va.0 | 0xfff));
        let row = Row::new(page, What::Stack(wrong.says(), wrong.walk.end())).of(tree.who);
        report.add(match at_fault(wrong) {
            Some(step) => row.through(step),
            None => row,
        });
        Ok(())
    };
    stacks::in_space(context, stack, Depth::Pages, &tree.space, master, &mut add)?;
    Ok(())
}

/// The entry that makes a page wrong: the one that takes W away, or the last one.
fn at_fault(wrong: &Wrong) -> Option<&Step> {
    let steps = wrong.walk.steps();
    let forbids = match (wrong.walk.end(), wrong.is_guard) {
        (End::Mapped { .. }, false) => wrong.walk.decided_by(Right::Write),
        _ => None,
    };
    let found = steps.iter().find(|step| Some(step.entry.level) == forbids);
    found.or(steps.last())
}
