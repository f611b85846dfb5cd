//! What the kernel does not survive: how deep its reports are nested, and how all of them end.
//!
//! A report may fault or panic itself. Then the second one is short, and a third one says nothing;
//! each way ends in the shell, if there is one, with the world stopped where it died *first*.

use core::fmt::{self, Write as _};
use core::sync::atomic::{AtomicU32, Ordering};

use exported::{Range, TrapFrame};
use heapless::String;
use machine::{VirtAddr, vectors};
use shell::StopReason;

use crate::arch::cpu;
use crate::console::emergency;
use crate::lock::Lock;
use crate::symbols::Within;
use crate::{boot, debugger};

/// The reports under way.
struct Reports {
    /// How many: a fault inside a report must not start another.
    depth: AtomicU32,
    /// What the first of them is about.
    first: Lock<Option<Mishap>>,
}

static REPORTS: Reports = Reports {
    depth: AtomicU32::new(0),
    first: Lock::new("the first mishap", None),
};

/// What happened, and where the world stood then.
#[derive(Clone)]
pub(crate) struct Mishap {
    pub(crate) frame: TrapFrame,
    pub(crate) cr2: u64,
    pub(crate) cr3: u64,
    pub(crate) what: What,
}

/// What happened.
#[derive(Clone)]
pub(crate) enum What {
    Fault(u8),
    /// With its place in the source.
    Panic(String<96>),
}

/// How much may still be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Depth {
    /// Everything.
    First,
    /// What it is and where: a report is under way, and caused it.
    Inside,
    /// Nothing: even that went wrong.
    Silent,
}

/// Where it is kept that a report is under way.
pub(crate) fn place() -> Range {
    Range {
        at: &raw const REPORTS as u64,
        bytes: size_of_val(&REPORTS) as u64,
    }
}

/// Begins a report of this.
pub(crate) fn begin(mishap: &Mishap) -> Depth {
    match REPORTS.depth.fetch_add(1, Ordering::Relaxed) {
        0 => {
            if let Some(mut first) = REPORTS.first.try_lock() {
                *first = Some(mishap.clone());
            }
            Depth::First
        }
        1 => Depth::Inside,
        2 => Depth::Silent,
        // Ending it is what fails.
        _ => cpu::halt(),
    }
}

/// Says what the first report was about, in one inside it.
pub(crate) fn tell_first(out: &mut dyn fmt::Write) -> fmt::Result {
    let Some(first) = REPORTS.first.try_lock().and_then(|first| first.clone()) else {
        return Ok(());
    };
    let rip = VirtAddr(first.frame.rip);
    match first.what {
        What::Panic(place) => writeln!(out, "the first one: a panic{place}"),
        What::Fault(vector) => writeln!(
            out,
            "the first one: {}, vector {vector}, error code {:#x}, CR2 {} at RIP {rip}{}",
            vectors::name(vector),
            first.frame.error,
            VirtAddr(first.cr2),
            Within(rip)
        ),
    }
}

/// Vector and error code of the first one, if it is a fault.
pub(crate) fn first_fault() -> Option<(u8, u64)> {
    match REPORTS.first.try_lock()?.as_ref()? {
        Mishap {
            frame,
            what: What::Fault(vector),
            ..
        } => Some((*vector, frame.error)),
        _ => None,
    }
}

/// The end of every report: the shell goes on, or nothing does.
pub(crate) fn end() -> ! {
    let first = REPORTS.first.try_lock().and_then(|first| first.clone());
    if debugger::can_begin_anew() {
        let _ = writeln!(
            emergency(),
            "halted; the shell begins anew, without its history and settings"
        );
        debugger::begin_anew();
    }
    let in_boot = boot::ended_at();
    if let Some(Mishap {
        frame,
        cr2,
        cr3,
        what,
    }) = first
        && (debugger::can_look() || boot::shell_can_begin())
    {
        if let Some(stage) = in_boot {
            let _ = writeln!(
                emergency(),
                "boot has ended at `{stage}`; what comes behind it is not there"
            );
        }
        let _ = writeln!(
            emergency(),
            "halted; the shell looks at what is left, `reboot` begins again"
        );
        cpu::set_cr2(cr2);
        let reason = match what {
            What::Fault(vector) => StopReason::Fault { vector },
            What::Panic(_) => StopReason::Panic,
        };
        debugger::die(&frame, cr3, reason);
    }
    let _ = match in_boot {
        Some(stage) => writeln!(
            emergency(),
            "halted at the stage `{stage}` of boot, too early for a shell; the machine stays as it is"
        ),
        None => writeln!(emergency(), "halted; the machine stays as it is"),
    };
    cpu::halt()
}

/// Lets the next report be a first one.
pub(crate) fn forget() {
    REPORTS.depth.store(0, Ordering::Relaxed);
}
