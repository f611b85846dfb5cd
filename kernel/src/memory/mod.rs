//! Physical frames, the page tables, and what lies where.

pub(crate) mod edits;
pub(crate) mod frames;
#[expect(unsafe_code, reason = "gives the allocator the pages it hands out")]
pub(crate) mod heap;
pub(crate) mod layout;
#[expect(unsafe_code, reason = "loads the master root it has built")]
pub(crate) mod master;
#[expect(
    unsafe_code,
    reason = "the one place that dereferences physical addresses"
)]
pub(crate) mod physmap;
pub(crate) mod scratch;
pub(crate) mod snapshots;
pub(crate) mod stacks;
pub(crate) mod tables;
