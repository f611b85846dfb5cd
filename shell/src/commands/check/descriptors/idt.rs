//! The gates of the IDT: present, of a good type, closed to user code, with a handler that can
//! run and a stack of their own where they need one.

use machine::{End, Gate, GateKind, Tss64, VirtAddr};

use super::Look;
use crate::command::Context;
use crate::commands::check::report::{Place, Report, Row};
use crate::commands::check::what::What;

/// Vectors that need a stack of their own: they come on any stack, a broken one included.
const NEED_STACK: [u8; 3] = [2, 8, 18];
/// A second page fault would overwrite the frame of the first.
const PAGE_FAULT: u8 = 14;
/// What INT3 and INTO raise, which user code may.
const FOR_USER: [u8; 2] = [3, 4];

/// Looks at every gate; how many are present.
pub(super) fn check(
    context: &mut Context<'_>,
    look: &Look,
    tss: Option<&Tss64>,
    report: &mut Report,
) -> u64 {
    let base = look.registers.idtr.base;
    let gates = (u64::from(look.registers.idtr.limit) + 1) / Gate::BYTES as u64;
    let mut taken = [None; 7];
    let mut count = 0;
    for vector in 0..=255_u8 {
        let needed = is_exception(vector) || is_line(context, vector) == Some(true);
        let place = Place::Idt(vector, vector);
        if u64::from(vector) >= gates {
            if needed {
                report.add(Row::new(
                    place,
                    What::Said("is beyond the limit of the IDT"),
                ));
            }
            continue;
        }
        let offset = u64::from(vector) * Gate::BYTES as u64;
        let words = look.word(context, base, offset).and_then(|low| {
            let high = look.word(context, base, offset + 8)?;
            Ok((low, high))
        });
        let gate = match words {
            Ok((low, high)) => Gate::decode(low, high),
            Err(why) => {
                report.add(Row::new(place, What::Unreadable(why)));
                break;
            }
        };
        if !gate.present {
            if needed {
                let row = Row::new(place, What::Said("is not present"));
                report.add(row.holding(gate.low));
            }
            continue;
        }
        count += 1;
        let what = gate_itself(context, look, vector, &gate)
            .or_else(|| stack(vector, &gate, tss, &mut taken));
        if let Some(what) = what {
            report.add(Row::new(place, what).holding(gate.low));
        }
    }
    count
}

/// Whether every processor may raise it: the others need something to be switched on.
fn is_exception(vector: u8) -> bool {
    matches!(vector, 0..=8 | 10..=14 | 16..=19)
}

/// Whether an interrupt line has this vector, and may come.
fn is_line(context: &mut Context<'_>, vector: u8) -> Option<bool> {
    let lines = context.target.interrupts()?.lines();
    let line = vector.checked_sub(lines.first_vector)?;
    let bit = 1_u16.checked_shl(line.into())?;
    Some(lines.masked & bit == 0)
}

fn gate_itself(context: &mut Context<'_>, look: &Look, vector: u8, gate: &Gate) -> Option<What> {
    if let GateKind::Reserved { .. } = gate.kind {
        return Some(What::Said("has a type that no gate may have"));
    }
    if let Some(what) = look.unless_code(context, gate.selector, 0) {
        return Some(What::Selector(gate.selector.0, what));
    }
    let end = look.walk(context, gate.offset).end();
    match end {
        End::Mapped { rights, .. } if !rights.execute => {
            return Some(What::Mapped("its handler cannot be executed", end));
        }
        End::Mapped { rights, .. } if rights.user => {
            return Some(What::Mapped("its handler is in a page for user code", end));
        }
        End::Mapped { .. } => {}
        _ => return Some(What::Mapped("its handler is not mapped", end)),
    }
    let is_closed = vector < 32 && !FOR_USER.contains(&vector);
    if gate.dpl > 0 && (is_closed || is_line(context, vector).is_some()) {
        return Some(What::Said(
            "has a DPL above 0: user code can raise it with INT",
        ));
    }
    None
}

/// What is wrong with the stack that a gate asks for.
fn stack(
    vector: u8,
    gate: &Gate,
    tss: Option<&Tss64>,
    taken: &mut [Option<(VirtAddr, u8)>; 7],
) -> Option<What> {
    if gate.ist == 0 {
        let needed = NEED_STACK.contains(&vector);
        return needed.then_some(What::Said("has no stack of its own (IST is 0)"));
    }
    if vector == PAGE_FAULT {
        let text = "has an IST stack: a second page fault overwrites the first";
        return Some(What::Said(text));
    }
    // Without a task state segment nothing is known of the stacks.
    let top = tss?.stack(gate.ist)?;
    if top.0 == 0 {
        return Some(What::NoStack(gate.ist));
    }
    for slot in taken {
        match slot {
            Some((other, first)) if *other == top => return Some(What::SharesStack(*first)),
            Some(_) => {}
            None => {
                *slot = Some((top, vector));
                break;
            }
        }
    }
    None
}
