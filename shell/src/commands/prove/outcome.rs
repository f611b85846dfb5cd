//! What the CPU did beside what was foretold.

use core::fmt;

use machine::{Access, Verdict, VirtAddr, bits};

use crate::{Attempt, Outcome};

const PAGE_FAULT: u8 = 14;
/// Bits of its error code.
const P: u64 = 1 << 0;
const RSVD: u64 = 1 << 3;

/// What one row shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// Allowed, and the CPU did it.
    Done,
    /// Forbidden, and everything about the #PF is as foretold.
    Forbidden,
    /// The same, but for an error code with RSVD=1 and P=0 where both should be 1.
    NotPresent,
    /// Anything else.
    Different(Difference),
}

/// What is not as foretold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Difference {
    /// The CPU did what is forbidden.
    Done,
    /// The CPU did not do what is allowed.
    NotDone,
    /// It raised something else than #PF.
    Vector,
    /// The error code.
    Code,
    /// CR2 is not the address.
    Address,
    /// RIP is not the instruction's.
    Instruction,
    /// CS has another privilege level.
    Ring,
    /// Nothing was foretold.
    Unknown,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Difference::Done => "it is forbidden",
            Difference::NotDone => "it is allowed",
            Difference::Vector => "another exception",
            Difference::Code => "another error code",
            Difference::Address => "CR2 is not the address",
            Difference::Instruction => "RIP is not the instruction's",
            Difference::Ring => "CS has the wrong privilege level",
            Difference::Unknown => "the tables could not be read",
        })
    }
}

/// Holds one against the other. What the verdict is and what the CPU did are looked at first,
/// then the error code, then the rest.
pub(super) fn compare(
    verdict: Verdict,
    attempt: &Attempt,
    access: Access,
    va: VirtAddr,
) -> Finding {
    use Finding::Different;
    let (vector, code, cr2, rip, cs) = match (verdict.is_allowed(), attempt.outcome) {
        (None, _) => return Different(Difference::Unknown),
        (Some(true), Outcome::Done) => return Finding::Done,
        (Some(true), Outcome::Trap { .. }) => return Different(Difference::NotDone),
        (Some(false), Outcome::Done) => return Different(Difference::Done),
        (
            Some(false),
            Outcome::Trap {
                vector,
                code,
                cr2,
                rip,
                cs,
            },
        ) => (vector, code, cr2, rip, cs),
    };
    let Some(foretold) = verdict.error_code().filter(|_| vector == PAGE_FAULT) else {
        return Different(Difference::Vector);
    };
    let lacks_p = foretold & (P | RSVD) == P | RSVD && code == foretold & !P;
    if code != foretold && !lacks_p {
        return Different(Difference::Code);
    }
    if cr2 != va {
        return Different(Difference::Address);
    }
    if rip != attempt.instruction {
        return Different(Difference::Instruction);
    }
    let ring = if access.user { 3 } else { 0 };
    if cs & 3 != ring {
        return Different(Difference::Ring);
    }
    match lacks_p {
        true => Finding::NotPresent,
        false => Finding::Forbidden,
    }
}

/// An error code of #PF in digits and names: `0x7 (P W/R U/S)`.
pub(super) struct Code(pub(super) u64);

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)?;
        match self.0 {
            0 => Ok(()),
            code => write!(f, " ({})", bits::PAGE_FAULT.names(code)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use machine::{AccessKind, Level, PageSize, Rights, Why};

    const VA: VirtAddr = VirtAddr(0x80_0000_0000);
    const RIP: VirtAddr = VirtAddr(0x1234);
    const USER: Access = Access {
        kind: AccessKind::Read,
        user: true,
    };

    fn found(verdict: Verdict, outcome: Outcome) -> Finding {
        let attempt = Attempt {
            outcome,
            instruction: RIP,
        };
        compare(verdict, &attempt, USER, VA)
    }

    fn page_fault(code: u64) -> Verdict {
        Verdict::PageFault {
            code,
            level: Level::Pt,
            why: Why::Absent,
        }
    }

    fn trap(vector: u8, code: u64, cr2: VirtAddr, rip: VirtAddr, cs: u16) -> Outcome {
        Outcome::Trap {
            vector,
            code,
            cr2,
            rip,
            cs,
        }
    }

    #[test]
    fn only_what_is_foretold_in_every_word_agrees() {
        let allowed = Verdict::Allowed {
            size: PageSize::Size4K,
            rights: Rights::ALL,
        };
        let (five, nine) = (page_fault(5), page_fault(0xd));
        assert_eq!(found(allowed, Outcome::Done), Finding::Done);
        assert_eq!(found(five, trap(14, 5, VA, RIP, 0x23)), Finding::Forbidden);
        let lacks_p = found(nine, trap(14, 0xc, VA, RIP, 0x23));
        assert_eq!(lacks_p, Finding::NotPresent);
        let other = VirtAddr(1);
        for (verdict, outcome, difference) in [
            (allowed, trap(14, 5, VA, RIP, 0x23), Difference::NotDone),
            (five, Outcome::Done, Difference::Done),
            (five, trap(13, 0, VA, RIP, 0x23), Difference::Vector),
            (five, trap(14, 4, VA, RIP, 0x23), Difference::Code),
            (five, trap(14, 0xc, VA, RIP, 0x23), Difference::Code),
            (nine, trap(14, 5, VA, RIP, 0x23), Difference::Code),
            (nine, trap(14, 8, VA, RIP, 0x23), Difference::Code),
            (five, trap(14, 5, other, RIP, 0x23), Difference::Address),
            (nine, trap(14, 0xc, other, RIP, 0x23), Difference::Address),
            (five, trap(14, 5, VA, other, 0x23), Difference::Instruction),
            (five, trap(14, 5, VA, RIP, 8), Difference::Ring),
            (
                Verdict::NonCanonical,
                trap(13, 0, VA, RIP, 0x23),
                Difference::Vector,
            ),
        ] {
            assert_eq!(found(verdict, outcome), Finding::Different(difference));
        }
    }
}
