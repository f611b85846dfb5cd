//! How the CPU delivers an exception: the gate, the stack, the pushes; and what comes of it when
//! one of these fails in turn.
//!
//! Come here to know whether a fault would be reported, end in a double fault, or reset the
//! machine, before it happens. Intel SDM volume 3A, "Exception and Interrupt Handling in 64-bit
//! Mode", "Interrupt Stack Table" and "Interrupt 8: Double Fault Exception (#DF)".
//!
//! Deliberately absent: task gates, shadow stacks, and what a handler does once it runs.

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::kernel as kernel_for_tests;

use crate::raised::{DOUBLE_FAULT, INVALID_TSS, NOT_PRESENT, PAGE_FAULT, STACK_SEGMENT};
use crate::situation::{Missed, NoDescriptor};
use crate::{
    AccessKind, Gate, GateKind, PhysMemory, Raised, ReadError, SegmentKind, Situation, VirtAddr,
};

/// Where the CPU is when something is raised.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// The ring.
    pub cpl: u8,
    /// The stack pointer.
    pub rsp: VirtAddr,
}

/// What becomes of an exception.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// The handler of this vector runs; 8 is that of a double fault.
    Handled {
        /// The vector.
        vector: u8,
        /// Where its handler begins.
        entry: VirtAddr,
        /// RSP there.
        rsp: VirtAddr,
    },
    /// A double fault could not be delivered: the processor shuts down, and a PC resets.
    TripleFault,
    /// A handler cannot be fetched, which raises what it is for, without end.
    Endless {
        /// The handler's vector.
        vector: u8,
    },
    /// Something the CPU would read could not be read from here.
    Unknown(VirtAddr, ReadError),
}

/// An exception, those that came of its delivery, and the end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Course {
    steps: [Option<Raised>; Course::MOST],
    /// The end.
    pub ending: Ending,
}

impl Course {
    const MOST: usize = 6;

    /// What is raised, one after the other; a double fault stands after what led to it.
    pub fn steps(&self) -> impl Iterator<Item = &Raised> {
        self.steps.iter().flatten()
    }

    fn add(&mut self, raised: Raised) {
        if let Some(slot) = self.steps.iter_mut().find(|slot| slot.is_none()) {
            *slot = Some(raised);
        }
    }
}

/// Follows an exception to its end.
pub fn deliver(
    memory: &mut dyn PhysMemory,
    now: &Situation,
    first: Raised,
    place: Place,
) -> Course {
    let mut course = Course {
        steps: [None; Course::MOST],
        ending: Ending::TripleFault,
    };
    let (mut current, mut place) = (first, place);
    let (mut doubled, mut unfetched) = (false, false);
    course.add(first);
    // Each round ends it, or goes on to something graver; the bound is never reached.
    for _ in 0..8 {
        match enter(memory, now, current, place) {
            Entered::Unknown(at, why) => {
                course.ending = Ending::Unknown(at, why);
                return course;
            }
            Entered::Fails(_) if current.vector == DOUBLE_FAULT => {
                course.ending = Ending::TripleFault;
                return course;
            }
            Entered::Fails(next) => {
                course.add(next);
                current = next_of(current, next);
                if current.vector == DOUBLE_FAULT {
                    course.add(current);
                }
            }
            Entered::At { entry, rsp } => match fetch(memory, now, entry) {
                Ok(()) => {
                    course.ending = Ending::Handled {
                        vector: current.vector,
                        entry,
                        rsp,
                    };
                    return course;
                }
                Err(Missed::Unknown(at, why)) => {
                    course.ending = Ending::Unknown(at, why);
                    return course;
                }
                Err(Missed::Raised(next, _)) => {
                    // A page fault whose handler cannot be fetched comes again and again, each
                    // one further down the stack, until that is used up: then it doubles. If
                    // the other handler cannot be fetched either, it all begins once more.
                    let vector = current.vector;
                    if vector == PAGE_FAULT && !doubled {
                        current = Raised::with_code(DOUBLE_FAULT, 0);
                        doubled = true;
                        course.add(next);
                        course.add(current);
                    } else if unfetched || vector == PAGE_FAULT {
                        course.ending = Ending::Endless { vector };
                        return course;
                    } else {
                        unfetched = true;
                        course.add(next);
                        current = next;
                    }
                    place = Place { cpl: 0, rsp };
                }
            },
        }
    }
    course
}

/// What is raised when `second` comes while `first` is being delivered: SDM, the table
/// "Conditions for Generating a Double Fault".
pub const fn next_of(first: Raised, second: Raised) -> Raised {
    const fn is_contributory(vector: u8) -> bool {
        matches!(vector, 0 | 10..=13)
    }
    let doubles = match (first.vector, second.vector) {
        (PAGE_FAULT, PAGE_FAULT) => true,
        (PAGE_FAULT, second) => is_contributory(second),
        (first, second) => is_contributory(first) && is_contributory(second),
    };
    match doubles {
        true => Raised::with_code(DOUBLE_FAULT, 0),
        false => second,
    }
}

