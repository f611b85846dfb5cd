//! The page tables, held against what the books say about a stack.

use core::fmt::Write;

use machine::{End, PhysAddr, Right, VirtAddr, Walk, walk};

use super::{Depth, Whose, is_shared};
use crate::Error;
use crate::abilities::{StackInfo, StackState};
use crate::command::Context;
use crate::process::Pids;
use crate::record::{Row, hex, text};
use crate::space::Space;

const PAGE: u64 = 4096;

/// A page that is not as it should be.
pub(in crate::commands) struct Wrong {
    pub(in crate::commands) va: VirtAddr,
    /// Whether it is one that must never be mapped.
    pub(in crate::commands) is_guard: bool,
    what: &'static str,
    pub(in crate::commands) walk: Walk,
}

/// Who is told of each page, in their order.
pub(in crate::commands) type Tell<'f> =
    &'f mut dyn FnMut(&mut Context<'_>, &Wrong) -> Result<(), Error>;

impl Wrong {
    /// What is wrong, as a whole: `the guard page is mapped`.
    pub(in crate::commands) fn says(&self) -> &'static str {
        match (self.is_guard, self.what) {
            (false, what) => what,
            (true, MAPPED) => "the guard page is mapped",
            (true, MALFORMED) => "the guard page is malformed",
            (true, _) => "the guard page is unknown",
        }
    }
}

/// Looks one stack up in every space it is in; how many pages are not as they should be, of
/// which each has been shown.
pub(super) fn stack(
    context: &mut Context<'_>,
    stack: &StackInfo,
    depth: Depth,
) -> Result<u64, Error> {
    if !is_shared(stack) {
        let whose = stack.owner.map_or(Whose::Own, Whose::Process);
        return show(context, stack, depth, whose, stack.root, None);
    }
    let master = context.target.master().unwrap_or(stack.root);
    let mut wrong = show(context, stack, depth, Whose::Master, master, None)?;
    // Without processes the master is all there is.
    let Ok(mut pids) = Pids::all(context.target) else {
        return Ok(wrong);
    };
    while let Some(info) = pids.next(context.target) {
        if info.state.exit().is_none() {
            let whose = Whose::Process(info.pid);
            let found = show(context, stack, depth, whose, info.root, Some(master))?;
            wrong = wrong.saturating_add(found);
        }
    }
    Ok(wrong)
}

fn show(
    context: &mut Context<'_>,
    stack: &StackInfo,
    depth: Depth,
    whose: Whose,
    root: PhysAddr,
    master: Option<PhysAddr>,
) -> Result<u64, Error> {
    let (space, master) = (Space::live(root), master.map(Space::live));
    in_space(
        context,
        stack,
        depth,
        &space,
        master,
        &mut |context, wrong| {
            let Wrong {
                va,
                is_guard,
                what,
                walk,
            } = wrong;
            let page = if *is_guard { "guard" } else { "page" };
            row(context, page, *va, whose, what, walk.end())
        },
    )
}

/// How many spaces there are beside the master.
pub(super) fn spaces(context: &mut Context<'_>) -> u64 {
    let Ok(mut pids) = Pids::all(context.target) else {
        return 0;
    };
    let mut count = 0;
    while let Some(info) = pids.next(context.target) {
        count += u64::from(info.state.exit().is_none());
    }
    count
}

/// Looks one stack up in one space, where its pages are those of `master`, if that is given; how
/// many are not as they should be.
pub(in crate::commands) fn in_space(
    context: &mut Context<'_>,
    stack: &StackInfo,
    depth: Depth,
    space: &Space,
    master: Option<Space>,
    tell: Tell<'_>,
) -> Result<u64, Error> {
    let mut wrong = 0_u64;
    let mut found = |context: &mut Context<'_>, va, is_guard, what, walk| {
        wrong = wrong.saturating_add(1);
        let page = Wrong {
            va,
            is_guard,
            what,
            walk,
        };
        tell(context, &page)
    };
    let below = VirtAddr(stack.bottom.0.wrapping_sub(PAGE));
    let guards = [Some(below), (!is_shared(stack)).then_some(stack.top)];
    for va in guards.into_iter().flatten() {
        let walk = look(context, space, va);
        if let Some(what) = unless_absent(walk.end()) {
            found(context, va, true, what, walk)?;
        }
    }
    if depth == Depth::Guards {
        return Ok(wrong);
    }
    let copied = context.target.copied_on_write();
    let mut page = stack.bottom.0;
    while page < stack.top.0 {
        let va = VirtAddr(page);
        let walk = look(context, space, va);
        let end = walk.end();
        let what = match (stack.state, master) {
            (StackState::Live, Some(master)) => {
                let there = look(context, &master, va).end();
                let differs = (frame(end) != frame(there)).then_some("is not as in the master");
                differs.or(unless_stack(&walk, stack, copied))
            }
            (StackState::Live, None) => unless_stack(&walk, stack, copied),
            _ => unless_absent(end),
        };
        if let Some(what) = what {
            found(context, va, false, what, walk)?;
        }
        let Some(next) = page.checked_add(PAGE) else {
            break;
        };
        page = next;
    }
    Ok(wrong)
}

/// What a page that is wrong is with `--json`.
pub(super) const ROW: Row = Row {
    name: "wrong",
    about: "a page that is not as it should be",
    fields: &[
        text("part", "guard, or page of the stack"),
        hex("va", "its address"),
        text("space", "in whose tables"),
        text("what", "what is wrong with it"),
        text("found", "what the tables say, in words"),
    ],
};

fn row(
    context: &mut Context<'_>,
    part: &str,
    va: VirtAddr,
    whose: Whose,
    what: &str,
    end: End,
) -> Result<(), Error> {
    let out = &mut context.out;
    match out.is_json() {
        true => out
            .record(ROW.name)
            .text("part", part)
            .hex("va", va)
            .text("space", whose)
            .text("what", what)
            .text("found", end)
            .end()?,
        false => writeln!(out, "{part} {va} in {whose} {what}: {end}")?,
    }
    Ok(())
}

fn look(context: &mut Context<'_>, space: &Space, va: VirtAddr) -> Walk {
    let paging = context.target.paging();
    walk(&mut context.view(space), &paging, space.root, va)
}

const MAPPED: &str = "is mapped";
const MALFORMED: &str = "is malformed";

/// What is wrong with a page that must not be mapped.
fn unless_absent(end: End) -> Option<&'static str> {
    match end {
        End::Absent { .. } => None,
        End::Mapped { .. } => Some(MAPPED),
        End::Reserved { .. } => Some(MALFORMED),
        End::Unreadable { .. } | End::NonCanonical => Some("is unknown"),
    }
}

/// What is wrong with a page of a live stack.
fn unless_stack(walk: &Walk, stack: &StackInfo, copied: u64) -> Option<&'static str> {
    let End::Mapped { rights, .. } = walk.end() else {
        return Some("is not mapped");
    };
    // After a fork a page of user code is shared until one of the two writes to it.
    let raw = walk.steps().last().map_or(0, |step| step.entry.raw);
    let waits = raw & copied != 0 && !is_shared(stack);
    if !rights.has(Right::Write) && !waits {
        return Some("cannot be written");
    }
    if rights.has(Right::Execute) {
        return Some("can be executed");
    }
    match (rights.has(Right::User), is_shared(stack)) {
        (true, true) => Some("is for user code, too"),
        (false, false) => Some("is not for user code"),
        _ => None,
    }
}

fn frame(end: End) -> Option<PhysAddr> {
    match end {
        End::Mapped { at, .. } => Some(at),
        _ => None,
    }
}
