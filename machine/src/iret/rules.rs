//! The rules one by one, in the manual's order.

use super::{Finding, Frame, Outcome, Part, Report, SegmentWhy, What};
use crate::deviations::{ABSENT_STACK, Deviation, IRETQ_RIP, LONG_AND_BIG};
use crate::raised::{NOT_PRESENT, STACK_SEGMENT};
use crate::situation::{Missed, NoDescriptor};
use crate::{
    Access, AccessKind, Controls, PhysMemory, Raised, Segment, SegmentKind, Selector, Situation,
    Verdict, VirtAddr,
};

const FIXED: u64 = 1 << 1;
const TF: u64 = 1 << 8;
const IF: u64 = 1 << 9;
const IOPL_SHIFT: u32 = 12;
const NT: u64 = 1 << 14;
pub(super) const AC: u64 = 1 << 18;
/// Bits of the frame's RFLAGS that IRETQ in ring 0 of 64-bit mode does not take: VM and those
/// that are reserved, but for bit 1.
const IGNORED: u64 = !0x003d_7fd5 & !FIXED;

/// The segment of a part.
struct Wanted {
    part: Part,
    selector: Selector,
}

/// Applies them. With `deviating`, those of QEMU 7.2, whose differences are named.
pub(super) fn apply(
    memory: &mut dyn PhysMemory,
    now: &Situation,
    frame: Frame,
    deviating: bool,
) -> Report {
    let mut rules = Rules {
        now,
        deviating,
        unknown: None,
        report: Report {
            frame,
            outcome: Outcome::Enters(3),
            code: None,
            stack: None,
            push: None,
            top: None,
            findings: [None; super::MOST],
            count: 0,
            deviating: None,
            ids: [None; super::MOST_IDS],
        },
    };
    let (cs, ss) = (Selector(low(frame.cs)), Selector(low(frame.ss)));
    rules.words(cs, ss);
    rules.code_segment(memory, cs);
    if deviating && ss.is_null() {
        rules.null_stack(cs, ss);
    }
    rules.stack_segment(memory, cs, ss);
    rules.after(memory, cs);
    rules.flags();
    rules.report
}

const fn low(word: u64) -> u16 {
    (word & 0xffff) as u16
}

struct Rules<'a> {
    now: &'a Situation,
    deviating: bool,
    unknown: Option<Outcome>,
    report: Report,
}