/// How far a delivery came.
enum Entered {
    At { entry: VirtAddr, rsp: VirtAddr },
    Fails(Raised),
    Unknown(VirtAddr, ReadError),
}

impl From<Missed> for Entered {
    fn from(missed: Missed) -> Self {
        match missed {
            Missed::Raised(raised, _) => Entered::Fails(raised),
            Missed::Unknown(at, why) => Entered::Unknown(at, why),
        }
    }
}

/// One delivery: gate, code segment, stack, pushes.
fn enter(memory: &mut dyn PhysMemory, now: &Situation, what: Raised, place: Place) -> Entered {
    match try_enter(memory, now, what, place) {
        Ok(entered) | Err(entered) => entered,
    }
}

fn try_enter(
    memory: &mut dyn PhysMemory,
    now: &Situation,
    what: Raised,
    place: Place,
) -> Result<Entered, Entered> {
    /// EXT: raised while something else was being delivered. IDT: the code is a vector.
    const EXT: u64 = 1;
    const IDT: u64 = 2;
    let gate_code = u64::from(what.vector) * 8 + IDT + EXT;
    let offset = u64::from(what.vector) * Gate::BYTES as u64;
    let fails = |raised| Entered::Fails(raised);
    if offset + 15 > u64::from(now.idtr.limit) {
        return Err(fails(Raised::protection(gate_code)));
    }
    let at = VirtAddr(now.idtr.base.wrapping_add(offset));
    let low = now.read(memory, at).map(u64::from_le_bytes)?;
    let high = now
        .read(memory, VirtAddr(at.0.wrapping_add(8)))
        .map(u64::from_le_bytes)?;
    let gate = Gate::decode(low, high);
    if matches!(gate.kind, GateKind::Reserved { .. }) {
        return Err(fails(Raised::protection(gate_code)));
    }
    if !gate.present {
        return Err(fails(Raised::with_code(NOT_PRESENT, gate_code)));
    }
    code_segment(memory, now, gate, place)?;

    let top = stack(memory, now, gate, place)?;
    let words = if what.error.is_some() { 6 } else { 5 };
    let rsp = VirtAddr((top.0 & !0xf).wrapping_sub(words * 8));
    if !now.paging.is_canonical(rsp) {
        return Err(fails(Raised::with_code(STACK_SEGMENT, EXT)));
    }
    now.touch(memory, rsp, words * 8, AccessKind::Write)?;
    if !now.paging.is_canonical(gate.offset) {
        return Err(fails(Raised::protection(EXT)));
    }
    Ok(Entered::At {
        entry: gate.offset,
        rsp,
    })
}

fn code_segment(
    memory: &mut dyn PhysMemory,
    now: &Situation,
    gate: Gate,
    place: Place,
) -> Result<(), Entered> {
    const EXT: u64 = 1;
    let protection = |code: u64| Entered::Fails(Raised::protection(code | EXT));
    if gate.selector.is_null() {
        return Err(protection(0));
    }
    let code = u64::from(gate.selector.0 & !0b11);
    let segment = match now.descriptor(memory, gate.selector) {
        Ok((_, segment)) => segment,
        Err(NoDescriptor::Missed(missed)) => return Err(missed.into()),
        Err(_) => return Err(protection(code)),
    };
    let is_code = matches!(segment.kind, SegmentKind::Code { .. });
    if !is_code || segment.dpl > place.cpl || !segment.long || segment.big {
        return Err(protection(code));
    }
    match segment.present {
        true => Ok(()),
        false => Err(Entered::Fails(Raised::with_code(NOT_PRESENT, code | EXT))),
    }
}

/// The top of the stack the handler gets, as the task state segment has it.
fn stack(
    memory: &mut dyn PhysMemory,
    now: &Situation,
    gate: Gate,
    place: Place,
) -> Result<VirtAddr, Entered> {
    const EXT: u64 = 1;
    // SDM, "64-Bit TSS Format": RSP0 at 4, IST1 at 36.
    let offset = match (gate.ist, place.cpl) {
        (0, 0) => return Ok(place.rsp),
        (0, _) => 4,
        (ist, _) => 28 + u64::from(ist) * 8,
    };
    if offset + 7 > u64::from(now.tss.limit) {
        let code = u64::from(now.tr.0 & !0b11) | EXT;
        return Err(Entered::Fails(Raised::with_code(INVALID_TSS, code)));
    }
    let at = VirtAddr(now.tss.base.wrapping_add(offset));
    let read = now.read(memory, at).map(u64::from_le_bytes)?;
    let top = match (gate.ist, now.rsp0) {
        (0, Some(top)) => top,
        _ => VirtAddr(read),
    };
    match now.paging.is_canonical(top) {
        true => Ok(top),
        false => Err(Entered::Fails(Raised::with_code(STACK_SEGMENT, EXT))),
    }
}

/// The first instruction of a handler.
fn fetch(memory: &mut dyn PhysMemory, now: &Situation, entry: VirtAddr) -> Result<(), Missed> {
    now.touch(memory, entry, 1, AccessKind::Execute)
}
