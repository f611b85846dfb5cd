//! What the kernel leaves in its memory for whoever looks from outside: a debugger that reads
//! physical memory, be the kernel alive, stopped or dead.
//!
//! These are the kernel's own records where it has them in this form, and copies that are written
//! where the original changes where it does not. Each has C's layout, whatever the compiler. A
//! [`Beacon`] at the beginning of a page leads to the [`Header`], and the header to everything else.
//!
//! Whoever changes anything here changes [`VERSION`]: a reader of another version must refuse.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod event;
mod fault;
mod header;
mod name;
mod needs;
mod places;
mod process;
mod record;
mod region;
mod snapshot;
mod trap;

pub use event::EventRecord;
pub use fault::{CALLS, Fault, IST_NAMES, Step};
pub use header::{
    Beacon, FrameBooks, Header, List, MAGIC, Paging, PhysRange, Places, Stop, VERSION,
};
pub use name::Name;
pub use needs::{Kernel, MOST_NEEDS, Range, Switch, needs};
pub use process::{Exit, Process, Stack, StackSlot, State};
pub use record::Record;
pub use region::{Holds, Region};
pub use snapshot::{Snapshot, SnapshotTable};
pub use trap::TrapFrame;
