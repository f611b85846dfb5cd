//! The task state segment: RSP0, the ISTs, the I/O bitmap.

use machine::{End, SegmentKind, Selector, Tss64, VirtAddr};

use super::Look;
use super::gdt::TSS_LIMIT;
use crate::abilities::{StackKind, StackState};
use crate::command::Context;
use crate::commands::check::report::{Place, Report, Row};
use crate::commands::check::what::What;

/// The most pages that a stack is taken to have where no books say how many.
const MOST_PAGES: u64 = 64;

/// Reads the segment that TR names, and looks at all of it; `None` if it cannot be read.
pub(super) fn check(context: &mut Context<'_>, look: &Look, report: &mut Report) -> Option<Tss64> {
    let selector = Selector(look.registers.tr);
    if selector.is_null() || selector.is_local() {
        return None;
    }
    let offset = u64::from(selector.index()) * 8;
    // What is wrong with TR itself has been said.
    let segment = look.descriptor(context, offset).ok()??;
    if !matches!(segment.kind, SegmentKind::Tss { .. }) {
        return None;
    }
    let limit = u64::from(segment.limit);
    if limit < TSS_LIMIT {
        let what = What::TooSmall("its limit", TSS_LIMIT);
        report.add(Row::new(Place::Gdt(offset as u32), what).holding(segment.low));
    }
    let tss = match look.bytes(context, segment.base, 0) {
        Ok(bytes) => Tss64::decode(&bytes),
        Err(why) => {
            let place = Place::Named("the task state segment");
            report.add(Row::new(place, What::Unreadable(why)));
            return None;
        }
    };
    let [rsp0, ..] = tss.rsp;
    let what = match rsp0.0 {
        0 => Some(What::Said("is zero: an entry from ring 3 has no stack")),
        _ => stack(context, look, rsp0, StackKind::Kernel),
    };
    say(report, Place::Stack("RSP", 0), rsp0, what);
    for (number, top) in (1..).zip(tss.ist) {
        if top.0 != 0 {
            let what = stack(context, look, top, StackKind::Ist);
            say(report, Place::Stack("IST", number), top, what);
        }
    }
    if u64::from(tss.iomap_base) <= limit.max(TSS_LIMIT) {
        let text = "begins within the limit: user code may use the ports whose bits are clear";
        let row = Row::new(Place::Named("I/O bitmap"), What::Said(text));
        report.add(row.holding(tss.iomap_base.into()));
    }
    Some(tss)
}

/// How many stacks are set.
pub(super) fn stacks(tss: &Tss64) -> u64 {
    let all = tss.rsp.iter().chain(&tss.ist);
    all.filter(|top| top.0 != 0).count() as u64
}

fn say(report: &mut Report, place: Place, top: VirtAddr, what: Option<What>) {
    if let Some(what) = what {
        report.add(Row::new(place, what).holding(top.0));
    }
}

/// What is wrong with the top of a stack.
fn stack(context: &mut Context<'_>, look: &Look, top: VirtAddr, kind: StackKind) -> Option<What> {
    let has_books = context.target.stacks().is_some();
    match known(context, top, kind) {
        Some(StackState::Live) => {}
        Some(StackState::Free | StackState::Reserved) => {
            return Some(What::Said("is the top of a stack that nobody has"));
        }
        None if has_books && kind == StackKind::Ist => {
            return Some(What::Said("is the top of no exception stack"));
        }
        None if has_books => return Some(What::Said("is the top of no kernel stack")),
        None => {}
    }
    // The CPU pushes the first word right below the top.
    let end = look.walk(context, VirtAddr(top.0.wrapping_sub(8))).end();
    match end {
        End::Mapped { rights, .. } if !rights.write => {
            return Some(What::Mapped("the word below cannot be written", end));
        }
        End::Mapped { rights, .. } if rights.user => {
            return Some(What::Mapped("user code can use the word below", end));
        }
        End::Mapped { .. } => {}
        _ => return Some(What::Mapped("the word below is not mapped", end)),
    }
    // Where there are books, `stacks` looks at the guard page.
    (!has_books && !has_guard(context, look, top)).then_some(What::Said(
        "has no unmapped page within 256 KiB below, which would stop an overflow",
    ))
}

/// What the books say of the stack with this top.
fn known(context: &mut Context<'_>, top: VirtAddr, kind: StackKind) -> Option<StackState> {
    for index in 0.. {
        let stack = context.target.stacks()?.stack(index)?;
        if stack.kind == kind && stack.top == top {
            return Some(stack.state);
        }
    }
    None
}

fn has_guard(context: &mut Context<'_>, look: &Look, top: VirtAddr) -> bool {
    (1..=MOST_PAGES).any(|page| {
        let va = VirtAddr(top.0.wrapping_sub(page * 4096));
        matches!(look.walk(context, va).end(), End::Absent { .. })
    })
}
