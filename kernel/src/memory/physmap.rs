//! Physical memory, read and written through its mapping in the upper half.
//!
//! Only RAM is ever touched: the memory map's ranges are kept here, sorted and merged, and an
//! address outside them is an error, since reading a device can change it.

use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bootloader_api::info::{MemoryRegionKind, MemoryRegions};
use machine::{PhysAddr, PhysMemory, ReadError};
use spin::Once;

use super::frames::{self, Owner};

static OFFSET: AtomicU64 = AtomicU64::new(0);
static RANGES: Once<Ranges> = Once::new();

pub(crate) use exported::PhysRange;

/// What the firmware's memory map says, merged.
#[derive(Default)]
pub(crate) struct Ranges {
    /// RAM, sorted, page-aligned inwards.
    pub(crate) ram: heapless::Vec<PhysRange, 64>,
    /// What the firmware reserves or calls a device, sorted.
    pub(crate) reserved: heapless::Vec<PhysRange, 64>,
}

/// Whether a region of this kind is RAM, so that reading it changes nothing.
///
/// UEFI types 5, 6, 9 and 10 are runtime services and ACPI tables; E820 types 3 and 4 are ACPI
/// tables (UEFI, "Memory Type"; ACPI, "Address Range Types"). The rest may be devices.
fn is_ram(kind: MemoryRegionKind) -> bool {
    match kind {
        MemoryRegionKind::Usable | MemoryRegionKind::Bootloader => true,
        MemoryRegionKind::UnknownUefi(tag) => matches!(tag, 5 | 6 | 9 | 10),
        MemoryRegionKind::UnknownBios(tag) => matches!(tag, 3 | 4),
        _ => false,
    }
}

/// Learns where physical memory is mapped and which of it is RAM. Call once, first of all.
pub(crate) fn init(offset: u64, regions: &MemoryRegions) {
    OFFSET.store(offset, Ordering::Relaxed);
    RANGES.call_once(|| {
        let mut ranges = Ranges::default();
        for region in regions.iter() {
            if is_ram(region.kind) {
                let start = region.start.next_multiple_of(4096);
                merge(
                    &mut ranges.ram,
                    PhysRange {
                        start,
                        end: region.end & !0xfff,
                    },
                );
            } else {
                merge(
                    &mut ranges.reserved,
                    PhysRange {
                        start: region.start,
                        end: region.end,
                    },
                );
            }
        }
        ranges
    });
}

/// Adds a range behind the others (the memory map is sorted), joining it to the last if they touch.
fn merge(ranges: &mut heapless::Vec<PhysRange, 64>, range: PhysRange) {
    if range.start >= range.end {
        return;
    }
    if let Some(last) = ranges.last_mut()
        && last.start <= range.start
        && range.start <= last.end
    {
        last.end = last.end.max(range.end);
        return;
    }
    // With more than 64 islands of RAM the rest stays unread and unused, never misread.
    let _ = ranges.push(range);
}

/// The RAM and the reserved ranges; `None` before [`init`].
pub(crate) fn ranges() -> Option<&'static Ranges> {
    RANGES.get()
}

/// Where physical address 0 would be.
pub(crate) fn offset() -> u64 {
    OFFSET.load(Ordering::Relaxed)
}

fn contains(ranges: &[PhysRange], start: u64, bytes: u64) -> bool {
    let Some(end) = start.checked_add(bytes) else {
        return false;
    };
    ranges
        .iter()
        .any(|range| range.start <= start && end <= range.end)
}

/// Whether all of `bytes` from `at` is RAM.
pub(crate) fn is_all_ram(at: PhysAddr, bytes: u64) -> bool {
    RANGES
        .get()
        .is_some_and(|ranges| contains(&ranges.ram, at.0, bytes))
}

/// Where the mapping has this physical address.
fn pointer(at: PhysAddr) -> *mut u8 {
    ptr::with_exposed_provenance_mut(offset().wrapping_add(at.0) as usize)
}

