//! What is foretold of a way into ring 3, in words, and whether it came true.

use core::fmt;

use machine::iret::{Frame, Outcome, Report, iret};
use machine::{PhysAddr, Raised, Registers, Situation, VirtAddr};

use crate::command::Context;
use crate::{Error, EventKind, Exit, Pid};

/// What is foretold, in one line without an end: the exception and where it comes, or where
/// the frame leads.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Foretold {
    pub(crate) outcome: Outcome,
    pub(crate) frame: Frame,
}

impl fmt::Display for Foretold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.outcome {
            Outcome::AtIretq(raised) => write!(f, "{raised}, in ring 0 at the IRETQ"),
            Outcome::AtFetch(raised, cpl) => {
                write!(f, "{raised}, in ring {cpl} at its first fetch")
            }
            Outcome::AfterFirst(raised, cpl) => {
                write!(f, "{raised}, in ring {cpl} after its first instruction")
            }
            Outcome::Enters(cpl) => {
                write!(f, "enters ring {cpl} at {}", VirtAddr(self.frame.rip))
            }
            Outcome::Unknown(at, why) => write!(f, "cannot be said: {at} is unknown: {why}"),
        }
    }
}

impl Foretold {
    pub(crate) fn of(report: &Report) -> Self {
        Foretold {
            outcome: report.outcome,
            frame: report.frame,
        }
    }

    /// What QEMU 7.2 is known to do otherwise.
    pub(crate) fn deviating(report: &Report) -> Option<Self> {
        let outcome = report.deviating()?;
        Some(Foretold {
            outcome,
            frame: report.frame,
        })
    }
}

/// The five words in a set of registers.
pub(crate) fn frame_of(registers: &Registers) -> Frame {
    Frame {
        rip: registers.rip,
        cs: registers.cs.into(),
        rflags: registers.rflags,
        rsp: registers.rsp,
        ss: registers.ss.into(),
    }
}

/// What the processor has, as it will be under the tables at `root`.
pub(crate) fn situation(context: &mut Context<'_>, root: PhysAddr) -> Result<Situation, Error> {
    let paging = context.target.paging();
    let cpu = context.target.cpu().ok_or(Error::Lacks("registers"))?;
    Ok(Situation::new(paging, root, &cpu.registers()))
}

/// What IRETQ in the kernel makes of a frame under the tables at `root`.
pub(crate) fn foretell(
    context: &mut Context<'_>,
    root: PhysAddr,
    frame: Frame,
) -> Result<Report, Error> {
    let now = situation(context, root)?;
    Ok(iret(context.target.memory(), &now, frame))
}

/// Whether what was foretold came true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    /// It did.
    True,
    /// Not by the architecture, but as this emulator is known to deviate.
    Deviating,
    /// It did not.
    False,
}

/// Holds what was foretold against how a process ended, and the ring of the fault where that is
/// known.
pub(crate) fn compare(report: &Report, exit: Exit, ring: Option<u8>) -> Held {
    let stack = [report.push, report.top];
    if is_so(report.outcome, &stack, report.frame, exit, ring) {
        return Held::True;
    }
    let deviating = report.deviating().unwrap_or(report.outcome);
    let stack = [report.deviating_push(), report.top];
    match is_so(deviating, &stack, report.frame, exit, ring) {
        true => Held::Deviating,
        false => Held::False,
    }
}

fn is_so(
    outcome: Outcome,
    stack: &[Option<Raised>],
    frame: Frame,
    exit: Exit,
    ring: Option<u8>,
) -> bool {
    let Exit::Fault {
        vector,
        error,
        address,
        rip,
    } = exit
    else {
        return outcome.raised().is_none();
    };
    let is = |raised: Raised| {
        raised.vector == vector && raised.error.unwrap_or(0) == error && raised.address == address
    };
    match outcome.raised() {
        Some((raised, cpl)) => is(raised) && ring.is_none_or(|ring| ring == cpl),
        None => {
            // It came to ring 3 and ran: it may die there of anything but the fetch that was
            // said to succeed, or a use of the stack that was.
            let is_first_fetch = address == Some(rip) && rip.0 == frame.rip;
            let is_stack = stack.iter().flatten().any(|raised| is(*raised));
            let at_stack = address.is_some_and(|at| at.0.wrapping_add(8) == frame.rsp);
            ring != Some(0) && !is_first_fetch && (is_stack || !at_stack)
        }
    }
}

/// The ring in which a process faulted, by the CS that the CPU pushed.
pub(crate) fn ring_of_fault(context: &mut Context<'_>, pid: Pid) -> Option<u8> {
    let events = context.target.events()?;
    let (oldest, newest) = (events.oldest(), events.newest());
    let event = (oldest..=newest).rev().find_map(|seq| {
        let event = events.get(seq)?;
        (event.kind == EventKind::Fault && event.pid == pid).then_some(event)
    })?;
    event.cs.map(|cs| (cs & 3) as u8)
}
