//! Where an emulator, or its monitor, is known to say something else than the architecture.
//! This is the only place that excuses a difference; a test that meets one names its id.

/// A known deviation.
#[derive(Clone, Copy, Debug)]
pub struct Deviation {
    /// Its name in test output.
    pub id: &'static str,
    /// Who deviates.
    pub who: &'static str,
    /// What it says or does, and what would be right.
    pub what: &'static str,
}

/// `info tlb` clears bit 7 of a PT entry before it prints it, though it is the page's PAT bit.
pub const TLB_HIDES_PAT: Deviation = Deviation {
    id: "Q-01",
    who: "QEMU 7.2 monitor",
    what: "`info tlb` never shows bit 7 of a 4 KiB page's entry (its PAT bit)",
};

/// `int n` through a gate of DPL 0 pushes n*16+2 instead of n*8+2.
pub const INT_GATE_CODE: Deviation = Deviation {
    id: "D-12",
    who: "QEMU 7.2 TCG",
    what: "the #GP of `int n` through a DPL-0 gate has the error code n*16+2, not n*8+2",
};

/// A jump to a non-canonical address faults at the target instead of at the jump.
pub const JUMP_RIP: Deviation = Deviation {
    id: "D-04",
    who: "QEMU 7.2 TCG",
    what: "the RIP of a #GP for a jump to a non-canonical address is the target, not the jump",
};

/// A use of the stack with a non-canonical RSP raises #GP(0) instead of #SS(0).
pub const STACK_FAULT: Deviation = Deviation {
    id: "D-05",
    who: "QEMU 7.2 TCG",
    what: "a stack access through a non-canonical RSP is #GP(0), not #SS(0)",
};

/// All of them.
pub const ALL: [Deviation; 4] = [TLB_HIDES_PAT, INT_GATE_CODE, JUMP_RIP, STACK_FAULT];

impl Deviation {
    /// The bits of a leaf entry that `info tlb` can show, given the page size as printed.
    #[must_use]
    pub fn shown_by_info_tlb(size: &str) -> u64 {
        let shown = crate::monitor::shown_bits();
        //
        if size == "4K" {
            shown & !(1 << 7)
        } else {
            shown
        }
    }
}
