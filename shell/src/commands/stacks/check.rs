//! The page tables, held against what the books say about a stack.

use core::fmt::Write;

use machine::{End, PhysAddr, Right, VirtAddr, walk};

use super::{Depth, Space, is_shared};
use crate::Error;
use crate::abilities::{StackInfo, StackState};
use crate::command::Context;
use crate::process::Pids;

const PAGE: u64 = 4096;

/// Looks one stack up in every space it is in; how many pages are not as they should be, of
/// which each has been shown.
pub(super) fn stack(
    context: &mut Context<'_>,
    stack: &StackInfo,
    depth: Depth,
) -> Result<u64, Error> {
    if !is_shared(stack) {
        let space = stack.owner.map_or(Space::Own, Space::Process);
        return in_space(context, stack, depth, space, stack.root, None);
    }
    let master = context.target.master().unwrap_or(stack.root);
    let mut wrong = in_space(context, stack, depth, Space::Master, master, None)?;
    // Without processes the master is all there is.
    let Ok(mut pids) = Pids::all(context.target) else {
        return Ok(wrong);
    };
    while let Some(info) = pids.next(context.target) {
        if info.state.exit().is_none() {
            let space = Space::Process(info.pid);
            let found = in_space(context, stack, depth, space, info.root, Some(master))?;
            wrong = wrong.saturating_add(found);
        }
    }
    Ok(wrong)
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

fn in_space(
    context: &mut Context<'_>,
    stack: &StackInfo,
    depth: Depth,
    space: Space,
    root: PhysAddr,
    master: Option<PhysAddr>,
) -> Result<u64, Error> {
    let mut wrong = 0_u64;
    let below = VirtAddr(stack.bottom.0.wrapping_sub(PAGE));
    let guards = [Some(below), (!is_shared(stack)).then_some(stack.top)];
    for guard in guards.into_iter().flatten() {
        let end = look(context, root, guard);
        if let Some(what) = unless_absent(end) {
            wrong = wrong.saturating_add(1);
            writeln!(context.out, "guard {guard} in {space} {what}: {end}")?;
        }
    }
    if depth == Depth::Guards {
        return Ok(wrong);
    }
    let mut page = stack.bottom.0;
    while page < stack.top.0 {
        let va = VirtAddr(page);
        let end = look(context, root, va);
        let what = match (stack.state, master) {
            (StackState::Live, Some(master)) => {
                let there = look(context, master, va);
                let differs = (frame(end) != frame(there)).then_some("is not as in the master");
                differs.or(unless_stack(end, stack))
            }
            (StackState::Live, None) => unless_stack(end, stack),
            _ => unless_absent(end),
        };
        if let Some(what) = what {
            wrong = wrong.saturating_add(1);
            writeln!(context.out, "page {va} in {space} {what}: {end}")?;
        }
        let Some(next) = page.checked_add(PAGE) else {
            break;
        };
        page = next;
    }
    Ok(wrong)
}

fn look(context: &mut Context<'_>, root: PhysAddr, va: VirtAddr) -> End {
    let paging = context.target.paging();
    walk(context.target.memory(), &paging, root, va).end()
}

/// What is wrong with a page that must not be mapped.
fn unless_absent(end: End) -> Option<&'static str> {
    match end {
        End::Absent { .. } => None,
        End::Mapped { .. } => Some("is mapped"),
        End::Reserved { .. } => Some("is malformed"),
        End::Unreadable { .. } | End::NonCanonical => Some("is unknown"),
    }
}

/// What is wrong with a page of a live stack.
fn unless_stack(end: End, stack: &StackInfo) -> Option<&'static str> {
    let End::Mapped { rights, .. } = end else {
        return Some("is not mapped");
    };
    if !rights.has(Right::Write) {
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
