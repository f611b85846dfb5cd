//! What RFLAGS.TF leaves behind when one instruction is stepped, and how it is taken back.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use exported::TrapFrame;
use machine::VirtAddr;

use super::moments::{ARMED, STEP};
use crate::arch::cpu;
use crate::memory::physmap::LiveMemory;
use crate::target;

pub(super) const TF: u64 = 1 << 8;
pub(super) const RF: u64 = 1 << 16;
/// RFLAGS.TF as the stepped thread has it, and what it steps over.
static OWN_TF: AtomicU64 = AtomicU64::new(0);
static STEPPED: AtomicU32 = AtomicU32::new(Stepped::Other as u32);
/// Instructions that show or change TF.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stepped {
    Other = 0,
    Pushf = 1,
    /// POPF and IRETQ: they load it.
    Loads = 2,
}

/// Before a thread goes on with this frame, in this space: by one instruction, if it is to step.
pub(super) fn prepare(frame: &mut TrapFrame, cr3: u64, step: bool) {
    OWN_TF.store(frame.rflags & TF, Ordering::Relaxed);
    if step {
        STEPPED.store(stepped(frame.rip, cr3) as u32, Ordering::Relaxed);
        frame.rflags |= TF;
    }
}

/// What kind of instruction is stepped over, by its first bytes.
fn stepped(rip: u64, cr3: u64) -> Stepped {
    let mut bytes = [0; 4];
    let root = machine::PhysAddr(cr3);
    for (at, byte) in (0..).zip(&mut bytes) {
        let mut one = [0];
        let va = VirtAddr(rip.wrapping_add(at));
        if machine::read_virt(&mut LiveMemory, &target::paging(), root, va, &mut one).is_err() {
            break;
        }
        [*byte] = one;
    }
    let is_prefix = |byte: &&u8| matches!(**byte, 0x40..=0x4f | 0x66);
    match bytes.iter().find(|byte| !is_prefix(byte)) {
        Some(0x9c) => Stepped::Pushf,
        Some(0x9d | 0xcf) => Stepped::Loads,
        _ => Stepped::Other,
    }
}

/// Takes back what a step has left in RFLAGS and in what it stored.
pub(super) fn unstep(frame: &mut TrapFrame) {
    if ARMED.load(Ordering::Relaxed) & STEP == 0 {
        return;
    }
    let stepped = STEPPED.load(Ordering::Relaxed);
    if stepped != Stepped::Loads as u32 {
        own_tf(&mut frame.rflags);
    }
    if stepped == Stepped::Pushf as u32 {
        let at = VirtAddr(frame.rsp);
        let root = machine::PhysAddr(cpu::cr3());
        let mut bytes = [0; 8];
        if machine::read_virt(&mut LiveMemory, &target::paging(), root, at, &mut bytes).is_ok() {
            let mut word = u64::from_le_bytes(bytes);
            own_tf(&mut word);
            super::ability::patch(root, at, word);
        }
    }
}

pub(super) fn own_tf(flags: &mut u64) {
    // RF is over with the instruction that was stepped, but QEMU lets `int` push it.
    *flags = *flags & !(TF | RF) | OWN_TF.load(Ordering::Relaxed);
}
