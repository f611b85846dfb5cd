//! The kernel heap: a fixed range, backed at boot, handed to the allocator.
//!
//! Fault paths never allocate. Interrupt handlers never allocate either, so the lock is only
//! ever taken by code that can be waited for.

use talc::TalcLock;
use talc::source::Manual;

use super::layout;

#[global_allocator]
static HEAP: TalcLock<spin::Mutex<()>, Manual> = TalcLock::new(Manual);

/// Hands the mapped heap range to the allocator. Call once, when the range is mapped.
pub(crate) fn init() -> Result<(), &'static str> {
    let base = core::ptr::with_exposed_provenance_mut(layout::HEAP as usize);
    let bytes = usize::try_from(layout::HEAP_BYTES).unwrap_or(0);
    // SAFETY: boot has mapped the range, writable, for the heap alone, and calls this once.
    unsafe { HEAP.lock().claim(base, bytes) }
        .map(|_| ())
        .ok_or("the heap was refused")
}
