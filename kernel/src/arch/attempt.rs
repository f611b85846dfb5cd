//! Making one access for real, under control bits chosen for it, and catching what comes of it.
//!
//! Each attempt enters by the kernel's IRETQ, into ring 3 or into ring 0, at an instruction
//! that makes the access, and comes back by a trap: #PF if the CPU forbids it, or the
//! `int $0x80` that follows the instruction. Both traps push onto a stack of their own, so
//! that it matters to nobody whose stack this is done on.
//!
//! ```text
//!   make -> controls, CR3 -> ringwalk_attempt -> IRETQ -> access -> #PF or int $0x80
//!        <- controls, CR3 <- ringwalk_attempt_back <- IRETQ <- caught <- trap entry
//! ```
//!
//! Interrupts are off all the while. An NMI may come at any time: it has a stack of its own,
//! and everything it needs is mapped in the tables of an attempt, too. An attempt is no event:
//! hundreds of thousands of them would leave nothing else in the ring. `irq` counts its traps.

use core::arch::{asm, global_asm};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use exported::TrapFrame;
use machine::{Access, AccessKind, Controls, PhysAddr, VirtAddr};
use shell::Outcome;
use x86_64::registers::control::{Cr0, Cr4, Efer};

use super::descriptors::{self, KERNEL_CODE, KERNEL_DATA, SYSTEM_CALL, USER_CODE, USER_DATA};
use super::{cpu, features};
use crate::memory::scratch::Scratch;

global_asm!(
    r#"
    .pushsection .text.ringwalk_attempt, "ax", @progbits
    .global ringwalk_attempt
ringwalk_attempt:
    # rdi: the TrapFrame to go with. What the C ABI keeps over a call is kept here; RSP leads
    # back to it.
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, ringwalk_attempt_rsp(%rip)
    movq %rdi, %rsp
    jmp ringwalk_trap_return

    # From here to ringwalk_attempt_back, code for either ring; rsi: the address.
    .global ringwalk_attempt_read
ringwalk_attempt_read:
    movb (%rsi), %al
    int $0x80
    .global ringwalk_attempt_write
ringwalk_attempt_write:
    # The byte that is there: the first of `int`.
    movb $0xcd, (%rsi)
    .global ringwalk_attempt_fetch
ringwalk_attempt_fetch:
    int $0x80
    .global ringwalk_attempt_back
ringwalk_attempt_back:
    # RSP is as it was saved.
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    ret
    .popsection

    .pushsection .data.ringwalk_attempt, "aw", @progbits
    .balign 8
    .global ringwalk_attempt_rsp
ringwalk_attempt_rsp:
    .quad 0
    .popsection
    "#,
    options(att_syntax)
);

unsafe extern "C" {
    fn ringwalk_attempt(frame: *const TrapFrame);
    static ringwalk_attempt_read: u8;
    static ringwalk_attempt_write: u8;
    static ringwalk_attempt_fetch: u8;
    static ringwalk_attempt_back: u8;
    static ringwalk_attempt_rsp: u64;
}

/// The stack that the traps of an attempt push onto. Only `trap` and [`caught`] run on it.
#[repr(C, align(16))]
struct TrapStack([u8; 16 << 10]);

static mut TRAP_STACK: TrapStack = TrapStack([0; 16 << 10]);

/// How many bytes `int $0x80` has.
const INT_BYTES: u64 = 2;

/// An attempt is under way: the next trap of its instruction is its end.
static UNDER_WAY: AtomicBool = AtomicBool::new(false);
/// The address of the instruction that makes the access, and of the one after the `int`.
static INSTRUCTION: AtomicU64 = AtomicU64::new(0);
static DONE: AtomicU64 = AtomicU64::new(0);
/// What the trap pushed, and CR2.
static VECTOR: AtomicU64 = AtomicU64::new(0);
static ERROR: AtomicU64 = AtomicU64::new(0);
static RIP: AtomicU64 = AtomicU64::new(0);
static CS: AtomicU64 = AtomicU64::new(0);
static CR2: AtomicU64 = AtomicU64::new(0);

fn address(label: *const u8) -> u64 {
    label as u64
}

