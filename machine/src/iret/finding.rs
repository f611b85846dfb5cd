//! What can be found about a frame, part by part.

use crate::{Raised, ReadError, Verdict, VirtAddr};

/// A part of the frame, or of what surrounds it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// RFLAGS as they are before the IRETQ.
    Now,
    /// The word for RIP.
    Rip,
    /// The word for CS.
    Cs,
    /// The word for RFLAGS.
    Rflags,
    /// The word for RSP.
    Rsp,
    /// The word for SS.
    Ss,
}

/// Something about a frame that is not as it usually is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Finding {
    /// Of what.
    pub part: Part,
    /// What it is.
    pub what: What,
    /// The exception it leads to. `None` for what the CPU puts up with.
    pub raises: Option<Raised>,
}

impl Finding {
    pub(super) const fn fault(part: Part, what: What, raised: Raised) -> Finding {
        Finding {
            part,
            what,
            raises: Some(raised),
        }
    }

    pub(super) const fn warning(part: Part, what: What) -> Finding {
        Finding {
            part,
            what,
            raises: None,
        }
    }
}

/// What was found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum What {
    /// NT is set now.
    NestedTask,
    /// The selector is null.
    Null,
    /// A null SS, with an RPL that is not that of CS.
    NullOfAnotherRing,
    /// The address is not canonical.
    NonCanonical,
    /// It lies beyond the limit of a 32-bit code segment.
    BeyondSegment(u32),
    /// The segment will not do.
    Segment(SegmentWhy),
    /// The frame does not lead to ring 3.
    NotRing3(u8),
    /// The code segment is not a 64-bit one.
    Compatibility,
    /// Bits of the word that the CPU ignores are set: these.
    Ignored(u64),
    /// The first fetch faults.
    Fetch(Verdict),
    /// TF: #DB after the first instruction.
    SingleStep,
    /// IF is clear: nothing maskable interrupts.
    NoInterrupts,
    /// IOPL lets ring 3 do I/O, CLI and STI.
    Iopl(u8),
    /// NT goes along; the next gate clears it, and IRETQ in ring 3 would not run.
    KeepsNestedTask,
    /// Bit 1 is clear; the CPU sets it.
    Bit1,
    /// The first push faults, at the 8 bytes below RSP.
    FirstPush(Raised, Verdict),
    /// Nothing can be read at RSP itself, and the push goes to the page below, which is fine.
    ExclusiveEnd(Raised),
    /// It could not be read from here.
    Unknown(VirtAddr, ReadError),
}

/// Why a segment will not do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SegmentWhy {
    /// The selector is beyond the limit of its table.
    BeyondLimit,
    /// The descriptor's address is not canonical.
    NonCanonical,
    /// The descriptor cannot be read through the page tables; the exception says why.
    Unreachable,
    /// The descriptor has never been used, and the CPU cannot mark it accessed.
    NotMarked,
    /// It is no code segment.
    NotCode,
    /// It is no data segment that can be written.
    NotWritableData,
    /// DPL, which is given, is not the RPL of CS.
    Dpl(u8),
    /// RPL is not that of CS.
    Rpl,
    /// L and D are both set.
    LongAndBig,
    /// P is clear.
    NotPresent,
}
