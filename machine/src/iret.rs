//! What IRETQ makes of a return frame: the exception it raises, or where it leads.
//!
//! Come here with the five words a kernel is about to give to IRETQ. The rules are those of
//! Intel SDM volume 2, "IRET/IRETD/IRETQ: Interrupt Return", the part for 64-bit mode in ring
//! 0, in its order: NT; what is #GP(0) by the words alone; the code segment; the stack segment.
//! Then the frame is taken, and the first fetch happens at the new privilege level.
//!
//! Deliberately absent: shadow stacks, virtual-8086 mode (IRETQ ignores VM), breakpoints in
//! DR0 to DR3, and interrupts that are waiting.

mod finding;
mod rules;
#[cfg(test)]
mod tests;

pub use finding::{Finding, Part, SegmentWhy, What};

use crate::deviations::{Deviation, IRETQ_ORDER, STACK_FAULT};
use crate::{
    Access, AccessKind, PhysMemory, Raised, ReadError, Segment, Situation, Verdict, VirtAddr,
};

/// The five words, the lowest address first.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Frame {
    /// Where to go on.
    pub rip: u64,
    /// The code segment; the low 16 bits count.
    pub cs: u64,
    /// The flags.
    pub rflags: u64,
    /// The stack pointer.
    pub rsp: u64,
    /// The stack segment; the low 16 bits count.
    pub ss: u64,
}

/// What comes of the frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// An exception in ring 0, at the IRETQ, which has changed nothing.
    AtIretq(Raised),
    /// The frame is taken; an exception at the first fetch, at this privilege level.
    AtFetch(Raised, u8),
    /// The frame is taken, the first instruction runs, then the exception comes: TF was set.
    AfterFirst(Raised, u8),
    /// The frame is taken, and the first instruction runs at this privilege level.
    Enters(u8),
    /// Something the CPU would read could not be read from here.
    Unknown(VirtAddr, ReadError),
}

impl Outcome {
    /// The exception, and the privilege level at which it comes.
    pub const fn raised(&self) -> Option<(Raised, u8)> {
        match *self {
            Outcome::AtIretq(raised) => Some((raised, 0)),
            Outcome::AtFetch(raised, cpl) | Outcome::AfterFirst(raised, cpl) => Some((raised, cpl)),
            Outcome::Enters(_) | Outcome::Unknown(..) => None,
        }
    }
}

/// As many findings as one frame can give rise to.
const MOST: usize = 16;
/// As many deviations as one frame can meet.
const MOST_IDS: usize = 4;

/// All there is to say about a frame.
#[derive(Clone, Copy, Debug)]
pub struct Report {
    /// The frame.
    pub frame: Frame,
    /// What the architecture says comes of it.
    pub outcome: Outcome,
    /// The descriptor of the code segment, if there is one.
    pub code: Option<Segment>,
    /// The descriptor of the stack segment, if there is one.
    pub stack: Option<Segment>,
    /// What the first push raises, at the 8 bytes below RSP.
    pub push: Option<Raised>,
    /// What a read of the word at RSP raises.
    pub top: Option<Raised>,
    findings: [Option<Finding>; MOST],
    count: usize,
    deviating: Option<Outcome>,
    ids: [Option<Deviation>; MOST_IDS],
}

impl Report {
    /// What was found, in the order in which the CPU meets it. The first that raises something
    /// decides.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().flatten()
    }

    /// What QEMU 7.2 makes of it, if that is something else than the architecture says, or of
    /// the first push.
    pub const fn deviating(&self) -> Option<Outcome> {
        self.deviating
    }

    /// The deviations it meets there.
    pub fn deviations(&self) -> impl Iterator<Item = &Deviation> {
        self.ids.iter().flatten()
    }

    /// What QEMU 7.2 raises at the first push.
    pub fn deviating_push(&self) -> Option<Raised> {
        let is_named = self.deviations().any(|known| known.id == STACK_FAULT.id);
        match is_named {
            true => Some(Raised::protection(0)),
            false => self.push,
        }
    }

    fn add(&mut self, finding: Finding) {
        if let Some(slot) = self.findings.get_mut(self.count) {
            *slot = Some(finding);
            self.count += 1;
        }
    }

    fn name(&mut self, deviation: Deviation) {
        if let Some(slot) = self.ids.iter_mut().find(|slot| slot.is_none()) {
            *slot = Some(deviation);
        }
    }
}

/// Says what IRETQ, executed in ring 0 of 64-bit mode in this situation, makes of the frame.
pub fn iret(memory: &mut dyn PhysMemory, now: &Situation, frame: Frame) -> Report {
    let mut report = rules::apply(memory, now, frame, false);
    stack(memory, now, &mut report);
    let deviating = rules::apply(memory, now, frame, true);
    if deviating.outcome != report.outcome {
        report.deviating = Some(deviating.outcome);
        let mut explained = false;
        for id in deviating.ids.iter().flatten() {
            report.name(*id);
            explained = true;
        }
        if !explained {
            report.name(IRETQ_ORDER);
        }
    }
    let is_odd = report.push.is_some_and(|raised| raised.address.is_none());
    if is_odd && report.outcome.raised().is_none() {
        report.name(STACK_FAULT);
    }
    report
}

/// Looks at what the first push, and the first look at the stack, will meet.
fn stack(memory: &mut dyn PhysMemory, now: &Situation, report: &mut Report) {
    // Of a frame that is not taken this is what the rest of it would meet in ring 3.
    let cpl = match report.outcome {
        Outcome::Enters(cpl) | Outcome::AfterFirst(_, cpl) | Outcome::AtFetch(_, cpl) => cpl,
        Outcome::AtIretq(_) | Outcome::Unknown(..) => 3,
    };
    let controls = crate::Controls {
        ac: report.frame.rflags & rules::AC != 0,
        ..now.controls
    };
    let mut ask = |va: VirtAddr, kind| {
        let access = Access {
            kind,
            user: cpl == 3,
        };
        let (_, verdict) = now.access(memory, va, access, controls);
        (Raised::by_access(&verdict, va, true), verdict)
    };
    let below = VirtAddr(report.frame.rsp.wrapping_sub(8));
    let (push, pushed) = ask(below, AccessKind::Write);
    let (top, _) = ask(VirtAddr(report.frame.rsp), AccessKind::Read);
    (report.push, report.top) = (push, top);
    let what = match (push, pushed, top) {
        (Some(raised), verdict, _) => What::FirstPush(raised, verdict),
        (None, Verdict::Unknown { why, .. }, _) => What::Unknown(below, why),
        (None, _, Some(raised)) => What::ExclusiveEnd(raised),
        (None, _, None) => return,
    };
    report.add(Finding::warning(Part::Rsp, what));
}
