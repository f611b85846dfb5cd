//! Deeds: everything here makes the processor do something that only ring 0 may.

#[expect(
    unsafe_code,
    reason = "makes accesses under other control bits, and returns from their traps"
)]
pub(crate) mod attempt;
#[expect(
    unsafe_code,
    reason = "control registers, RFLAGS and HLT are only reachable through asm"
)]
pub(crate) mod cpu;
#[expect(unsafe_code, reason = "the debug registers")]
pub(crate) mod debug;
#[expect(unsafe_code, reason = "loads the GDT, the TSS and the IDT")]
pub(crate) mod descriptors;
#[expect(
    unsafe_code,
    reason = "the assembly that every interrupt and exception enters through"
)]
pub(crate) mod entry;
pub(crate) mod features;
#[expect(unsafe_code, reason = "port I/O instructions")]
pub(crate) mod port;
#[expect(unsafe_code, reason = "captures the registers with assembly")]
pub(crate) mod snapshot;
#[expect(unsafe_code, reason = "switches stacks")]
pub(crate) mod switch;
#[expect(
    unsafe_code,
    reason = "saves and loads what ring 3 has in the processor"
)]
pub(crate) mod user;
