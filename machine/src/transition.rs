//! What must be there for a change of address space, and what happens where it is not.
//!
//! Come here before a `mov cr3`. Whoever knows the kernel names what it will touch, in the order
//! in which it will: each need is looked up in the tables to come, none of which is loaded.

#[cfg(test)]
mod tests;

use crate::delivery::{Course, Place, deliver};
use crate::raised::implicit;
use crate::{
    AccessKind, Controls, End, PageSize, PhysMemory, Raised, Situation, Verdict, VirtAddr, Walk,
};

/// A range that will be touched, and how.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Need {
    /// What it is, in a few words.
    pub what: &'static str,
    /// The first byte.
    pub first: VirtAddr,
    /// How many there are.
    pub bytes: u64,
    /// How it will be used.
    pub how: Use,
    /// When.
    pub when: When,
    /// RSP at that time, for the delivery of what may be raised.
    pub rsp: VirtAddr,
}

/// How a range is used, by the kernel or by the CPU itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Use {
    /// Instructions are fetched from it.
    Fetch,
    /// It is read.
    Read,
    /// It is written.
    Write,
    /// It is a stack: written, and an access to it that is not canonical is #SS.
    Stack,
    /// It is a guard: nothing may be mapped there.
    Guard,
}

/// When a range is used.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum When {
    /// On the way, in the order of the list.
    Switch,
    /// By the first trap, on the way back.
    Trap,
    /// By the report of a fault.
    Report,
    /// At some time or other: the whole of a region.
    Whole,
}

/// What a need comes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Met {
    /// The address that decided: the first that fails, or else the first.
    pub at: VirtAddr,
    /// Its walk.
    pub walk: Walk,
    /// Whether the access succeeds there.
    pub verdict: Verdict,
    /// Whether all is as needed. A guard is, if nothing is mapped there.
    pub is_met: bool,
}

/// The most pages of one need that are looked at; more are not known to be there.
const MOST_PAGES: u32 = 1 << 16;

/// Looks a need up in the tables to come, page by page.
pub fn meet(memory: &mut dyn PhysMemory, now: &Situation, need: &Need) -> Met {
    let kind = match need.how {
        Use::Fetch => AccessKind::Execute,
        Use::Read | Use::Guard => AccessKind::Read,
        Use::Write | Use::Stack => AccessKind::Write,
    };
    let controls = Controls {
        ac: false,
        ..now.controls
    };
    let last = need.first.0.wrapping_add(need.bytes.saturating_sub(1));
    let mut at = need.first;
    let mut first = None;
    for _ in 0..MOST_PAGES {
        let (walk, verdict) = now.access(memory, at, implicit(kind), controls);
        let is_met = match need.how {
            Use::Guard => matches!(walk.end(), End::Absent { .. }),
            _ => matches!(verdict, Verdict::Allowed { .. }),
        };
        let met = Met {
            at,
            walk,
            verdict,
            is_met,
        };
        if !is_met {
            return met;
        }
        let met = *first.get_or_insert(met);
        let size = match walk.end() {
            End::Mapped { size, .. } => size.bytes(),
            _ => PageSize::Size4K.bytes(),
        };
        match (at.0 | (size - 1)).checked_add(1) {
            Some(next) if next <= last && next > at.0 => at = VirtAddr(next),
            _ => return met,
        }
    }
    let (walk, verdict) = now.access(memory, at, implicit(kind), controls);
    Met {
        at,
        walk,
        verdict,
        is_met: false,
    }
}

/// What comes of a need on the way that is not met: the exception, and where it ends.
/// `None` if it is met, is no need of the way itself, or cannot be judged.
pub fn course(
    memory: &mut dyn PhysMemory,
    now: &Situation,
    need: &Need,
    met: &Met,
) -> Option<Course> {
    if met.is_met || need.when != When::Switch || need.how == Use::Guard {
        return None;
    }
    let raised = Raised::by_access(&met.verdict, met.at, need.how == Use::Stack)?;
    let place = Place {
        cpl: 0,
        rsp: need.rsp,
    };
    Some(deliver(memory, now, raised, place))
}
