//! What is foretold of a way into ring 3, in words, and whether it came true.

use core::fmt;

use machine::iret::{Frame, Outcome, Report, iret};
use machine::{PhysAddr, Raised, Registers, Situation, VirtAddr};

use crate::command::Context;
use crate::going;
use crate::virt::Virt;
use crate::{Error, EventKind, Exit, Pid, Stop};

/// What is foretold, in one line without an end: the exception and where it comes, or where
/// the frame leads.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Foretold {
    pub(crate) outcome: Outcome,
    /// Where the frame leads.
    pub(crate) rip: VirtAddr,
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
                write!(f, "enters ring {cpl} at {}", self.rip)
            }
            Outcome::Unknown(at, why) => write!(f, "cannot be said: {at} is unknown: {why}"),
        }
    }
}

impl Foretold {
    pub(crate) fn of(report: &Report) -> Self {
        Foretold {
            outcome: report.outcome,
            rip: VirtAddr(report.frame.rip),
        }
    }

    /// What QEMU 7.2 is known to do otherwise.
    pub(crate) fn deviating(report: &Report) -> Option<Self> {
        let outcome = report.deviating()?;
        Some(Foretold {
            outcome,
            rip: VirtAddr(report.frame.rip),
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

/// The five words that IRETQ is about to take at a stop.
pub(crate) fn frame_at(context: &mut Context<'_>, stop: &Stop) -> Result<Frame, Error> {
    let mut virt = Virt::new(context.target, going::root(stop));
    let mut words = [0; 5];
    for (offset, word) in (0..).step_by(8).zip(&mut words) {
        *word = virt.word(stop.registers.rsp, offset)?;
    }
    let [rip, cs, rflags, rsp, ss] = words;
    Ok(Frame {
        rip,
        cs,
        rflags,
        rsp,
        ss,
    })
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
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Held<C = Came> {
    /// It did: this.
    True(C),
    /// Not by the architecture, but as this emulator is known to deviate.
    Deviating(C),
    /// It did not.
    False,
}

/// What came.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Came {
    /// What the frame was said to lead to.
    Outcome(Foretold),
    /// It came to ring 3, and there its first use of the stack raised what it was said to.
    Stack(Raised),
}

impl fmt::Display for Came {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Came::Outcome(foretold) => write!(f, "{foretold}"),
            Came::Stack(raised) => {
                write!(f, "{raised}, in ring 3 at the first use of its stack")
            }
        }
    }
}

/// Holds what was foretold against how a process ended, and the ring of the fault where that is
/// known.
pub(crate) fn compare(report: &Report, exit: Exit, ring: Option<u8>) -> Held {
    let foretold = Foretold::of(report);
    let stack = [report.push, report.top];
    if let Some(came) = came(foretold, stack, report.frame.rsp, exit, ring) {
        return match (came, report.push, report.deviating_push()) {
            // What raised #GP may have been the stack, which should have been #SS.
            (Came::Outcome(foretold), Some(push), Some(other))
                if foretold.outcome.raised().is_none() && push != other && is(other, exit) =>
            {
                Held::Deviating(Came::Stack(other))
            }
            _ => Held::True(came),
        };
    }
    let Some(deviating) = Foretold::deviating(report) else {
        return Held::False;
    };
    let stack = [report.deviating_push(), report.top];
    came(deviating, stack, report.frame.rsp, exit, ring).map_or(Held::False, Held::Deviating)
}

/// Whether a process ended of this exception.
fn is(raised: Raised, exit: Exit) -> bool {
    match exit {
        Exit::Fault {
            vector,
            error,
            address,
            ..
        } => {
            raised.vector == vector
                && raised.error.unwrap_or(0) == error
                && raised.address == address
        }
        _ => false,
    }
}

fn came(
    foretold: Foretold,
    stack: [Option<Raised>; 2],
    rsp: u64,
    exit: Exit,
    ring: Option<u8>,
) -> Option<Came> {
    let whole = Came::Outcome(foretold);
    if let Some((raised, cpl)) = foretold.outcome.raised() {
        let is_so = is(raised, exit) && ring.is_none_or(|ring| ring == cpl);
        return is_so.then_some(whole);
    }
    let Exit::Fault { address, rip, .. } = exit else {
        return Some(whole);
    };
    if let Some(raised) = stack.into_iter().flatten().find(|raised| is(*raised, exit)) {
        return Some(Came::Stack(raised));
    }
    // It came to ring 3 and ran: it may die there of anything but the fetch that was said to
    // succeed, or a push that was.
    let is_first_fetch = address == Some(rip) && rip == foretold.rip;
    let is_push = address.is_some_and(|at| at.0.wrapping_add(8) == rsp);
    (ring != Some(0) && !is_first_fetch && !is_push).then_some(whole)
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

/// The known deviations that a report names.
pub(crate) struct Ids<'a>(pub(crate) &'a Report);

impl fmt::Display for Ids<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut gap = "";
        for known in self.0.deviations() {
            write!(f, "{gap}{}", known.id)?;
            gap = " ";
        }
        Ok(())
    }
}
