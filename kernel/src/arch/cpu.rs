//! Control registers, model-specific registers, RFLAGS and HLT, one function each.

use core::arch::{asm, global_asm};

use super::features::Features;
use machine::PhysAddr;
use x86_64::registers::control::{Cr0, Cr0Flags, Cr4, Cr4Flags, Efer};
use x86_64::registers::model_specific::Msr;

/// IA32_PAT, which turns a page's PAT, PCD and PWT bits into a memory type.
pub(crate) const IA32_PAT: u32 = 0x277;

/// Stops taking maskable interrupts; true if they were being taken.
pub(crate) fn interrupts_off() -> bool {
    let were_on = x86_64::instructions::interrupts::are_enabled();
    x86_64::instructions::interrupts::disable();
    were_on
}

/// Whether maskable interrupts are taken.
pub(crate) fn interrupts_are_on() -> bool {
    x86_64::instructions::interrupts::are_enabled()
}

/// Takes maskable interrupts again.
pub(crate) fn interrupts_on() {
    x86_64::instructions::interrupts::enable();
}

/// Runs `body` with maskable interrupts off, and puts IF back as it was.
pub(crate) fn without_interrupts<R>(body: impl FnOnce() -> R) -> R {
    x86_64::instructions::interrupts::without_interrupts(body)
}

/// Takes interrupts and sleeps until the next one, without a gap between the two.
///
/// Called with interrupts off after finding nothing to do: STI delays them by one
/// instruction, so one that is already waiting still ends the HLT.
pub(crate) fn sleep_until_interrupt() {
    x86_64::instructions::interrupts::enable_and_hlt();
}

/// Never returns and never wakes up, but for NMI and machine checks.
pub(crate) fn halt() -> ! {
    loop {
        x86_64::instructions::interrupts::disable();
        x86_64::instructions::hlt();
    }
}