impl Rules<'_> {
    fn fault(&mut self, part: Part, what: What, raised: Raised) {
        self.report.add(Finding::fault(part, what, raised));
    }

    fn segment(&mut self, wanted: &Wanted, why: SegmentWhy, raised: Raised) {
        self.fault(wanted.part, What::Segment(why), raised);
    }

    /// Names a deviation, unless the frame has been found bad before the CPU comes to it.
    fn deviates(&mut self, known: Deviation) {
        if self.decided().is_none() {
            self.report.name(known);
        }
    }

    /// What the words say by themselves: all of it is #GP(0).
    fn words(&mut self, cs: Selector, ss: Selector) {
        if self.now.nested {
            self.fault(Part::Now, What::NestedTask, Raised::protection(0));
        }
        if cs.is_null() {
            self.fault(Part::Cs, What::Null, Raised::protection(0));
        }
        if !self
            .now
            .paging
            .is_canonical(VirtAddr(self.report.frame.rip))
        {
            match self.deviating {
                true => self.deviates(IRETQ_RIP),
                false => self.fault(Part::Rip, What::NonCanonical, Raised::protection(0)),
            }
        }
        if !self.deviating && ss.is_null() {
            self.null_stack(cs, ss);
        }
    }

    /// A null SS: never in ring 3, and elsewhere only with the RPL of the ring.
    fn null_stack(&mut self, cs: Selector, ss: Selector) {
        if cs.rpl() == 3 {
            self.fault(Part::Ss, What::Null, Raised::protection(0));
        } else if ss.rpl() != cs.rpl() {
            match self.deviating {
                true => self.deviates(LONG_AND_BIG),
                false => self.fault(Part::Ss, What::NullOfAnotherRing, Raised::protection(0)),
            }
        }
    }

    fn code_segment(&mut self, memory: &mut dyn PhysMemory, cs: Selector) {
        let wanted = Wanted {
            part: Part::Cs,
            selector: cs,
        };
        let Some((at, segment)) = self.find(memory, &wanted) else {
            return;
        };
        self.report.code = Some(segment);
        let protection = Raised::protection(code_of(cs));
        let SegmentKind::Code {
            conforming,
            accessed,
            ..
        } = segment.kind
        else {
            return self.segment(&wanted, SegmentWhy::NotCode, protection);
        };
        if segment.long && segment.big {
            match self.deviating {
                true => self.deviates(LONG_AND_BIG),
                false => self.segment(&wanted, SegmentWhy::LongAndBig, protection),
            }
        }
        let dpl = segment.dpl;
        let is_allowed = match conforming {
            true => dpl <= cs.rpl(),
            false => dpl == cs.rpl(),
        };
        if !is_allowed {
            self.segment(&wanted, SegmentWhy::Dpl(dpl), protection);
        }
        if !segment.present {
            let raised = Raised::with_code(NOT_PRESENT, code_of(cs));
            self.segment(&wanted, SegmentWhy::NotPresent, raised);
        }
        self.mark(memory, &wanted, at, accessed);
    }

    fn stack_segment(&mut self, memory: &mut dyn PhysMemory, cs: Selector, ss: Selector) {
        let wanted = Wanted {
            part: Part::Ss,
            selector: ss,
        };
        let Some((at, segment)) = self.find(memory, &wanted) else {
            return;
        };
        self.report.stack = Some(segment);
        let protection = Raised::protection(code_of(ss));
        if ss.rpl() != cs.rpl() {
            self.segment(&wanted, SegmentWhy::Rpl, protection);
        }
        let SegmentKind::Data {
            writable: true,
            accessed,
            ..
        } = segment.kind
        else {
            return self.segment(&wanted, SegmentWhy::NotWritableData, protection);
        };
        if segment.dpl != cs.rpl() {
            self.segment(&wanted, SegmentWhy::Dpl(segment.dpl), protection);
        }
        if !segment.present {
            let vector = match self.deviating {
                true => {
                    self.deviates(ABSENT_STACK);
                    NOT_PRESENT
                }
                false => STACK_SEGMENT,
            };
            let raised = Raised::with_code(vector, code_of(ss));
            self.segment(&wanted, SegmentWhy::NotPresent, raised);
        }
        self.mark(memory, &wanted, at, accessed);
    }

    /// The descriptor; `None` for a null selector, or with a finding that says why.
    fn find(
        &mut self,
        memory: &mut dyn PhysMemory,
        wanted: &Wanted,
    ) -> Option<(VirtAddr, Segment)> {
        if wanted.selector.is_null() {
            return None;
        }
        let protection = Raised::protection(code_of(wanted.selector));
        match self.now.descriptor(memory, wanted.selector) {
            Ok(found) => return Some(found),
            Err(NoDescriptor::BeyondLimit) => {
                self.segment(wanted, SegmentWhy::BeyondLimit, protection);
            }
            Err(NoDescriptor::NonCanonical) => {
                self.segment(wanted, SegmentWhy::NonCanonical, protection);
            }
            Err(NoDescriptor::Missed(missed)) => {
                self.missed(wanted, SegmentWhy::Unreachable, missed);
            }
        }
        None
    }

    /// The CPU sets Accessed in the descriptor it loads, if it is clear.
    fn mark(&mut self, memory: &mut dyn PhysMemory, wanted: &Wanted, at: VirtAddr, is_set: bool) {
        if is_set {
            return;
        }
        if let Err(missed) = self.now.touch(memory, at, 8, AccessKind::Write) {
            self.missed(wanted, SegmentWhy::NotMarked, missed);
        }
    }

    fn missed(&mut self, wanted: &Wanted, why: SegmentWhy, missed: Missed) {
        match missed {
            Missed::Raised(raised, _) => self.segment(wanted, why, raised),
            Missed::Unknown(at, why) => {
                let finding = Finding::warning(wanted.part, What::Unknown(at, why));
                self.report.add(finding);
                // What comes before it in the CPU's order is known for sure.
                if self.decided().is_none() {
                    self.unknown = Some(Outcome::Unknown(at, why));
                }
            }
        }
    }

    /// The first finding that raises something.
    fn decided(&self) -> Option<Raised> {
        self.report.findings().find_map(|finding| finding.raises)
    }

    /// What happens once every check has passed.
    fn after(&mut self, memory: &mut dyn PhysMemory, cs: Selector) {
        let Frame { rip, rflags, .. } = self.report.frame;
        let code = self.report.code;
        let is_long = code.is_none_or(|segment| segment.long);
        let is_code = |segment: &Segment| matches!(segment.kind, SegmentKind::Code { .. });
        if let Some(segment) = code.filter(|segment| is_code(segment) && !segment.long) {
            self.report
                .add(Finding::warning(Part::Cs, What::Compatibility));
            if rip > u64::from(segment.limit) {
                let what = What::BeyondSegment(segment.limit);
                self.fault(Part::Rip, what, Raised::protection(0));
            }
        }
        if let Some(unknown) = self.unknown {
            self.report.outcome = unknown;
            return;
        }
        if let Some(raised) = self.decided() {
            self.report.outcome = Outcome::AtIretq(raised);
            return;
        }
        let cpl = cs.rpl();
        if cpl != 3 {
            self.report
                .add(Finding::warning(Part::Cs, What::NotRing3(cpl)));
        }
        let va = match is_long {
            true => VirtAddr(rip),
            false => VirtAddr(rip & 0xffff_ffff),
        };
        let access = Access {
            kind: AccessKind::Execute,
            user: cpl == 3,
        };
        let controls = Controls {
            ac: rflags & AC != 0,
            ..self.now.controls
        };
        let (_, verdict) = self.now.access(memory, va, access, controls);
        self.report.outcome = match Raised::by_access(&verdict, va, false) {
            Some(raised) => {
                self.fault(Part::Rip, What::Fetch(verdict), raised);
                Outcome::AtFetch(raised, cpl)
            }
            None if rflags & TF != 0 => Outcome::AfterFirst(Raised::debug(), cpl),
            None => Outcome::Enters(cpl),
        };
        if let Verdict::Unknown { why, .. } = verdict {
            self.report
                .add(Finding::warning(Part::Rip, What::Unknown(va, why)));
            self.report.outcome = Outcome::Unknown(va, why);
        }
    }

    fn flags(&mut self) {
        let Frame { cs, rflags, ss, .. } = self.report.frame;
        let iopl = (rflags >> IOPL_SHIFT & 0b11) as u8;
        let ignored = rflags & IGNORED;
        for (is_so, part, what) in [
            (cs > 0xffff, Part::Cs, What::Ignored(cs & !0xffff)),
            (ss > 0xffff, Part::Ss, What::Ignored(ss & !0xffff)),
            (rflags & TF != 0, Part::Rflags, What::SingleStep),
            (rflags & IF == 0, Part::Rflags, What::NoInterrupts),
            (iopl != 0, Part::Rflags, What::Iopl(iopl)),
            (rflags & NT != 0, Part::Rflags, What::KeepsNestedTask),
            (rflags & FIXED == 0, Part::Rflags, What::Bit1),
            (ignored != 0, Part::Rflags, What::Ignored(ignored)),
        ] {
            if is_so {
                self.report.add(Finding::warning(part, what));
            }
        }
    }
}

/// A selector as an error code: without its RPL, the place of EXT and IDT.
const fn code_of(selector: Selector) -> u64 {
    (selector.0 & !0b11) as u64
}
