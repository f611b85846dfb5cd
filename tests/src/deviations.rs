//! Which differences between an emulator and the architecture are excused, and how.
//!
//! The deviations themselves are in `machine`, where the shell names them, too. No test excuses
//! a difference but by one of these.

pub use machine::deviations::{
    ABSENT_STACK, ALL, Deviation, INT_GATE_CODE, IRETQ_ORDER, IRETQ_RIP, JUMP_RIP, LONG_AND_BIG,
    NO_EXT, RESERVED_NOT_PRESENT, STACK_FAULT, STEP_NOT_BEGUN, STEP_OVER_PAUSE, TLB_HIDES_PAT,
};

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