/// The code that a page for ring 3 must hold, at its beginning.
pub(crate) fn code() -> &'static [u8] {
    let start = &raw const ringwalk_attempt_read;
    let bytes = address(&raw const ringwalk_attempt_back) - address(start);
    // SAFETY: the labels are in this order in one piece of the kernel's text, which is never
    // written; that there are fewer than `isize::MAX` bytes between them is plain.
    unsafe { core::slice::from_raw_parts(start, bytes as usize) }
}

/// The part of it that a page to be fetched from must hold, at the address of the fetch.
pub(crate) fn code_to_fetch() -> &'static [u8] {
    let before =
        address(&raw const ringwalk_attempt_fetch) - address(&raw const ringwalk_attempt_read);
    code().get(before as usize..).unwrap_or_default()
}

/// Makes one access in the scratch tables and says what the CPU did, with the address of the
/// instruction that made it.
///
/// A control bit that this CPU does not have stays clear.
pub(crate) fn make(scratch: &Scratch, access: Access, controls: Controls) -> (Outcome, VirtAddr) {
    let code = match access.user {
        true => scratch.user_code().0,
        false => address(&raw const ringwalk_attempt_read),
    };
    let from = address(&raw const ringwalk_attempt_read);
    let [write, fetch] = [
        &raw const ringwalk_attempt_write,
        &raw const ringwalk_attempt_fetch,
    ]
    .map(|label| code + (address(label) - from));
    let va = scratch.va();
    let (instruction, done) = match access.kind {
        AccessKind::Read => (code, write),
        AccessKind::Write => (write, fetch + INT_BYTES),
        AccessKind::Execute => (va.0, va.0 + INT_BYTES),
    };
    let top = (&raw const TRAP_STACK).wrapping_add(1) as u64;
    let frame = TrapFrame {
        rip: instruction,
        rsi: va.0,
        rsp: top,
        rflags: RFLAGS_FIXED | if controls.ac { RFLAGS_AC } else { 0 },
        ..frame_in_ring(access.user)
    };
    cpu::without_interrupts(|| {
        let (before, cr2) = (descriptors::set_rsp0(top), cpu::cr2());
        INSTRUCTION.store(instruction, Ordering::Relaxed);
        DONE.store(done, Ordering::Relaxed);
        under(scratch, controls, || {
            UNDER_WAY.store(true, Ordering::Relaxed);
            // SAFETY: the frame is sound for its ring, with interrupts off; the instruction
            // it names ends in a trap, which `caught` turns into the return of this call. The
            // access goes to a page of the scratch space or nowhere.
            unsafe { ringwalk_attempt(&raw const frame) };
        });
        descriptors::set_rsp0(before);
        // SAFETY: CR2 has no effect; it only keeps the address of the last fault.
        unsafe { asm!("mov cr2, {}", in(reg) cr2, options(nomem, nostack, preserves_flags)) };
    });
    (outcome(), VirtAddr(instruction))
}

/// RFLAGS bit 1, which is always set.
const RFLAGS_FIXED: u64 = 1 << 1;
const RFLAGS_AC: u64 = 1 << 18;

fn frame_in_ring(user: bool) -> TrapFrame {
    let (cs, ss) = match user {
        true => (USER_CODE, USER_DATA),
        false => (KERNEL_CODE, KERNEL_DATA),
    };
    TrapFrame {
        cs: cs.into(),
        ss: ss.into(),
        ..TrapFrame::default()
    }
}

fn outcome() -> Outcome {
    let [vector, code, rip, cs, cr2] =
        [&VECTOR, &ERROR, &RIP, &CS, &CR2].map(|word| word.load(Ordering::Relaxed));
    if vector == SYSTEM_CALL.into() && rip == DONE.load(Ordering::Relaxed) {
        return Outcome::Done;
    }
    Outcome::Trap {
        // Vectors are below 256, and the CPU pushes a selector of 16 bits.
        vector: (vector & 0xff) as u8,
        code,
        cr2: VirtAddr(cr2),
        rip: VirtAddr(rip),
        cs: (cs & 0xffff) as u16,
    }
}

