//! x86-64 as plain values, and the questions one may ask of it.
//!
//! Come here to learn what a page-table entry means, where an address leads, what a whole
//! set of tables maps, or what a descriptor or a control register says. Everything works
//! from a way to read physical memory ([`PhysMemory`]) and a root, so it is the same in a
//! running kernel, from outside, and in a test on a machine made of maps.
//!
//! Nothing here allocates, recurses, touches the CPU or writes memory, and nothing panics
//! on what it finds: broken tables are what people bring. The four answers *not present*,
//! *malformed*, *could not be read* and *not canonical* are kept apart in the types.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(any(test, feature = "simulated"))]
extern crate std;

mod access;
mod address;
pub mod bits;
mod capture;
mod cause;
pub mod check;
pub mod delivery;
mod descriptors;
pub mod deviations;
mod diff;
mod entries;
mod entry;
pub mod iret;
mod item;
mod leaves;
mod level;
mod memory;
mod memory_type;
mod paging;
mod paths;
mod plan;
pub mod raised;
mod range;
mod registers;
mod rights;
mod runs;
mod segments;
mod sides;
#[cfg(any(test, feature = "simulated"))]
mod simulated;
mod situation;
mod tables;
pub mod transition;
pub mod vectors;
mod virt;
mod walk;

#[cfg(test)]
mod properties;

pub use access::{Access, AccessKind, Controls, Verdict, Why, judge};
pub use address::{PhysAddr, VirtAddr};
pub use bits::{BitField, BitNames, BitTable};
pub use capture::{Captured, Met, capture};
pub use cause::{Cause, Code, Fault, Named, Refused, SelectorError, SelectorTable, Special, cause};
pub use descriptors::{Gate, GateKind, Selector, Tss64};
pub use diff::{
    Compared, Diff, DiffOptions, DiffRow, Differences, PageCounts, Place, Slots, diff, diff_sides,
};
pub use entries::{Entries, EntryItem, Present};
pub use entry::{Entry, Kind};
pub use item::{Hole, HoleWhy, Item, Leaf, Progress};
pub use leaves::{Leaves, leaves};
pub use level::{Level, PageSize};
pub use memory::{PhysMemory, ReadError};
pub use memory_type::MemoryType;
pub use paging::Paging;
pub use paths::{Node, Path, Paths};
pub use plan::{
    EntryWrite, Mapping, Plan, PlanError, TableFrames, plan_map, plan_replace, plan_tables,
};
pub use raised::Raised;
pub use range::Range;
pub use registers::{Registers, TablePointer};
pub use rights::{Right, Rights};
pub use runs::{Filter, Merge, Row, Run, Runs, runs};
pub use segments::{Segment, SegmentKind};
pub use sides::{Side, SideBySide};
#[cfg(any(test, feature = "simulated"))]
pub use simulated::Simulated;
pub use situation::{Missed, NoDescriptor, Situation};
pub use tables::{Table, TableItem, Tables};
pub use vectors::VectorKind;
pub use virt::{VirtError, read_virt};
pub use walk::{End, Step, Walk, walk};
