//! Where every interrupt and exception enters and leaves the kernel.
//!
//! 256 stubs of 16 bytes each push what the CPU did not (an error code where there is none,
//! and the vector), then one common path saves all general registers, so that a debugger
//! sees each of them as it was. `x86-interrupt` functions would hide them.
//!
//! ```text
//!   high   SS  RSP  RFLAGS  CS  RIP      pushed by the CPU (always all five in 64-bit mode)
//!          error code                    by the CPU, or a zero by the stub
//!          vector                        by the stub
//!          RAX RCX RDX RBX RBP RSI RDI R8 .. R15
//!   low    <- RSP, and the address of the TrapFrame; a multiple of 16
//! ```

use core::arch::global_asm;

use exported::TrapFrame;

use super::descriptors;

global_asm!(
    r#"
    .macro ringwalk_save_rest
    pushq %rcx
    .cfi_adjust_cfa_offset 8
    .cfi_offset rcx, -72
    pushq %rdx
    .cfi_adjust_cfa_offset 8
    .cfi_offset rdx, -80
    pushq %rbx
    .cfi_adjust_cfa_offset 8
    .cfi_offset rbx, -88
    pushq %rbp
    .cfi_adjust_cfa_offset 8
    .cfi_offset rbp, -96
    pushq %rsi
    .cfi_adjust_cfa_offset 8
    .cfi_offset rsi, -104
    pushq %rdi
    .cfi_adjust_cfa_offset 8
    .cfi_offset rdi, -112
    pushq %r8
    .cfi_adjust_cfa_offset 8
    .cfi_offset r8, -120
    pushq %r9
    .cfi_adjust_cfa_offset 8
    .cfi_offset r9, -128
    pushq %r10
    .cfi_adjust_cfa_offset 8
    .cfi_offset r10, -136
    pushq %r11
    .cfi_adjust_cfa_offset 8
    .cfi_offset r11, -144
    pushq %r12
    .cfi_adjust_cfa_offset 8
    .cfi_offset r12, -152
    pushq %r13
    .cfi_adjust_cfa_offset 8
    .cfi_offset r13, -160
    pushq %r14
    .cfi_adjust_cfa_offset 8
    .cfi_offset r14, -168
    pushq %r15
    .cfi_adjust_cfa_offset 8
    .cfi_offset r15, -176
    # The gate cleared IF, TF, NT, RF and VM. DF and AC are still the interrupted code's.
    cld
    pushfq
    andq $-0x40001, (%rsp)
    popfq
    .endm
    .macro ringwalk_load_rest
    popq %r15
    .cfi_adjust_cfa_offset -8
    .cfi_restore r15
    popq %r14
    .cfi_adjust_cfa_offset -8
    .cfi_restore r14
    popq %r13
    .cfi_adjust_cfa_offset -8
    .cfi_restore r13
    popq %r12
    .cfi_adjust_cfa_offset -8
    .cfi_restore r12
    popq %r11
    .cfi_adjust_cfa_offset -8
    .cfi_restore r11
    popq %r10
    .cfi_adjust_cfa_offset -8
    .cfi_restore r10
    popq %r9
    .cfi_adjust_cfa_offset -8
    .cfi_restore r9
    popq %r8
    .cfi_adjust_cfa_offset -8
    .cfi_restore r8
    popq %rdi
    .cfi_adjust_cfa_offset -8
    .cfi_restore rdi
    popq %rsi
    .cfi_adjust_cfa_offset -8
    .cfi_restore rsi
    popq %rbp
    .cfi_adjust_cfa_offset -8
    .cfi_restore rbp
    popq %rbx
    .cfi_adjust_cfa_offset -8
    .cfi_restore rbx
    popq %rdx
    .cfi_adjust_cfa_offset -8
    .cfi_restore rdx
    popq %rcx
    .cfi_adjust_cfa_offset -8
    .cfi_restore rcx
    .endm

    .pushsection .text.ringwalk_entry, "ax", @progbits
    .balign 16
    .global ringwalk_stubs
ringwalk_stubs:
    # What a debugger needs to walk from here into the interrupted code. The CFA is the end of
    # what the CPU pushed, wherever its alignment put that; RSP and RIP are words of it, and
    # every register is still, or again, that of the interrupted code.
    .cfi_startproc simple
    .cfi_signal_frame
    .cfi_def_cfa rsp, 40
    .cfi_offset rip, -40
    .cfi_offset rsp, -16
    .set vector, 0
    .rept 256
    .balign 16
    # Vectors with an error code: SDM, "Exceptions and Interrupts Reference".
    .if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30)
    .cfi_def_cfa_offset 40
    pushq $0
    .endif
    .cfi_def_cfa_offset 48
    pushq $vector
    .cfi_def_cfa_offset 56
    # #DB and NMI: nothing may be watched while they stand on a stack of their own.
    .if vector == 1 || vector == 2
    jmp ringwalk_quiet
    .else
    jmp ringwalk_trap_common
    .endif
    .set vector, vector + 1
    .endr
    .cfi_endproc

    .balign 16
    .global ringwalk_system_call
