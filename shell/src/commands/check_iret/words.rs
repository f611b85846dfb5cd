//! A word of the frame and what was found about it, in words.

use core::fmt::{self, Write};

use machine::iret::{Finding, Part, Report, SegmentWhy, What};
use machine::{Segment, SegmentKind, Selector, Situation, VirtAddr, bits};

use crate::Error;
use crate::command::Context;
use crate::judged::Judged;

/// What a line says behind its verdict.
pub(super) type Line = heapless::String<512>;

/// The word itself, decoded.
pub(super) fn word(
    context: &mut Context<'_>,
    part: Part,
    report: &Report,
    line: &mut Line,
) -> Result<(), Error> {
    let frame = report.frame;
    match part {
        Part::Now => write!(line, "RFLAGS before the IRETQ")?,
        Part::Rip => {
            let rip = VirtAddr(frame.rip);
            write!(line, "{rip}")?;
            if let Some(region) = context.region(rip) {
                write!(line, " in {}", region.name)?;
            }
        }
        Part::Cs => write!(line, "{}", Chosen(frame.cs, report.code))?,
        Part::Ss => write!(line, "{}", Chosen(frame.ss, report.stack))?,
        Part::Rflags => {
            let names = bits::RFLAGS.names(frame.rflags);
            write!(line, "{:#x} {names}", frame.rflags)?;
        }
        Part::Rsp => write!(line, "{}", VirtAddr(frame.rsp))?,
    }
    Ok(())
}

/// A selector and what it chooses.
struct Chosen(u64, Option<Segment>);

impl fmt::Display for Chosen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Selector((self.0 & 0xffff) as u16))?;
        let Some(segment) = self.1 else {
            return Ok(());
        };
        write!(f, " {}", segment.kind.name())?;
        if let SegmentKind::Code { .. } = segment.kind {
            f.write_str(if segment.long { " 64-bit" } else { "" })?;
        }
        write!(f, " dpl {}", segment.dpl)
    }
}

/// What was found, and the exception it leads to.
pub(super) fn say(
    context: &mut Context<'_>,
    now: &Situation,
    report: &Report,
    finding: &Finding,
    line: &mut Line,
) -> Result<(), Error> {
    write!(line, "{}", Words(finding.what))?;
    let access = match finding.what {
        What::Fetch(verdict) => Some((VirtAddr(report.frame.rip), verdict)),
        What::FirstPush(_, verdict) => Some((VirtAddr(report.frame.rsp.wrapping_sub(8)), verdict)),
        _ => None,
    };
    if let Some((va, verdict)) = access {
        let paging = now.controls.paging(now.paging);
        let walk = machine::walk(context.target.memory(), &paging, now.root, va);
        write!(line, ": {}", Judged::of(&walk, verdict))?;
    }
    let raised = match finding.what {
        What::FirstPush(raised, _) => Some(raised),
        _ => finding.raises,
    };
    if let Some(raised) = raised {
        write!(line, ": {raised}")?;
    }
    Ok(())
}

/// A finding in words.
struct Words(What);

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self.0 {
            What::NestedTask => "NT is set, and IRETQ in 64-bit mode refuses it",
            What::Null => "null",
            What::NullOfAnotherRing => "null, with another RPL than CS",
            What::NonCanonical => "not canonical",
            What::BeyondSegment(limit) => {
                return write!(f, "beyond the limit of the 32-bit segment, {limit:#x}");
            }
            What::Segment(why) => return SegmentWords(why).fmt(f),
            What::NotRing3(ring) => return write!(f, "leads to ring {ring}, not to ring 3"),
            What::Compatibility => "32-bit code: RIP and RSP lose their upper halves",
            What::Ignored(bits) => return write!(f, "{bits:#x} is ignored"),
            What::Fetch(_) => "the first fetch fails",
            What::SingleStep => "TF: #DB after the first instruction",
            What::NoInterrupts => "IF is clear: no interrupt can end or preempt it",
            What::Iopl(level) => {
                return write!(f, "IOPL {level}: ring 3 may use ports, CLI and STI");
            }
            What::KeepsNestedTask => "NT goes along; every gate clears it",
            What::Bit1 => "bit 1 is clear; the CPU sets it",
            What::FirstPush(..) => "the first push, 8 bytes below, fails",
            What::ExclusiveEnd(raised) => {
                return write!(
                    f,
                    "the exclusive end of its stack: the first push lands on the page below, \
                     which is fine; reading at RSP is {raised}"
                );
            }
            What::Unknown(at, why) => return write!(f, "{at} is unknown: {why}"),
        };
        f.write_str(text)
    }
}

struct SegmentWords(SegmentWhy);

impl fmt::Display for SegmentWords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self.0 {
            SegmentWhy::BeyondLimit => "beyond the limit of its table",
            SegmentWhy::NonCanonical => "its descriptor's address is not canonical",
            SegmentWhy::Unreachable => "its descriptor cannot be read under this CR3",
            SegmentWhy::NotMarked => "its descriptor cannot be marked accessed under this CR3",
            SegmentWhy::NotCode => "no code segment",
            SegmentWhy::NotWritableData => "no writable data segment",
            SegmentWhy::Dpl(dpl) => return write!(f, "its DPL is {dpl}, not the RPL of CS"),
            SegmentWhy::Rpl => "its RPL is not that of CS",
            SegmentWhy::LongAndBig => "L and D are both set",
            SegmentWhy::NotPresent => "not present (P clear)",
        };
        f.write_str(text)
    }
}
