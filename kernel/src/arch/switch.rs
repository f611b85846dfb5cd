//! Changing from one kernel stack to another, and the first return to ring 3.
//!
//! ```text
//!   a stack that does not run         a stack that never ran
//!   high  ... caller's frame          TrapFrame for ring 3        <- stack top
//!         return address              ringwalk_first_return
//!         RBX RBP R12 R13 R14 R15     six zeros
//!   low   <- saved RSP                <- prepared RSP
//! ```

use core::arch::global_asm;

use exported::TrapFrame;

use crate::memory::stacks::Stack;

global_asm!(
    r#"
    .pushsection .text.ringwalk_switch, "ax", @progbits
    # What a debugger needs to walk up from here: both stacks have the same shape, so it holds on
    # either side of the change.
    .macro ringwalk_push_kept name
    pushq %\name
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset \name, 0
    .endm
    .macro ringwalk_pop_kept name
    popq %\name
    .cfi_adjust_cfa_offset -8
    .cfi_restore \name
    .endm

    .global ringwalk_switch
ringwalk_switch:
    # rdi: where RSP is saved. rsi: the RSP to go on with. Everything else that the C ABI
    # lets a call change is dead here.
    .cfi_startproc
    ringwalk_push_kept rbx
    ringwalk_push_kept rbp
    ringwalk_push_kept r12
    ringwalk_push_kept r13
    ringwalk_push_kept r14
    ringwalk_push_kept r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    ringwalk_pop_kept r15
    ringwalk_pop_kept r14
    ringwalk_pop_kept r13
    ringwalk_pop_kept r12
    ringwalk_pop_kept rbp
    ringwalk_pop_kept rbx
    ret
    .cfi_endproc

    # Nobody called it, and without this a debugger takes a word of the TrapFrame for who did. The
    # instruction before is inside, since a walk looks at the one before a return address.
    .cfi_startproc
    .cfi_undefined rip
    nop
    .global ringwalk_first_return
ringwalk_first_return:
    # RSP: the TrapFrame, at the very top of a fresh stack, a multiple of 16.
    movq %rsp, %rdi
    call ringwalk_first_time
    jmp ringwalk_trap_return
    .cfi_endproc
    .popsection
    "#,
    options(att_syntax)
);

unsafe extern "C" {
    fn ringwalk_switch(save: *mut u64, load: u64);
    static ringwalk_first_return: u8;
}

/// What [`stacks`] finds on the stack it goes on with: six registers and a return address.
pub(crate) const SAVED_BYTES: u64 = 56;

/// Where stacks are switched.
pub(crate) fn address() -> u64 {
    ringwalk_switch as unsafe extern "C" fn(*mut u64, u64) as usize as u64
}

/// Goes on with the stack at `load`, and comes back when somebody goes on with this one, whose
/// place is stored at `save`. Interrupts must be off.
pub(crate) fn stacks(save: *mut u64, load: u64) {
    // SAFETY: `load` was stored by this function for a thread that has not run since, or made
    // by `prepare`; `save` is a field of the thread's record, which outlives the switch since
    // only a thread on another stack removes it (see `process::exit::reap`).
    unsafe { ringwalk_switch(save, load) };
}

/// Prepares a fresh kernel stack so that the first switch to it returns to ring 3 with `frame`.
pub(crate) fn prepare(stack: Stack, frame: &TrapFrame) -> u64 {
    let at = stack.top - size_of::<TrapFrame>() as u64;
    let to = core::ptr::with_exposed_provenance_mut::<TrapFrame>(at as usize);
    // SAFETY: the stack is mapped, nobody uses it yet, and the frame fits its top; `top` is a
    // multiple of 4096 and the frame's size one of 16, so it is aligned.
    unsafe { to.write(*frame) };
    let words: [u64; 7] = [0, 0, 0, 0, 0, 0, &raw const ringwalk_first_return as u64];
    let rsp = at - size_of_val(&words) as u64;
    let to = core::ptr::with_exposed_provenance_mut::<[u64; 7]>(rsp as usize);
    // SAFETY: right below the frame, on the same unused stack.
    unsafe { to.write(words) };
    rsp
}

/// Prepares a fresh kernel stack so that the first switch to it calls `run`.
pub(crate) fn prepare_thread(stack: Stack, run: extern "C" fn() -> !) -> u64 {
    // The last word is a return address that ends every walk up the frames.
    let words: [u64; 8] = [0, 0, 0, 0, 0, 0, run as usize as u64, 0];
    let rsp = stack.top - size_of_val(&words) as u64;
    let to = core::ptr::with_exposed_provenance_mut::<[u64; 8]>(rsp as usize);
    // SAFETY: the top of a mapped stack that nobody uses yet; `top` is a multiple of 4096.
    unsafe { to.write(words) };
    rsp
}

/// The first time a thread goes to ring 3.
#[unsafe(no_mangle)]
extern "C" fn ringwalk_first_time(frame: &mut TrapFrame) {
    crate::process::first_return(frame);
}
