//! What a target may offer beside memory and registers: frames, processes, stacks, interrupts,
//! events, snapshots, edits.
//!
//! A file for each. All of them are optional, and none needs an allocator: lists are asked
//! for one element at a time.

mod attempts;
mod crash;
mod debugger;
mod edits;
mod events;
mod faults;
mod frames;
mod interrupts;
mod processes;
mod snapshots;
mod sources;
mod stacks;
mod switches;
mod symbols;
mod threads;

pub use attempts::{Attempt, AttemptError, Attempts, Bench, Chain, Outcome};
pub use crash::{Crash, CrashKind};
pub use debugger::{
    Before, DebugError, Debugger, Go, Moment, Stop, StopReason, WatchKind, Watched, Went,
};
pub use edits::{Edit, EditError, EditList, EditState, Edits, Flush, Poke, UndoError, is_like};
pub use events::{Event, EventKind, Events};
pub use faults::{FaultRecord, Faults, OnStack, Sentence};
pub use frames::{FrameInfo, FrameOwner, FrameTotals, Frames, Place, Rule, StackPlace};
pub use interrupts::{Interrupts, Lines};
pub use processes::{
    Exit, Pid, ProcessError, ProcessInfo, ProcessName, ProcessState, Processes, Program, Start,
};
pub use snapshots::{SnapshotError, SnapshotInfo, SnapshotName, Snapshots, Subject};
pub use sources::Sources;
pub use stacks::{StackError, StackInfo, StackKind, StackState, Stacks};
pub use switches::{Rsp0, Spoil, Switches};
pub use symbols::{Image, NoSymbols, SymbolAt, Symbols};
pub use threads::{Resting, Threads};
