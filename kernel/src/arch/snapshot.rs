//! The registers as they are now, for the shell's `regs`, `cr`, `walk $rip` and expressions.
//!
//! The shell is part of the kernel, so what it sees is itself: RIP is the instruction after
//! the call of [`registers`], RSP the stack there.

use core::arch::{asm, global_asm};

use exported::TrapFrame;
use machine::{Registers, TablePointer};
use x86_64::registers::debug;

use super::{cpu, descriptors};

/// General registers in the order the assembly stores them.
#[repr(C)]
#[derive(Default)]
struct General {
    rax: u64,
    rbx: u64,
    rcx: u64,
    rdx: u64,
    rsi: u64,
    rdi: u64,
    rbp: u64,
    rsp: u64,
    r8: u64,
    r9: u64,
    r10: u64,
    r11: u64,
    r12: u64,
    r13: u64,
    r14: u64,
    r15: u64,
    rip: u64,
    rflags: u64,
}

global_asm!(
    r#"
    .pushsection .text.ringwalk_capture, "ax", @progbits
    .global ringwalk_capture
ringwalk_capture:
    # rdi: where to store. Everything is stored before anything is changed.
    movq %rax, 0(%rdi)
    movq %rbx, 8(%rdi)
    movq %rcx, 16(%rdi)
    movq %rdx, 24(%rdi)
    movq %rsi, 32(%rdi)
    movq %rdi, 40(%rdi)
    movq %rbp, 48(%rdi)
    movq %r8, 64(%rdi)
    movq %r9, 72(%rdi)
    movq %r10, 80(%rdi)
    movq %r11, 88(%rdi)
    movq %r12, 96(%rdi)
    movq %r13, 104(%rdi)
    movq %r14, 112(%rdi)
    movq %r15, 120(%rdi)
    pushfq
    popq 136(%rdi)
    leaq 8(%rsp), %rax       # RSP as it will be after the return
    movq %rax, 56(%rdi)
    movq (%rsp), %rax        # the return address is the caller's next instruction
    movq %rax, 128(%rdi)
    ret
    .popsection
    "#,
    options(att_syntax)
);

unsafe extern "C" {
    fn ringwalk_capture(to: *mut General);
}

impl General {
    fn registers(&self) -> Registers {
        Registers {
            rax: self.rax,
            rbx: self.rbx,
            rcx: self.rcx,
            rdx: self.rdx,
            rsi: self.rsi,
            rdi: self.rdi,
            rbp: self.rbp,
            rsp: self.rsp,
            r8: self.r8,
            r9: self.r9,
            r10: self.r10,
            r11: self.r11,
            r12: self.r12,
            r13: self.r13,
            r14: self.r14,
            r15: self.r15,
            rip: self.rip,
            rflags: self.rflags,
            ..Registers::default()
        }
    }
}

/// The state of the kernel code that calls this, as a trap would have saved it: RIP is in the
/// caller, so its frame still stands while somebody walks up the stack.
#[inline(always)]
pub(crate) fn here() -> TrapFrame {
    let mut general = General::default();
    // SAFETY: the assembly writes the 18 words of `General` (the layout is C's) and returns.
    unsafe { ringwalk_capture(&raw mut general) };
    TrapFrame::of(&Registers {
        cs: descriptors::KERNEL_CODE,
        ss: descriptors::KERNEL_DATA,
        ..general.registers()
    })
}

/// Everything `machine::Registers` has a place for.
#[inline(never)]
pub(crate) fn registers() -> Registers {
    let mut general = General::default();
    // SAFETY: the assembly writes the 18 words of `General` (the layout is C's) and returns.
    unsafe { ringwalk_capture(&raw mut general) };
    let mut out = general.registers();
    segments(&mut out);
    control(&mut out);
    debug_registers(&mut out);
    out
}

fn segments(out: &mut Registers) {
    use x86_64::instructions::segmentation::{CS, DS, ES, FS, GS, SS, Segment};
    out.cs = CS::get_reg().0;
    out.ss = SS::get_reg().0;
    out.ds = DS::get_reg().0;
    out.es = ES::get_reg().0;
    out.fs = FS::get_reg().0;
    out.gs = GS::get_reg().0;
    let tr: u16;
    // SAFETY: STR stores the selector and changes nothing.
    unsafe { asm!("str {:x}", out(reg) tr, options(nomem, nostack, preserves_flags)) };
    out.tr = tr;
    let ldtr: u16;
    // SAFETY: SLDT stores the selector and changes nothing.
    unsafe { asm!("sldt {:x}", out(reg) ldtr, options(nomem, nostack, preserves_flags)) };
    out.ldtr = ldtr;
    let gdtr = x86_64::instructions::tables::sgdt();
    out.gdtr = TablePointer {
        base: gdtr.base.as_u64(),
        limit: gdtr.limit,
    };
    let idtr = x86_64::instructions::tables::sidt();
    out.idtr = TablePointer {
        base: idtr.base.as_u64(),
        limit: idtr.limit,
    };
}

fn control(out: &mut Registers) {
    out.cr0 = cpu::cr0();
    out.cr2 = cpu::cr2();
    out.cr3 = cpu::cr3();
    out.cr4 = cpu::cr4();
    out.cr8 = cpu::cr8();
    out.efer = cpu::efer();
    // These MSRs are part of long mode (and the PAT of every x86-64 CPU), so they exist.
    let fields: [(u32, &mut u64); 7] = [
        (cpu::IA32_PAT, &mut out.pat),
        (0xc000_0100, &mut out.fs_base),
        (0xc000_0101, &mut out.gs_base),
        (0xc000_0102, &mut out.kernel_gs_base),
        (0xc000_0081, &mut out.star),
        (0xc000_0082, &mut out.lstar),
        (0xc000_0084, &mut out.fmask),
    ];
    for (register, field) in fields {
        // SAFETY: every register in the list exists on every CPU in long mode.
        *field = unsafe { cpu::read_msr(register) };
    }
}

fn debug_registers(out: &mut Registers) {
    use debug::DebugAddressRegister;
    out.dr0 = debug::Dr0::read();
    out.dr1 = debug::Dr1::read();
    out.dr2 = debug::Dr2::read();
    out.dr3 = debug::Dr3::read();
    out.dr6 = debug::Dr6::read_raw();
    out.dr7 = debug::Dr7::read_raw();
}
