//! A line of text in, lines of text out.
//!
//! This crate is everything between a key and an answer: the line editor, the grammar,
//! the commands, the pager and the frames that programs read. It runs the same in the
//! kernel, in a test on a machine made of maps, and on a host attached to a machine,
//! because it sees each of them as a [`Target`] and whoever is typing as a [`Terminal`].
//!
//! Nothing here allocates, and nothing read from a target or typed by a person panics.

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

#[cfg(any(test, feature = "simulated"))]
extern crate std;

mod abilities;
mod args;
mod background;
mod backtrace;
mod command;
mod commands;
mod complete;
mod decoder;
mod disassembly;
pub mod docs;
mod editor;
mod error;
mod event;
mod foreground;
mod foreign;
mod foretold;
pub mod framing;
mod going;
mod grammar;
mod judged;
mod lines;
mod names;
mod once;
mod output;
mod patience;
mod pipe;
mod process;
mod reactions;
mod record;
mod registers;
mod render;
mod report;
mod root;
mod run;
mod session;
#[cfg(any(test, feature = "simulated"))]
pub mod simulated;
mod space;
mod spoil;
mod staging;
mod status;
mod stop;
mod target;
mod terminal;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod virt;
mod way;

pub use abilities::{
    Attempt, AttemptError, Attempts, Before, Bench, Chain, Crash, CrashKind, DebugError, Debugger,
    Edit, EditError, EditList, EditState, Edits, Event, EventKind, Events, Exit, FaultRecord,
    Faults, Flush, FrameInfo, FrameOwner, FrameTotals, Frames, Go, Image, Interrupts, Lines,
    Moment, NoSymbols, OnStack, Outcome, Pid, Place, Poke, ProcessError, ProcessInfo, ProcessName,
    ProcessState, Processes, Program, Resting, Rsp0, Rule, Sentence, SnapshotError, SnapshotInfo,
    SnapshotName, Snapshots, Sources, Spoil, StackError, StackInfo, StackKind, StackPlace,
    StackState, Stacks, Start, Stop, StopReason, Subject, Switches, SymbolAt, Symbols, Threads,
    UndoError, WatchKind, Watched, Went, is_like,
};
pub use backtrace::{Backtrace, Call, Images};
pub use complete::completions;
pub use decoder::Decoder;
use error::Error;
pub use report::report;
pub use session::Shell;
pub use status::Status;
pub use target::{Clock, Cpu, Power, PowerError, Region, Target};
pub use terminal::{Key, Sink, Terminal, Typed};