/// Runs `body` in the scratch tables under these control bits, and puts everything back.
/// Interrupts are off.
fn under(scratch: &Scratch, controls: Controls, body: impl FnOnce()) {
    const WP: u64 = 1 << 16;
    const SMEP: u64 = 1 << 20;
    const SMAP: u64 = 1 << 21;
    const NXE: u64 = 1 << 11;
    let features = features::get();
    let with = |value: u64, bit: u64, on: bool| if on { value | bit } else { value & !bit };
    let (cr0, cr3, cr4, efer) = (cpu::cr0(), cpu::cr3(), cpu::cr4(), cpu::efer());
    let new_cr0 = with(cr0, WP, controls.wp);
    let new_cr4 = with(cr4, SMEP, controls.smep && features.smep);
    let new_cr4 = with(new_cr4, SMAP, controls.smap && features.smap);
    let new_efer = with(efer, NXE, controls.nxe);

    // The tables come first and go last: the kernel's own have bit 63 set in many an entry,
    // which is reserved while NXE is clear; the scratch tables have it nowhere but in the
    // entries of the row.
    // SAFETY: `Scratch` maps in the upper half all that the master does.
    unsafe { cpu::load_cr3(scratch.root()) };
    set(cr0, new_cr0, cr4, new_cr4, efer, new_efer);
    body();
    set(new_cr0, cr0, new_cr4, cr4, new_efer, efer);
    // SAFETY: the root that was loaded a moment ago.
    unsafe { cpu::load_cr3(PhysAddr(cr3)) };
}

/// Changes CR0, CR4 and EFER from what they are, those that differ: each change costs.
fn set(cr0: u64, new_cr0: u64, cr4: u64, new_cr4: u64, efer: u64, new_efer: u64) {
    if cr0 != new_cr0 {
        // SAFETY: only WP differs. With it clear the kernel could write to its own read-only
        // pages, which nothing that runs until it is put back does.
        unsafe { Cr0::write_raw(new_cr0) };
    }
    if cr4 != new_cr4 {
        // SAFETY: only SMEP and SMAP differ, which this CPU has if they are set. Either way
        // the kernel's own pages, none of which has USER, stay as they are to it.
        unsafe { Cr4::write_raw(new_cr4) };
    }
    if efer != new_efer {
        // SAFETY: only NXE differs, and the scratch tables are in use, which map the kernel
        // without bit 63: they mean the same with NXE and without.
        unsafe { Efer::write_raw(new_efer) };
    }
}

/// Whether an attempt is under way: a trap from ring 3 that is not its end is no process's then.
pub(crate) fn is_under_way() -> bool {
    UNDER_WAY.load(Ordering::Relaxed)
}

/// Called first of all with every trap: whether it is the end of an attempt. If so `frame`
/// leads back to [`make`].
///
/// Only traps of the very instruction that was tried are taken, from the ring it was tried in;
/// with interrupts off these are exceptions. Those that are the machine's, such as NMI, are not.
pub(crate) fn caught(frame: &mut TrapFrame, cr2: u64) -> bool {
    const DEBUG: u64 = 1;
    const NMI: u64 = 2;
    const DOUBLE_FAULT: u64 = 8;
    const MACHINE_CHECK: u64 = 18;
    if !UNDER_WAY.load(Ordering::Relaxed)
        || matches!(frame.vector, DEBUG | NMI | DOUBLE_FAULT | MACHINE_CHECK)
    {
        return false;
    }
    let is_ours = [&INSTRUCTION, &DONE]
        .into_iter()
        .any(|word| word.load(Ordering::Relaxed) == frame.rip);
    if !is_ours && !frame.is_from_user() {
        return false;
    }
    UNDER_WAY.store(false, Ordering::Relaxed);
    for (word, value) in [
        (&VECTOR, frame.vector),
        (&ERROR, frame.error),
        (&RIP, frame.rip),
        (&CS, frame.cs),
        (&CR2, cr2),
    ] {
        word.store(value, Ordering::Relaxed);
    }
    // SAFETY: written by `ringwalk_attempt` on this CPU before the trap, and by nobody else.
    let rsp = unsafe { (&raw const ringwalk_attempt_rsp).read_volatile() };
    *frame = TrapFrame {
        rip: address(&raw const ringwalk_attempt_back),
        rsp,
        rflags: RFLAGS_FIXED,
        ..frame_in_ring(false)
    };
    true
}
