//! Where an emulator, or its monitor, is known to say something else than the architecture.
//!
//! Answers here are the architecture's. Where one is about to be tried under QEMU, the
//! deviation is named beside it; tests excuse a difference by these names and by nothing else.

/// A known deviation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Deviation {
    /// Its name.
    pub id: &'static str,
    /// Who deviates.
    pub who: &'static str,
    /// What it says or does, and what would be right.
    pub what: &'static str,
}

const TCG: &str = "QEMU 7.2 TCG";

/// A page fault over a reserved bit has P clear in its error code.
pub const RESERVED_NOT_PRESENT: Deviation = Deviation {
    id: "D-01",
    who: TCG,
    what: "the error code of a #PF over a reserved bit has RSVD=1 and P=0; both are 1",
};

/// IRETQ takes a RIP that is not canonical; the fault comes in ring 3.
pub const IRETQ_RIP: Deviation = Deviation {
    id: "D-02",
    who: TCG,
    what: "IRETQ lets a RIP that is not canonical through; #GP(0) comes in ring 3, not at the IRETQ",
};

/// A jump to a non-canonical address faults at the target instead of at the jump.
pub const JUMP_RIP: Deviation = Deviation {
    id: "D-04",
    who: TCG,
    what: "the RIP of a #GP for a jump to a non-canonical address is the target, not the jump",
};

/// A use of the stack with a non-canonical RSP raises #GP(0) instead of #SS(0).
pub const STACK_FAULT: Deviation = Deviation {
    id: "D-05",
    who: TCG,
    what: "a stack access through a non-canonical RSP is #GP(0), not #SS(0)",
};

/// `int n` through a gate of DPL 0, or through none, pushes n*16+2 instead of n*8+2.
pub const INT_GATE_CODE: Deviation = Deviation {
    id: "D-12",
    who: TCG,
    what: "the #GP of `int n` through a DPL-0 gate, and the #NP through an absent one, have the error code n*16+2, not n*8+2",
};

/// An interrupt or an exception that finds no gate pushes n*16+2 instead of n*8+3.
pub const NO_EXT: Deviation = Deviation {
    id: "D-25",
    who: TCG,
    what: "the #NP of an interrupt or an exception whose gate is absent has the error code n*16+2, EXT clear, not n*8+3",
};

/// IRETQ takes a code segment with both L and D set.
pub const LONG_AND_BIG: Deviation = Deviation {
    id: "D-13",
    who: TCG,
    what: "IRETQ takes a CS with both L and D set, and a null SS whatever its RPL on a return to ring 0",
};

/// IRETQ raises #NP for a stack segment that is not present.
pub const ABSENT_STACK: Deviation = Deviation {
    id: "D-22",
    who: TCG,
    what: "IRETQ to an SS that is not present is #NP(selector), not #SS(selector)",
};

/// IRETQ looks at the code segment before it looks for a null SS.
pub const IRETQ_ORDER: Deviation = Deviation {
    id: "D-23",
    who: TCG,
    what: "IRETQ finds fault with CS before it looks for a null SS; the manual has #GP(0) for that first",
};

/// A single step of PAUSE goes on through the instruction behind it.
pub const STEP_OVER_PAUSE: Deviation = Deviation {
    id: "D-24",
    who: TCG,
    what: "with TF set, the #DB of PAUSE comes one instruction late",
};

/// `info tlb` clears bit 7 of a PT entry before it prints it, though it is the page's PAT bit.
pub const TLB_HIDES_PAT: Deviation = Deviation {
    id: "Q-01",
    who: "QEMU 7.2 monitor",
    what: "`info tlb` never shows bit 7 of a 4 KiB page's entry (its PAT bit)",
};

/// The GDB stub reports a step although the instruction was not begun.
pub const STEP_NOT_BEGUN: Deviation = Deviation {
    id: "Q-02",
    who: "QEMU 7.2 GDB stub",
    what: "a single step is reported as done without the instruction having been begun, if the emulator was called away just then",
};

/// All of them.
pub const ALL: [Deviation; 12] = [
    RESERVED_NOT_PRESENT,
    IRETQ_RIP,
    JUMP_RIP,
    STACK_FAULT,
    INT_GATE_CODE,
    NO_EXT,
    LONG_AND_BIG,
    ABSENT_STACK,
    IRETQ_ORDER,
    STEP_OVER_PAUSE,
    TLB_HIDES_PAT,
    STEP_NOT_BEGUN,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_id_is_given_twice() {
        for (index, deviation) in ALL.iter().enumerate() {
            assert!(ALL[..index].iter().all(|other| other.id != deviation.id));
        }
    }
}
