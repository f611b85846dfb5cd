//! Where whoever looks from outside finds everything: `exported` says what there is.
//!
//! A page of its own begins with a beacon, which leads to the header. Both are written once, at the
//! end of boot; what they lead to is the kernel's own.

use core::sync::atomic::{AtomicU64, Ordering, fence};

use exported::{Beacon, Header, List, MAGIC, Name, Paging, Record as _, VERSION};
use spin::Once;

use crate::memory::{frames, layout, master, physmap, snapshots, stacks};
use crate::process::{self, COPY_ON_WRITE, ramdisk};
use crate::{debugger, events, faults, image, target};

/// The words of a [`Beacon`]. Debuggers know it by its name, too.
#[repr(C, align(4096))]
struct Page([AtomicU64; Beacon::BYTES / 8]);

static BEACON: Page = Page([const { AtomicU64::new(0) }; Beacon::BYTES / 8]);
static HEADER: Once<Header> = Once::new();

/// Shows where everything is. Call once all of it has its place.
pub(crate) fn init() {
    let header = HEADER.call_once(header);
    let Some(root) = master::root() else {
        return;
    };
    let words = [
        0,
        0,
        VERSION,
        &raw const BEACON as u64,
        core::ptr::from_ref(header) as u64,
        Header::BYTES as u64,
        root.0,
        target::paging().levels.into(),
    ];
    for (place, word) in BEACON.0.iter().zip(words) {
        place.store(word, Ordering::Relaxed);
    }
    // What carries the magic is complete.
    fence(Ordering::Release);
    for (place, word) in BEACON.0.iter().zip(MAGIC) {
        place.store(word, Ordering::Relaxed);
    }
}

fn header() -> Header {
    let paging = target::paging();
    let (slots, slots_end) = stacks::exported();
    let (processes, current) = process::exported();
    let (faults, newest_fault) = faults::exported();
    let (next_event, _) = events::next();
    let ranges = physmap::ranges();
    let list = |ranges: &[exported::PhysRange]| List {
        at: ranges.as_ptr() as u64,
        count: ranges.len() as u64,
    };
    Header {
        build: Name::new(image::build_id()),
        image: image::base(),
        physmap: physmap::offset(),
        paging: Paging {
            levels: paging.levels.into(),
            phys_bits: paging.phys_bits.into(),
            nxe: paging.nxe.into(),
            gib_pages: paging.gib_pages.into(),
            pat: paging.pat,
        },
        copied_on_write: COPY_ON_WRITE,
        ram: ranges.map_or(List::ZERO, |ranges| list(&ranges.ram)),
        reserved: ranges.map_or(List::ZERO, |ranges| list(&ranges.reserved)),
        devices: physmap::devices(),
        regions: layout::exported(),
        frames: frames::exported(),
        kernel_stacks: stacks::KERNEL_PLACES,
        slots,
        slots_end,
        ist_stacks: stacks::IST_PLACES,
        unused: stacks::UNUSED.into(),
        user_stack: exported::Stack {
            bottom: process::STACK_TOP - process::STACK_BYTES,
            top: process::STACK_TOP,
        },
        processes,
        current,
        events: events::exported(),
        next_event,
        event_cost: events::cost_place(),
        faults,
        newest_fault,
        ramdisk: ramdisk::exported(),
        stop: debugger::exported(),
        snapshots: snapshots::exported(),
        switch: process::switch(),
        world_rsp: debugger::world_rsp_place(),
    }
}
