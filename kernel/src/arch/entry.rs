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

/// The registers at the moment of a trap, as they lie on the stack.
#[repr(C)]
#[derive(Clone, Debug)]
pub(crate) struct TrapFrame {
    pub(crate) r15: u64,
    pub(crate) r14: u64,
    pub(crate) r13: u64,
    pub(crate) r12: u64,
    pub(crate) r11: u64,
    pub(crate) r10: u64,
    pub(crate) r9: u64,
    pub(crate) r8: u64,
    pub(crate) rdi: u64,
    pub(crate) rsi: u64,
    pub(crate) rbp: u64,
    pub(crate) rbx: u64,
    pub(crate) rdx: u64,
    pub(crate) rcx: u64,
    pub(crate) rax: u64,
    pub(crate) vector: u64,
    /// Zero where the vector has none.
    pub(crate) error: u64,
    pub(crate) rip: u64,
    pub(crate) cs: u64,
    pub(crate) rflags: u64,
    pub(crate) rsp: u64,
    pub(crate) ss: u64,
}

global_asm!(
    r#"
    .pushsection .text.ringwalk_entry, "ax", @progbits
    .balign 16
    .global ringwalk_stubs
ringwalk_stubs:
    .set vector, 0
    .rept 256
    .balign 16
    # Vectors with an error code: SDM, "Exceptions and Interrupts Reference".
    .if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30)
    pushq $0
    .endif
    pushq $vector
    jmp ringwalk_trap_common
    .set vector, vector + 1
    .endr

    .balign 16
ringwalk_trap_common:
    pushq %rax
    pushq %rcx
    pushq %rdx
    pushq %rbx
    pushq %rbp
    pushq %rsi
    pushq %rdi
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    # The gate cleared IF, TF, NT, RF and VM. DF and AC are still the interrupted code's.
    cld
    pushfq
    andq $-0x40001, (%rsp)
    popfq
    movq %rsp, %rdi
    call ringwalk_trap
    .global ringwalk_trap_return
ringwalk_trap_return:
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
    addq $16, %rsp          # vector and error code
    iretq
    .popsection
    "#,
    options(att_syntax)
);

unsafe extern "C" {
    static ringwalk_stubs: u8;
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
