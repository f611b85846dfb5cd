//! Where the kernel puts things, and the names of what is where.
//!
//! The bootloader places the image, the boot stack, the framebuffer, the physmap and the boot
//! information in the first free slots from 256 on; those addresses are read, never assumed.
//! What the kernel adds has fixed addresses, a PML4 slot each:
//!
//! ```text
//!   slot 400  0xffff_c800_0000_0000  heap
//!   slot 402  0xffff_c900_0000_0000  kernel stacks: guard page + 64 KiB, a stride of 0x11000
//!   slot 403  0xffff_c980_0000_0000  IST stacks: guard page + 32 KiB, a stride of 0x9000
//! ```

use exported::{List, Record as _};
use machine::{Rights, VirtAddr};
use shell::{Place, Region};
use spin::{Mutex, MutexGuard, Once};

use super::{physmap, stacks};

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
pub(crate) const IST_STACK_STRIDE: u64 = 0x9000;
/// The usable part of an IST stack.
pub(crate) const IST_STACK_BYTES: u64 = 32 << 10;
/// A 4 KiB page or frame.
pub(crate) const PAGE: u64 = 4096;

/// How many named regions there can be; more are left out, which costs only their names.
const CAPACITY: usize = 32;

/// A region, and what there should be in it.
#[derive(Clone, Copy)]
struct Named {
    region: Region,
    holds: Holds,
}

/// What there should be in a region.
pub(crate) use exported::Holds;

static BUILDING: Mutex<heapless::Vec<Named, CAPACITY>> = Mutex::new(heapless::Vec::new());
static REGIONS: Once<heapless::Vec<Region, CAPACITY>> = Once::new();
/// In the order of the regions.
static HELD: Once<heapless::Vec<Holds, CAPACITY>> = Once::new();
/// All of it, for whoever looks from outside.
static EXPORTED: Once<heapless::Vec<exported::Region, CAPACITY>> = Once::new();

/// What pages with code must allow.
pub(crate) const CODE: Rights = Rights {
    execute: true,
    ..Rights::NONE
};
/// What pages with data must allow.
pub(crate) const DATA: Rights = Rights {
    write: true,
    ..Rights::NONE
};
/// What pages with constants must allow.
pub(crate) const CONSTANTS: Rights = Rights::NONE;

/// Adds a named region, `bytes` long, whose pages are to have these rights. Only during boot.
pub(crate) fn name(first: u64, bytes: u64, name: &'static str, holds: Holds, rights: Rights) {
    let last = first.wrapping_add(bytes.saturating_sub(1));
    let region = Region {
        first: VirtAddr(first),
        last: VirtAddr(last),
        name,
        rights: Some(rights),
    };
    // A full table only means that this range prints without a name.
    let _ = lock().push(Named { region, holds });
}

/// Ends the building: sorts the regions for lookups.
pub(crate) fn finish() {
    let mut named = lock().clone();
    named.sort_unstable_by_key(|named| named.region.first);
    REGIONS.call_once(|| named.iter().map(|named| named.region).collect());
    HELD.call_once(|| named.iter().map(|named| named.holds).collect());
    EXPORTED.call_once(|| {
        let regions = named.iter();
        regions
            .map(|named| exported::Region::new(&named.region, named.holds))
            .collect()
    });
}

/// Where whoever looks from outside finds the regions.
pub(crate) fn exported() -> List {
    EXPORTED.get().map_or(List::ZERO, |regions| List {
        at: regions.as_ptr() as u64,
        count: regions.len() as u64,
    })
}

/// The named regions, sorted by address; empty until boot has finished building them.
pub(crate) fn regions() -> &'static [Region] {
    REGIONS.get().map_or(&[], |regions| regions.as_slice())
}

/// What there should be in the page of an address.
pub(crate) fn place(va: VirtAddr) -> Place {
    if let Some(stack) = stacks::place_at(va.0) {
        return Place::Stack(stack);
    }
    let page = va.0 & !(PAGE - 1);
    let touches = |region: &Region| region.first.0 <= page | (PAGE - 1) && page <= region.last.0;
    let held = HELD.get().into_iter().flatten();
    let mut named = regions().iter().zip(held);
    let found = named.find(|(region, _)| touches(region));
    found.map_or(Place::Nothing, |(_, held)| {
        held.place(va, physmap::offset())
    })
}

fn lock() -> MutexGuard<'static, heapless::Vec<Named, CAPACITY>> {
    BUILDING.lock()
}