/// Where a PC has its devices, whatever the memory map says: I/O APIC, HPET, local APIC, ROM.
const DEVICES: PhysRange = PhysRange {
    start: 0xfec0_0000,
    end: 1 << 32,
};

static FRAMEBUFFER: Once<PhysRange> = Once::new();

/// Learns where the framebuffer is: a device, too.
pub(crate) fn set_framebuffer(start: PhysAddr, bytes: u64) {
    FRAMEBUFFER.call_once(|| PhysRange {
        start: start.0,
        end: start.0.saturating_add(bytes),
    });
}

/// Where devices are, whatever the memory map says.
pub(crate) fn devices() -> [PhysRange; 2] {
    [DEVICES, FRAMEBUFFER.get().copied().unwrap_or_default()]
}

/// Whether the memory map, the PC's layout or the framebuffer makes this address a device's.
fn is_device(at: PhysAddr) -> bool {
    let reserved = RANGES
        .get()
        .map_or(&[][..], |ranges| ranges.reserved.as_slice());
    let known = FRAMEBUFFER.get().into_iter().chain([&DEVICES]);
    reserved
        .iter()
        .chain(known)
        .any(|range| range.start <= at.0 && at.0 < range.end)
}

/// Fills a RAM frame with zeros; false if it is not RAM.
pub(crate) fn zero_frame(at: PhysAddr) -> bool {
    if !at.0.is_multiple_of(4096) || !is_all_ram(at, 4096) {
        return false;
    }
    // SAFETY: the frame is RAM and the physmap covers all RAM from boot on. The caller just
    // took it from the allocator, so nothing else refers to it.
    unsafe { ptr::write_bytes(pointer(at), 0, 4096) };
    true
}

/// Stores an entry or another 8-byte word in RAM; false if it is not aligned RAM.
///
/// # Safety
///
/// Nothing in the kernel may hold a reference to that word, and if it is a page-table entry
/// in use, what it now maps must be what the kernel relies on (see `tables`).
pub(crate) unsafe fn write_u64(at: PhysAddr, value: u64) -> bool {
    if !at.0.is_multiple_of(8) || !is_all_ram(at, 8) {
        return false;
    }
    // SAFETY: aligned RAM, covered by the physmap; the caller vouches for its use. Volatile,
    // since the CPU reads entries behind the compiler's back.
    unsafe { ptr::write_volatile(pointer(at).cast::<u64>(), value) };
    true
}

/// Copies bytes into one user frame, from `offset` on; false if they do not fit or it is not one.
pub(crate) fn write_user_frame(frame: PhysAddr, offset: usize, bytes: &[u8]) -> bool {
    let fits = offset
        .checked_add(bytes.len())
        .is_some_and(|end| end <= 4096);
    if !fits || !frame.0.is_multiple_of(4096) || !frames::is_owned_by(frame, Owner::User) {
        return false;
    }
    let to = pointer(frame).wrapping_add(offset);
    // SAFETY: inside one RAM frame that belongs to a process; the kernel never holds a
    // reference into user frames, so nothing aliases `to`, and `bytes` lies elsewhere.
    unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
    true
}

/// Stores a byte in RAM for a person who asked for it; false if it is not RAM.
pub(crate) fn write_byte(at: PhysAddr, byte: u8) -> bool {
    if !is_all_ram(at, 1) {
        return false;
    }
    // SAFETY: RAM, which the physmap covers. Only the debugger stores here, where a person told it
    // to, or to undo what its own step stored; the world does not run meanwhile, and what it makes
    // of the new value is what the person wanted to see. Volatile: the world reads it later.
    unsafe { ptr::write_volatile(pointer(at), byte) };
    true
}

