//! What a thread in ring 3 has in the processor beside its general registers: x87 and SSE
//! state, FS and GS with their bases, DS and ES.

use core::arch::asm;
use core::ptr;

use x86_64::instructions::segmentation::{DS, ES, FS, GS, Segment};
use x86_64::structures::gdt::SegmentSelector;

use super::cpu;

const FS_BASE: u32 = 0xc000_0100;
const GS_BASE: u32 = 0xc000_0101;

/// The area of FXSAVE. SDM, "FXSAVE Area".
#[derive(Clone)]
#[repr(C, align(16))]
struct FxArea([u8; 512]);

/// A thread's state.
#[derive(Clone)]
pub(crate) struct UserState {
    fx: FxArea,
    fs_base: u64,
    gs_base: u64,
    /// DS, ES, FS, GS.
    selectors: [u16; 4],
}

impl UserState {
    /// What a process starts with: x87 as after FNINIT, MXCSR 0x1f80, no segments.
    pub(crate) fn new() -> Self {
        let mut fx = [0; 512];
        // FCW at 0: 0x037f. MXCSR at 24: 0x1f80, all exceptions masked.
        fx[0] = 0x7f;
        fx[1] = 0x03;
        fx[24] = 0x80;
        fx[25] = 0x1f;
        UserState {
            fx: FxArea(fx),
            fs_base: 0,
            gs_base: 0,
            selectors: [0; 4],
        }
    }

    /// Stores what the processor has now.
    pub(crate) fn save(&mut self) {
        // SAFETY: the area is 512 bytes, aligned to 16; CR4.OSFXSR is set at boot.
        unsafe { asm!("fxsave64 [{}]", in(reg) &raw mut self.fx, options(nostack)) };
        // SAFETY: FS_BASE exists on every CPU in long mode.
        self.fs_base = unsafe { cpu::read_msr(FS_BASE) };
        // SAFETY: as for FS_BASE.
        self.gs_base = unsafe { cpu::read_msr(GS_BASE) };
        self.selectors = [
            DS::get_reg().0,
            ES::get_reg().0,
            FS::get_reg().0,
            GS::get_reg().0,
        ];
    }

    /// Puts it back into the processor.
    pub(crate) fn restore(&self) {
        load_selectors(self.selectors);
        // After the selectors: loading one replaces the base.
        // SAFETY: the base was in the register before, or is 0: it is canonical. The kernel
        // uses neither FS nor GS.
        unsafe { cpu::write_msr(FS_BASE, self.fs_base) };
        // SAFETY: as for FS_BASE.
        unsafe { cpu::write_msr(GS_BASE, self.gs_base) };
        // SAFETY: an area that FXSAVE wrote, or the one `new` made, whose MXCSR has no
        // reserved bit.
        unsafe { asm!("fxrstor64 [{}]", in(reg) &raw const self.fx, options(nostack)) };
    }

    /// FS and GS bases as saved.
    pub(crate) fn bases(&self) -> (u64, u64) {
        (self.fs_base, self.gs_base)
    }

    /// DS, ES, FS and GS as saved.
    pub(crate) fn selectors(&self) -> [u16; 4] {
        self.selectors
    }
}

/// Leaves nothing of a process in the segment registers: for the kernel's own thread.
pub(crate) fn clear_segments() {
    load_selectors([0; 4]);
    // SAFETY: 0 is canonical, and the kernel does not use FS.
    unsafe { cpu::write_msr(FS_BASE, 0) };
    // SAFETY: as for FS.
    unsafe { cpu::write_msr(GS_BASE, 0) };
}

fn load_selectors([ds, es, fs, gs]: [u16; 4]) {
    // SAFETY: a null selector, or one that ring 3 loaded from the GDT, which never changes: it
    // loads again. In 64-bit mode DS and ES have no effect, and the kernel uses no FS or GS.
    unsafe { DS::set_reg(SegmentSelector(ds)) };
    // SAFETY: as for DS.
    unsafe { ES::set_reg(SegmentSelector(es)) };
    // SAFETY: as for DS.
    unsafe { FS::set_reg(SegmentSelector(fs)) };
    // SAFETY: as for DS.
    unsafe { GS::set_reg(SegmentSelector(gs)) };
}

/// A place for the RSP of a thread that will never go on.
pub(crate) fn nowhere() -> *mut u64 {
    static mut NOWHERE: u64 = 0;
    ptr::addr_of_mut!(NOWHERE)
}

/// Lets ring 3 use SSE, and SYSCALL, which enters at `entry` with the flags in `mask` cleared.
pub(crate) fn enable(entry: u64, mask: u64) {
    use x86_64::registers::control::{Cr0, Cr0Flags, Cr4, Cr4Flags, Efer, EferFlags};
    // SAFETY: every x86-64 CPU has an FPU and SSE; the kernel itself uses neither, and each
    // thread's state is saved and restored at every switch.
    unsafe {
        Cr0::update(|cr0| {
            cr0.remove(Cr0Flags::EMULATE_COPROCESSOR | Cr0Flags::TASK_SWITCHED);
            cr0.insert(Cr0Flags::MONITOR_COPROCESSOR | Cr0Flags::NUMERIC_ERROR);
        });
    }
    let mut bits = Cr4Flags::OSFXSR | Cr4Flags::OSXMMEXCPT_ENABLE;
    bits.set(Cr4Flags::FSGSBASE, super::features::get().fsgsbase);
    // SAFETY: OSFXSR and OSXMMEXCPT are part of x86-64, FSGSBASE is gated by CPUID; bases that
    // ring 3 sets by it are saved with its state.
    unsafe { Cr4::update(|cr4| cr4.insert(bits)) };
    // STAR: SYSCALL takes CS = 0x08 and SS = 0x10. The high half is SYSRET's, which is not used.
    for (register, value) in [
        (0xc000_0081, 0x0010_0008 << 32),
        (0xc000_0082, entry),
        (0xc000_0084, mask),
    ] {
        // SAFETY: STAR, LSTAR and FMASK are part of long mode; `entry` is kernel code.
        unsafe { cpu::write_msr(register, value) };
    }
    // SAFETY: SCE is part of long mode, and LSTAR leads to our entry now.
    unsafe { Efer::update(|efer| efer.insert(EferFlags::SYSTEM_CALL_EXTENSIONS)) };
}
