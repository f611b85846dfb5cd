//! The GDT, the TSS and the IDT, and loading them.
//!
//! ```text
//!   0x00 null   0x08 kernel code   0x10 kernel data   0x18 user data   0x20 user code   0x28 TSS
//!   0x38 user code, not present    0x40 user data, not present   0x48 kernel data, not present
//! ```
//!
//! User data comes before user code because SYSRET takes SS = STAR[63:48]+8 and CS = +16.
//! #DF, NMI, #MC and #DB each run on an IST stack of their own; #PF has none, since a second
//! one on the same IST would overwrite the first.

use core::arch::asm;
use core::ptr;

use spin::Once;
use x86_64::VirtAddr as HardwareAddr;
use x86_64::instructions::segmentation::{CS, DS, ES, FS, GS, SS, Segment};
use x86_64::instructions::tables::{lidt, load_tss};
use x86_64::structures::DescriptorTablePointer;
use x86_64::structures::gdt::{Descriptor, GlobalDescriptorTable, SegmentSelector};
use x86_64::structures::tss::TaskStateSegment;

use super::entry;

/// The kernel's code segment.
pub(crate) const KERNEL_CODE: u16 = 0x08;
/// The kernel's data and stack segment.
pub(crate) const KERNEL_DATA: u16 = 0x10;
const TSS_SELECTOR: u16 = 0x28;

/// The user's code segment, with RPL 3.
pub(crate) const USER_CODE: u16 = 0x23;
/// The user's data and stack segment, with RPL 3.
pub(crate) const USER_DATA: u16 = 0x1b;
/// The vector of system calls by `int`.
pub(crate) const SYSTEM_CALL: u8 = 0x80;
/// Vectors that ring 3 may raise with `int`: breakpoint, overflow, system call. Every other
/// one is #GP.
const FROM_RING_3: [u8; 3] = [3, 4, SYSTEM_CALL];

/// Vectors with an IST stack: vector, IST slot (1-7) and what the stack is called.
pub(crate) const IST_STACKS: [(u8, u8, &str); 4] = [
    (8, 1, exported::IST_NAMES[0]),
    (2, 2, exported::IST_NAMES[1]),
    (18, 3, exported::IST_NAMES[2]),
    (1, 4, exported::IST_NAMES[3]),
];

/// A 16-byte interrupt gate. SDM, "64-Bit Mode IDT".
#[derive(Clone, Copy)]
#[repr(C, align(16))]
struct Gate {
    offset_low: u16,
    selector: u16,
    ist: u8,
    /// Present, DPL, type 14: a 64-bit interrupt gate, which clears IF.
    attributes: u8,
    offset_middle: u16,
    offset_high: u32,
    reserved: u32,
}

impl Gate {
    const ABSENT: Gate = Gate {
        offset_low: 0,
        selector: 0,
        ist: 0,
        attributes: 0,
        offset_middle: 0,
        offset_high: 0,
        reserved: 0,
    };

    #[expect(
        clippy::cast_possible_truncation,
        reason = "the offset is split over three fields"
    )]
    fn interrupt(handler: u64, ist: u8, dpl: u8) -> Gate {
        Gate {
            offset_low: handler as u16,
            selector: KERNEL_CODE,
            ist,
            attributes: 0x8e | dpl << 5,
            offset_middle: (handler >> 16) as u16,
            offset_high: (handler >> 32) as u32,
            reserved: 0,
        }
    }
}

#[repr(C, align(4096))]
struct OwnPage(TaskStateSegment);

static GDT: Once<GlobalDescriptorTable<16>> = Once::new();
/// The user's code and data segments with P clear: what `iretq` shows #NP with; and the kernel's, with
/// which `crash` shows #SS. They are used for nothing else.
const ABSENT_CODE: u64 = 0x00af_7b00_0000_ffff;
const ABSENT_DATA: u64 = 0x00cf_7300_0000_ffff;
const ABSENT_STACK: u64 = 0x00cf_1300_0000_ffff;
/// The selector of the second one.
pub(crate) const NOT_PRESENT_DATA: u16 = 0x40;
/// The selector of the third one.
pub(crate) const NOT_PRESENT_STACK: u16 = 0x48;
/// Alone on its page, so that one can try what comes when that is not mapped.
static mut TSS: OwnPage = OwnPage(TaskStateSegment::new());
static mut IDT: [Gate; 256] = [Gate::ABSENT; 256];

