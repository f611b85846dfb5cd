//! Where the kernel puts things, and the names of what is where.
//!
//! The bootloader places the image, the boot stack, the framebuffer, the physmap and the boot
//! information in the first free slots from 256 on; those addresses are read, never assumed.
//! What the kernel adds has fixed addresses, a PML4 slot each:
//!
//! ```text
//!   slot 400  0xffff_c800_0000_0000  heap
//!   slot 402  0xffff_c900_0000_0000  kernel stacks: guard page + 64 KiB, a stride of 0x11000
//!   slot 403  0xffff_c980_0000_0000  IST stacks: guard page + 16 KiB, a stride of 0x5000
//! ```

use machine::VirtAddr;
use shell::Region;
use spin::{Mutex, MutexGuard, Once};

/// The first canonical address of the upper half, and of PML4 slot 256.
pub(crate) const UPPER_HALF: u64 = 0xffff_8000_0000_0000;
/// The kernel heap.
pub(crate) const HEAP: u64 = 0xffff_c800_0000_0000;
/// Heap size; all of it is backed at boot.
pub(crate) const HEAP_BYTES: u64 = 8 << 20;
/// The kernel stacks.
pub(crate) const KERNEL_STACKS: u64 = 0xffff_c900_0000_0000;
/// The part of the kernel stack region whose tables exist from boot on: PD entries 0 to 7.
pub(crate) const KERNEL_STACK_WINDOW: u64 = 16 << 20;
/// From one kernel stack's guard page to the next.
pub(crate) const KERNEL_STACK_STRIDE: u64 = 0x1_1000;
/// The usable part of a kernel stack.
pub(crate) const KERNEL_STACK_BYTES: u64 = 64 << 10;
/// The IST stacks.
pub(crate) const IST_STACKS: u64 = 0xffff_c980_0000_0000;
/// From one IST stack's guard page to the next.
pub(crate) const IST_STACK_STRIDE: u64 = 0x5000;
/// The usable part of an IST stack.
pub(crate) const IST_STACK_BYTES: u64 = 16 << 10;
/// A 4 KiB page or frame.
pub(crate) const PAGE: u64 = 4096;

/// How many named regions there can be; more are left out, which costs only their names.
const CAPACITY: usize = 32;

static BUILDING: Mutex<heapless::Vec<Region, CAPACITY>> = Mutex::new(heapless::Vec::new());
static REGIONS: Once<heapless::Vec<Region, CAPACITY>> = Once::new();

/// Adds a named region, `bytes` long. Only during boot.
pub(crate) fn name(first: u64, bytes: u64, name: &'static str) {
    let last = first.wrapping_add(bytes.saturating_sub(1));
    let mut regions = lock();
    // A full table only means that this range prints without a name.
    let _ = regions.push(Region {
        first: VirtAddr(first),
        last: VirtAddr(last),
        name,
    });
}

/// Ends the building: sorts the regions for lookups.
pub(crate) fn finish() {
    let mut regions = lock().clone();
    regions.sort_unstable_by_key(|region| region.first);
    REGIONS.call_once(|| regions);
}

/// The named regions, sorted by address; empty until boot has finished building them.
pub(crate) fn regions() -> &'static [Region] {
    REGIONS.get().map_or(&[], |regions| regions.as_slice())
}

fn lock() -> MutexGuard<'static, heapless::Vec<Region, CAPACITY>> {
    BUILDING.lock()
}