ringwalk_system_call:
    .cfi_startproc simple
    .cfi_signal_frame
    .cfi_def_cfa rsp, 0
    .cfi_register rip, rcx
    # SYSCALL: RCX is the user's RIP, R11 its RFLAGS; RSP is still the user's, and FMASK has
    # cleared IF, so nobody else can come through here before the stack is ours. GS is not
    # used: with one processor, fixed addresses do.
    movq %rsp, ringwalk_user_rsp(%rip)
    movq ringwalk_system_call_rsp(%rip), %rsp
    .cfi_undefined rsp      # the user's is in no register, and not yet in the frame
    pushq $0x1b
    .cfi_adjust_cfa_offset 8
    pushq ringwalk_user_rsp(%rip)
    .cfi_adjust_cfa_offset 8
    .cfi_offset rsp, -16
    pushq %r11
    .cfi_adjust_cfa_offset 8
    pushq $0x23
    .cfi_adjust_cfa_offset 8
    pushq %rcx
    .cfi_adjust_cfa_offset 8
    .cfi_offset rip, -40
    pushq $0
    .cfi_adjust_cfa_offset 8
    pushq $0x100            # no vector: SYSTEM_CALL_BY_SYSCALL
    .cfi_adjust_cfa_offset 8
    .balign 16
    .cfi_endproc

    # What is above falls through.
ringwalk_trap_common:
    .cfi_startproc simple
    .cfi_signal_frame
    .cfi_def_cfa rsp, 56
    .cfi_offset rip, -40
    .cfi_offset rsp, -16
    pushq %rax
    .cfi_adjust_cfa_offset 8
    .cfi_offset rax, -64
    ringwalk_save_rest
    movq %rsp, %rdi
    call ringwalk_trap
    .global ringwalk_trap_return
ringwalk_trap_return:
    ringwalk_load_rest
    popq %rax
    .cfi_adjust_cfa_offset -8
    .cfi_restore rax
    addq $16, %rsp          # vector and error code
    .cfi_adjust_cfa_offset -16
    .global ringwalk_iretq
ringwalk_iretq:
    iretq
    .cfi_endproc

    # The way in and out of #DB and NMI, and the debugger's way to the world and back. A breakpoint
    # in here would come while the stack of #DB is in use, and overwrite it: so DR7 is off from the
    # first instructions to the last, and none is set on them (`is_quiet`).
    .balign 16
    .global ringwalk_quiet
ringwalk_quiet:
    .cfi_startproc simple
    .cfi_signal_frame
    .cfi_def_cfa rsp, 56
    .cfi_offset rip, -40
    .cfi_offset rsp, -16
    pushq %rax
    .cfi_adjust_cfa_offset 8
    .cfi_offset rax, -64
    movq %dr7, %rax
    movq %rax, 16(%rsp)     # where an error code would be
    movl $0x400, %eax
    movq %rax, %dr7
    ringwalk_save_rest
    movq %rsp, %rdi
    call ringwalk_trap
ringwalk_quiet_return:
    ringwalk_load_rest
    movq 16(%rsp), %rax
    movq %rax, %dr7
    popq %rax
    .cfi_adjust_cfa_offset -8
    .cfi_restore rax
    addq $16, %rsp
    .cfi_adjust_cfa_offset -16
    .global ringwalk_quiet_iretq
ringwalk_quiet_iretq:
    iretq
    .cfi_endproc

    .global ringwalk_resume
ringwalk_resume:
    # rdi: where RSP is saved. rsi: the TrapFrame to go on with. rdx: DR7. The frame is copied
    # below the saved RSP, so that a fault of this IRETQ pushes onto nothing that is needed.
    .cfi_startproc simple
    .cfi_undefined rip
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    subq $176, %rsp
    movq %rsp, %rdi
    movl $22, %ecx
    cld
    rep movsq
    movq %rdx, %dr7
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %r11
    popq %r10
    popq %r9
    popq %r8
    popq %rdi
    popq %rsi
    popq %rbp
    popq %rbx
    popq %rdx
    popq %rcx
    popq %rax
    addq $16, %rsp
    .global ringwalk_resume_iretq
ringwalk_resume_iretq:
    iretq

    .global ringwalk_enter
ringwalk_enter:
    # As ringwalk_switch, out of the debugger's thread. rdx: DR7, from when its stack is left.
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    movq %rdx, %dr7
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    ret
    .cfi_endproc
    .global ringwalk_quiet_end
ringwalk_quiet_end:

    .global ringwalk_stop_here
ringwalk_stop_here:
    .cfi_startproc
    int $0xf1
    ret
    .cfi_endproc
    .popsection

    .pushsection .data.ringwalk_entry, "aw", @progbits
    .balign 8
ringwalk_user_rsp:
    .quad 0
    .global ringwalk_system_call_rsp
ringwalk_system_call_rsp:
    .quad 0
    .popsection
    "#,
    options(att_syntax)
);

// Where we ask the bootloader to put the image: for who waits from outside for the first instruction,
// when there is nothing in memory yet that could be asked. A number, not an address of ours.
global_asm!(
    ".global ringwalk_wished_base",
    ".set ringwalk_wished_base, {}",
    const crate::memory::layout::UPPER_HALF,
);