/// Loads our GDT, TSS and IDT, still without IST stacks, so that a fault in the rest of boot
/// is reported instead of resetting the machine. Call once, with interrupts off.
pub(crate) fn load() {
    let tss = (&raw const TSS).cast::<TaskStateSegment>();
    // SAFETY: the descriptor keeps only the address, and the TSS is never moved or dropped.
    let tss_descriptor = unsafe { Descriptor::tss_segment_unchecked(tss) };
    let gdt = GDT.call_once(|| {
        let mut gdt = GlobalDescriptorTable::<16>::empty();
        gdt.append(Descriptor::kernel_code_segment());
        gdt.append(Descriptor::kernel_data_segment());
        gdt.append(Descriptor::user_data_segment());
        gdt.append(Descriptor::user_code_segment());
        gdt.append(tss_descriptor);
        gdt.append(Descriptor::UserSegment(ABSENT_CODE));
        gdt.append(Descriptor::UserSegment(ABSENT_DATA));
        gdt.append(Descriptor::UserSegment(ABSENT_STACK));
        gdt
    });
    gdt.load();
    let data = SegmentSelector(KERNEL_DATA);
    // SAFETY: selector 0x08 is the 64-bit DPL-0 code segment of the table just loaded.
    unsafe { CS::set_reg(SegmentSelector(KERNEL_CODE)) };
    // SAFETY: selector 0x10 is the writable DPL-0 data segment of the table just loaded.
    unsafe { SS::set_reg(data) };
    // SAFETY: as for SS.
    unsafe { DS::set_reg(data) };
    // SAFETY: as for SS.
    unsafe { ES::set_reg(data) };
    // SAFETY: a null selector in FS is allowed in 64-bit mode; the kernel does not use FS.
    unsafe { FS::set_reg(SegmentSelector(0)) };
    // SAFETY: as for FS.
    unsafe { GS::set_reg(SegmentSelector(0)) };
    // SAFETY: selector 0x28 is an available 64-bit TSS in the table just loaded, loaded once.
    unsafe { load_tss(SegmentSelector(TSS_SELECTOR)) };
    // What a reset leaves in LDTR is a usable table at address 0.
    // SAFETY: a null selector makes every reference to the LDT a #GP; nobody has one.
    unsafe { asm!("lldt {:x}", in(reg) 0u16, options(nostack, preserves_flags)) };
    for vector in 0..=255u8 {
        set_gate(vector, 0);
    }
    let pointer = DescriptorTablePointer {
        limit: (size_of::<[Gate; 256]>() - 1) as u16,
        base: HardwareAddr::new(&raw const IDT as u64),
    };
    // SAFETY: the table is static, and all 256 gates lead to stubs that save and restore all.
    unsafe { lidt(&pointer) };
}

/// Gives the vectors of [`IST_STACKS`] their stacks: `tops[i]` belongs to row i.
/// Call with interrupts off, once the stacks are mapped in the tables in use.
pub(crate) fn use_ist_stacks(tops: [u64; IST_STACKS.len()]) {
    for (&(vector, slot, _), top) in IST_STACKS.iter().zip(tops) {
        let index = usize::from(slot) - 1;
        // SAFETY: `index` is 0 to 3 by the table above, inside the array of seven.
        let field = unsafe { &raw mut TSS.0.interrupt_stack_table[index] };
        // SAFETY: the TSS is ours and boot is single-threaded; the CPU reads it when a vector
        // with this IST arrives, which no gate asks for before the line below. The TSS is
        // packed, hence the unaligned write.
        unsafe { ptr::write_unaligned(field, HardwareAddr::new(top)) };
        set_gate(vector, slot);
    }
}

/// Sets the stack that the CPU, and SYSCALL's entry, switch to on the way in from ring 3. Returns
/// the one before.
pub(crate) fn set_rsp0(top: u64) -> u64 {
    // SAFETY: only the address of the field is taken.
    let field = unsafe { &raw mut TSS.0.privilege_stack_table[0] };
    // SAFETY: our own TSS; the read races with nobody, there is one CPU.
    let old = unsafe { ptr::read_unaligned(field) };
    // SAFETY: an 8-byte store to our TSS; the CPU reads it only on a change from ring 3, which
    // cannot happen in the middle of this function.
    unsafe { ptr::write_unaligned(field, HardwareAddr::new(top)) };
    entry::set_system_call_stack(top);
    old.as_u64()
}

/// Where RSP0 is in the TSS.
pub(crate) const RSP0_OFFSET: u64 = 4;

/// Where the TSS is, and its bytes.
pub(crate) fn tss_place() -> (u64, u64) {
    (&raw const TSS as u64, size_of::<TaskStateSegment>() as u64)
}

/// The stack that the CPU switches to on the way in from ring 3.
pub(crate) fn rsp0() -> u64 {
    // SAFETY: only the address of the field is taken.
    let field = unsafe { &raw const TSS.0.privilege_stack_table[0] };
    // SAFETY: our own TSS; the read races with nobody, there is one CPU.
    unsafe { ptr::read_unaligned(field) }.as_u64()
}

/// Says whether the gate of a vector without an IST stack, and not for ring 3, is present. Call with
/// interrupts off.
pub(crate) fn set_gate_present(vector: u8, is_present: bool) {
    const PRESENT: u8 = 1 << 7;
    let mut gate = Gate::interrupt(entry::stub(vector), 0, 0);
    if !is_present {
        gate.attributes &= !PRESENT;
    }
    write_gate(vector, gate);
}

fn set_gate(vector: u8, ist: u8) {
    let dpl = if FROM_RING_3.contains(&vector) { 3 } else { 0 };
    write_gate(vector, Gate::interrupt(entry::stub(vector), ist, dpl));
}

fn write_gate(vector: u8, new: Gate) {
    // `vector` is a u8, so the gate is one of the 256.
    let gate = (&raw mut IDT)
        .cast::<Gate>()
        .wrapping_add(usize::from(vector));
    // SAFETY: in bounds, and interrupts are off while gates change (callers' promise), so the
    // CPU does not read a half-written one.
    unsafe { ptr::write_volatile(gate, new) };
}