/// Fills a frame of a kernel stack that nobody uses yet with one byte value.
pub(crate) fn fill_stack_frame(frame: PhysAddr, value: u8) {
    let is_stack = frames::is_owned_by(frame, Owner::KernelStack)
        || frames::is_owned_by(frame, Owner::IstStack);
    if is_stack && frame.0.is_multiple_of(4096) {
        // SAFETY: one RAM frame, taken for a stack that is not mapped yet.
        unsafe { ptr::write_bytes(pointer(frame), value, 4096) };
    }
}

/// Copies one whole user frame to another; false if either is none.
pub(crate) fn copy_user_frame(from: PhysAddr, to: PhysAddr) -> bool {
    let is_user =
        |frame: PhysAddr| frame.0.is_multiple_of(4096) && frames::is_owned_by(frame, Owner::User);
    if from == to || !is_user(from) || !is_user(to) {
        return false;
    }
    // SAFETY: two different RAM frames that belong to processes; no reference into either.
    unsafe { ptr::copy_nonoverlapping(pointer(from), pointer(to), 4096) };
    true
}

/// Copies a whole frame of RAM, whatever it is, into one of a snapshot; false if that cannot be.
pub(crate) fn copy_table(from: PhysAddr, to: PhysAddr) -> bool {
    let is_good = from != to
        && from.0.is_multiple_of(4096)
        && is_all_ram(from, 4096)
        && frames::is_owned_by(to, Owner::Snapshot);
    for offset in (0..4096).step_by(8).filter(|_| is_good) {
        // SAFETY: aligned RAM that the physmap covers. Volatile, as the CPU may be setting bits
        // in the entry.
        let entry = unsafe { ptr::read_volatile(pointer(from).wrapping_add(offset).cast::<u64>()) };
        // SAFETY: inside one RAM frame that belongs to a snapshot, and nobody holds a reference
        // into those.
        unsafe { ptr::write_volatile(pointer(to).wrapping_add(offset).cast::<u64>(), entry) };
    }
    is_good
}

/// Hands out a range of RAM as bytes, once and for ever: the frame allocator's own books.
/// `None` if it is not RAM, or if the one slice has been handed out already.
pub(crate) fn take_for_ever(at: PhysAddr, bytes: u64) -> Option<&'static mut [u8]> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    let length = usize::try_from(bytes).ok()?;
    if !is_all_ram(at, bytes) || TAKEN.swap(true, Ordering::Relaxed) {
        return None;
    }
    // SAFETY: RAM, which the physmap covers for ever, and this branch runs once. The caller
    // picks it from usable memory before any frame is handed out, and then marks it as taken.
    Some(unsafe { core::slice::from_raw_parts_mut(pointer(at), length) })
}

/// Reads physical memory; see [`PhysMemory`].
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LiveMemory;

impl PhysMemory for LiveMemory {
    fn read(&mut self, at: PhysAddr, buffer: &mut [u8]) -> Result<(), ReadError> {
        let bytes = buffer.len() as u64;
        if !is_all_ram(at, bytes) {
            return Err(if is_device(at) {
                ReadError::Device { at }
            } else {
                ReadError::NoMemory { at }
            });
        }
        for (index, byte) in buffer.iter_mut().enumerate() {
            // SAFETY: inside the range checked above, which the physmap covers. Volatile: the
            // memory may be in use by anybody, the CPU's table walker included.
            *byte = unsafe { ptr::read_volatile(pointer(at).wrapping_add(index)) };
        }
        Ok(())
    }

    fn read_u64(&mut self, at: PhysAddr) -> Result<u64, ReadError> {
        if !at.0.is_multiple_of(8) || !is_all_ram(at, 8) {
            let mut bytes = [0; 8];
            self.read(at, &mut bytes)?;
            return Ok(u64::from_le_bytes(bytes));
        }
        // SAFETY: aligned RAM that the physmap covers; one volatile load, so that an entry the
        // CPU is updating is read whole.
        Ok(unsafe { ptr::read_volatile(pointer(at).cast::<u64>()) })
    }
}