unsafe extern "C" {
    static ringwalk_stubs: u8;
    static ringwalk_system_call: u8;
    static ringwalk_iretq: u8;
    static ringwalk_quiet: u8;
    static ringwalk_quiet_end: u8;
    static ringwalk_resume_iretq: u8;
    fn ringwalk_resume(save: *mut u64, frame: *const TrapFrame, dr7: u64);
    fn ringwalk_enter(save: *mut u64, load: u64, dr7: u64);
    fn ringwalk_stop_here();
    static mut ringwalk_system_call_rsp: u64;
}

/// What stands where the vector does when the entry was by SYSCALL.
pub(crate) const SYSTEM_CALL_BY_SYSCALL: u64 = 0x100;

/// The state a process starts with: RIP, RSP, interrupts on, and nothing else.
pub(crate) fn frame_for_user(rip: u64, rsp: u64) -> TrapFrame {
    TrapFrame {
        rip,
        rsp,
        cs: u64::from(descriptors::USER_CODE),
        ss: u64::from(descriptors::USER_DATA),
        rflags: 0x202,
        ..TrapFrame::default()
    }
}

/// Where SYSCALL enters.
pub(crate) fn system_call_entry() -> u64 {
    &raw const ringwalk_system_call as u64
}

/// The one IRETQ of the kernel.
pub(crate) fn iretq_address() -> u64 {
    &raw const ringwalk_iretq as u64
}

/// Where the stack that SYSCALL's entry switches to is kept.
pub(crate) fn system_call_stack_place() -> u64 {
    &raw const ringwalk_system_call_rsp as u64
}

/// The vector that [`stop_here`] raises; ring 3 may not.
pub(crate) const STOP: u8 = 0xf1;

/// Stops the thread that runs, as a breakpoint would, for the debugger to look at.
pub(crate) fn stop_here() {
    // SAFETY: raises a vector whose gate saves and restores everything.
    unsafe { ringwalk_stop_here() };
}

/// Leaves the current thread, whose RSP goes to `save`, and goes on exactly as `frame` says, with
/// this DR7. Comes back when somebody switches to what was saved. Interrupts must be off.
pub(crate) fn resume(save: *mut u64, frame: &TrapFrame, dr7: u64) {
    // SAFETY: `save` is a static. What the frame leads to was interrupted there, or a person has
    // changed it knowingly; the CPU checks the rest of it, and a fault at this IRETQ is known by
    // its address (`is_resume`).
    unsafe { ringwalk_resume(save, frame, dr7) };
}

/// Leaves the debugger's thread, whose RSP goes to `save`, for the stack at `load`, with this DR7.
/// Comes back when somebody switches to what was saved. Interrupts must be off.
pub(crate) fn enter(save: *mut u64, load: u64, dr7: u64) {
    // SAFETY: `save` is a static; `load` was stored by `switch::stacks` for a thread that has not
    // run since, or made by `switch::prepare_thread`.
    unsafe { ringwalk_enter(save, load, dr7) };
}

/// Whether a fault is that of the IRETQ in [`resume`].
pub(crate) fn is_resume(rip: u64) -> bool {
    rip == &raw const ringwalk_resume_iretq as u64
}

/// Whether code at this address runs on the stack of #DB or NMI, or on the way to and from the
/// debugger, where no breakpoint may be: the stubs of these two vectors, and what they jump to.
pub(crate) fn is_quiet(rip: u64) -> bool {
    let stubs = stub(1)..stub(3);
    let rest = &raw const ringwalk_quiet as u64..&raw const ringwalk_quiet_end as u64;
    stubs.contains(&rip) || rest.contains(&rip)
}

/// Sets the stack that SYSCALL's entry switches to.
pub(super) fn set_system_call_stack(top: u64) {
    let field = &raw mut ringwalk_system_call_rsp;
    // SAFETY: the entry path reads it only on a SYSCALL from ring 3, which cannot happen now.
    unsafe { field.write(top) };
}

/// The address the CPU shall enter at for `vector`.
pub(crate) fn stub(vector: u8) -> u64 {
    (&raw const ringwalk_stubs as u64).wrapping_add(u64::from(vector) * 16)
}

/// Called by the common path with the saved registers; what it changes in them takes effect.
#[unsafe(no_mangle)]
extern "C" fn ringwalk_trap(frame: &mut TrapFrame) {
    crate::fault::trap(frame);
}

/// Leaves the current stack for ever and runs `next` on the one that ends at `top`.
pub(crate) fn continue_on(top: u64, next: extern "C" fn() -> !) -> ! {
    // SAFETY: `top` is the end of a mapped stack nobody uses yet (`stacks` hands each out
    // once). RBP = 0 and a zero return address end every walk up the frames; the push keeps
    // RSP + 8 a multiple of 16, as after a call.
    unsafe {
        core::arch::asm!(
            "mov rsp, {top}",
            "xor ebp, ebp",
            "push rbp",
            "jmp {next}",
            top = in(reg) top,
            next = in(reg) next,
            options(noreturn)
        )
    }
}