/// The time-stamp counter.
pub(crate) fn cycles() -> u64 {
    // SAFETY: RDTSC reads a counter and nothing else; CR4.TSD is clear and we are in ring 0.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// Says in the unwind table of the function that this is in, from here on, that nobody called it: a walk
/// up the stack ends there, instead of at an address nobody has.
#[inline(always)]
pub(crate) fn nobody_called() {
    // SAFETY: no instruction, only a line for the table.
    unsafe {
        asm!(
            ".cfi_undefined rip",
            options(nomem, nostack, preserves_flags)
        )
    };
}

/// RSP here.
#[inline(always)]
pub(crate) fn rsp() -> u64 {
    let value: u64;
    // SAFETY: reads a register.
    unsafe { asm!("mov {}, rsp", out(reg) value, options(nomem, nostack, preserves_flags)) };
    value
}

/// CR3 as it is, low bits included.
pub(crate) fn cr3() -> u64 {
    let value: u64;
    // SAFETY: reading CR3 in ring 0 has no side effect.
    unsafe { asm!("mov {}, cr3", out(reg) value, options(nomem, nostack, preserves_flags)) };
    value
}

// A function of its own, so that the address of the instruction after the load is known: it is
// the first thing that the new tables must map.
global_asm!(
    r#"
    .pushsection .text.ringwalk_load_cr3, "ax", @progbits
    .global ringwalk_load_cr3
ringwalk_load_cr3:
    movq %rdi, %cr3
    .global ringwalk_cr3_loaded
ringwalk_cr3_loaded:
    ret
    .popsection
    "#,
    options(att_syntax)
);

unsafe extern "C" {
    fn ringwalk_load_cr3(root: u64);
    static ringwalk_cr3_loaded: u8;
}

/// The address of the first instruction that runs in the tables just loaded.
pub(crate) fn after_cr3_load() -> u64 {
    &raw const ringwalk_cr3_loaded as u64
}

/// Makes the tables at `root` the ones in use, and with that drops every cached translation.
///
/// # Safety
///
/// Until the next load, the tables at `root` must map, at the addresses they have now:
/// the code that runs next, the current stack, the descriptor tables, and everything the
/// kernel reaches through a reference it is holding.
pub(crate) unsafe fn load_cr3(root: PhysAddr) {
    // SAFETY: the caller promises that what runs next is mapped, the stack with the return
    // address included. A call is opaque to the compiler: memory may differ after it.
    unsafe { ringwalk_load_cr3(root.0) };
}

/// As [`load_cr3`], without a call: for where the page with its code may be what is missing.
///
/// # Safety
///
/// As of [`load_cr3`].
#[inline(always)]
pub(crate) unsafe fn load_cr3_here(root: PhysAddr) {
    // SAFETY: the caller promises that what runs next is mapped.
    unsafe { asm!("mov cr3, {}", in(reg) root.0, options(nostack, preserves_flags)) };
}

/// Drops the cached translation of one page on this CPU.
pub(crate) fn flush_page(va: machine::VirtAddr) {
    // SAFETY: INVLPG only forgets; the next access reads the tables again.
    unsafe { asm!("invlpg [{}]", in(reg) va.0, options(nostack, preserves_flags)) };
}

/// Drops every cached translation on this CPU, those of global pages included.
pub(crate) fn flush_all() {
    let cr4 = Cr4::read();
    if cr4.contains(Cr4Flags::PAGE_GLOBAL) {
        // SAFETY: without PGE no page is global, and nothing else changes; changing the bit
        // drops all translations (SDM, "Operations that Invalidate TLBs").
        unsafe { Cr4::write(cr4 & !Cr4Flags::PAGE_GLOBAL) };
        // SAFETY: as it was.
        unsafe { Cr4::write(cr4) };
    } else {
        // SAFETY: the same tables again, so what was mapped a moment ago still is.
        unsafe { load_cr3(PhysAddr(cr3())) };
    }
}

/// CR2, the address of the last page fault.
pub(crate) fn cr2() -> u64 {
    let value: u64;
    // SAFETY: reading CR2 in ring 0 has no side effect.
    unsafe { asm!("mov {}, cr2", out(reg) value, options(nomem, nostack, preserves_flags)) };
    value
}

/// Puts an address back into CR2.
pub(crate) fn set_cr2(value: u64) {
    // SAFETY: the CPU never reads CR2; it only holds the last address.
    unsafe { asm!("mov cr2, {}", in(reg) value, options(nomem, nostack, preserves_flags)) };
}

/// CR8, the task priority.
pub(crate) fn cr8() -> u64 {
    let value: u64;
    // SAFETY: reading CR8 in ring 0 has no side effect.
    unsafe { asm!("mov {}, cr8", out(reg) value, options(nomem, nostack, preserves_flags)) };
    value
}

/// CR0, all 64 bits.
pub(crate) fn cr0() -> u64 {
    Cr0::read_raw()
}

/// CR4, all 64 bits.
pub(crate) fn cr4() -> u64 {
    Cr4::read_raw()
}

/// IA32_EFER, all 64 bits.
pub(crate) fn efer() -> u64 {
    Efer::read_raw()
}

/// Sets CR0.WP, so that the kernel too obeys read-only pages.
pub(crate) fn set_write_protect() {
    // SAFETY: WP forbids ring-0 writes to read-only pages; the kernel makes none, its image
    // is mapped with the rights of its segments. No other bit changes.
    unsafe { Cr0::update(|bits| bits.insert(Cr0Flags::WRITE_PROTECT)) };
}

/// Sets SMEP, SMAP, UMIP and MCE in CR4, each only where `features` has it.
pub(crate) fn enable_cr4(wanted: Cr4Flags, features: &Features) {
    let mut offered = Cr4Flags::empty();
    offered.set(
        Cr4Flags::SUPERVISOR_MODE_EXECUTION_PROTECTION,
        features.smep,
    );
    offered.set(Cr4Flags::SUPERVISOR_MODE_ACCESS_PREVENTION, features.smap);
    offered.set(Cr4Flags::USER_MODE_INSTRUCTION_PREVENTION, features.umip);
    offered.set(Cr4Flags::MACHINE_CHECK_EXCEPTION, features.mce);
    // SAFETY: masked with what CPUID offers, so no bit is reserved. The kernel maps nothing
    // with USER in its half, so SMEP and SMAP forbid nothing it does; UMIP concerns ring 3; and
    // #MC has a gate, with a stack of its own.
    unsafe { Cr4::update(|cr4| cr4.insert(wanted & offered)) };
}

/// Reads a model-specific register.
///
/// # Safety
///
/// The register must exist on this CPU: RDMSR of an unknown one is #GP.
pub(crate) unsafe fn read_msr(register: u32) -> u64 {
    // SAFETY: the caller promises that the register exists.
    unsafe { Msr::new(register).read() }
}

/// Writes a model-specific register.
///
/// # Safety
///
/// The register must exist and take the value, and the kernel must be ready for what it changes.
pub(crate) unsafe fn write_msr(register: u32, value: u64) {
    // SAFETY: the caller's promise.
    unsafe { Msr::new(register).write(value) };
}

/// Sets IA32_PAT: field `index` becomes write-combining, the others as at power-on.
/// Returns the new value. Only for a field that no page in use selects.
pub(crate) fn set_write_combining(index: u8) -> u64 {
    let shift = u32::from(index & 7) * 8;
    let pat = machine::MemoryType::POWER_ON_PAT & !(0xff << shift) | 1 << shift;
    // SAFETY: every x86-64 CPU has the PAT, 1 is a valid type, and changing a field that no
    // entry selects changes no access.
    unsafe { Msr::new(IA32_PAT).write(pat) };
    pat
}
