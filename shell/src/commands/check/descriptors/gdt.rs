//! The entries of the GDT, and the selectors in CS, SS and TR.

use machine::{SegmentKind, Selector};

use super::Look;
use crate::command::Context;
use crate::commands::check::report::{Place, Report, Row};
use crate::commands::check::what::What;

/// The least limit of a task state segment.
pub(super) const TSS_LIMIT: u64 = 0x67;

/// Looks at every entry; how many there are that are not null.
pub(super) fn check(context: &mut Context<'_>, look: &Look, report: &mut Report) -> u64 {
    let limit = u64::from(look.registers.gdtr.limit);
    let (mut offset, mut count) = (0_u64, 0_u64);
    while offset + 7 <= limit {
        let place = Place::Gdt(offset as u32);
        let segment = match look.descriptor(context, offset) {
            Ok(Some(segment)) => segment,
            Ok(None) => {
                let text = "is a descriptor of 16 bytes, and the limit is within them";
                report.add(Row::new(place, What::Said(text)));
                break;
            }
            Err(why) => {
                report.add(Row::new(place, What::Unreadable(why)));
                break;
            }
        };
        let what = match segment.kind {
            SegmentKind::Code { .. } if segment.long && segment.big => {
                Some("L and D are both set, which no code segment may have")
            }
            SegmentKind::Reserved { .. } => Some("has a type that means nothing in long mode"),
            _ if segment.reserved() != 0 => Some("bits 12:8 of its last doubleword are not zero"),
            _ => None,
        };
        if let Some(text) = what {
            report.add(Row::new(place, What::Said(text)).holding(segment.low));
        }
        count += u64::from(segment.kind != SegmentKind::Null);
        offset += segment.bytes() as u64;
    }
    count
}

/// CS, SS and TR.
pub(super) fn selectors(context: &mut Context<'_>, look: &Look, report: &mut Report) {
    let (cs, ss) = (Selector(look.registers.cs), Selector(look.registers.ss));
    let mut say = |name, selector: Selector, what: Option<What>| {
        if let Some(what) = what {
            let row = Row::new(Place::Named(name), what);
            report.add(row.holding(selector.0.into()));
        }
    };
    let level = cs.rpl();
    let what = match beyond(look, cs) {
        Some(what) => Some(what),
        None => look.unless_code(context, cs, level).map(What::Said),
    };
    say("CS", cs, what);
    // Below ring 3 a null selector is a good one for a stack in 64-bit mode.
    if !(ss.is_null() && level < 3) {
        let what = match beyond(look, ss) {
            Some(what) => Some(what),
            None => unless_stack(context, look, ss, level).map(What::Said),
        };
        say("SS", ss, what);
    }
    let tr = Selector(look.registers.tr);
    let what = match beyond(look, tr) {
        Some(what) => Some(what),
        None => unless_tss(context, look, tr).map(What::Said),
    };
    say("TR", tr, what);
}

/// Of a selector that goes past the end of the table.
fn beyond(look: &Look, selector: Selector) -> Option<What> {
    let limit = u64::from(look.registers.gdtr.limit);
    let last = u64::from(selector.index()) * 8 + 7;
    let is_beyond = !selector.is_local() && !selector.is_null() && last > limit;
    is_beyond.then_some(What::BeyondLimit(limit))
}

fn unless_stack(
    context: &mut Context<'_>,
    look: &Look,
    ss: Selector,
    level: u8,
) -> Option<&'static str> {
    if ss.is_null() {
        return Some("is null");
    }
    if ss.is_local() {
        return Some("names the LDT");
    }
    let offset = u64::from(ss.index()) * 8;
    let segment = look.descriptor(context, offset).ok()??;
    match segment.kind {
        SegmentKind::Data { writable: true, .. } if !segment.present => {
            Some("names data that is not present")
        }
        SegmentKind::Data { writable: true, .. } if segment.dpl == level && ss.rpl() == level => {
            None
        }
        SegmentKind::Data { writable: true, .. } => Some("names data of another privilege level"),
        _ => Some("does not name data that can be written"),
    }
}

fn unless_tss(context: &mut Context<'_>, look: &Look, tr: Selector) -> Option<&'static str> {
    if tr.is_null() {
        return Some("is null: no task state segment is loaded");
    }
    if tr.is_local() {
        return Some("names the LDT");
    }
    let offset = u64::from(tr.index()) * 8;
    let segment = look.descriptor(context, offset).ok()??;
    match segment.kind {
        SegmentKind::Tss { .. } if !segment.present => {
            Some("names a task state segment that is not present")
        }
        SegmentKind::Tss { busy: true } => None,
        SegmentKind::Tss { busy: false } => {
            Some("names a task state segment that is not marked busy, as LTR does")
        }
        _ => Some("does not name a task state segment"),
    }
}
