//! Snapshots: page tables as they were at some moment, kept beside those in use.

use core::fmt;

use heapless::String;
use machine::{PhysAddr, ReadError};

use super::Pid;

/// The name of a snapshot, without the `@`.
pub type SnapshotName = String<16>;

/// Access to snapshots.
///
/// A snapshot is a copy of every table frame that one root led to. The copies are in physical
/// memory as well, so all there is to ask of one is where the copy of a frame is.
pub trait Snapshots {
    /// The snapshot in this place, from 0 on; `None` past the last one. A place is good until
    /// one is taken or dropped.
    fn snapshot(&mut self, index: usize) -> Option<SnapshotInfo>;

    /// Where the copy of the table frame at `frame` is; `None` if the snapshot has none of it.
    fn copy_of(&mut self, index: usize, frame: PhysAddr) -> Option<PhysAddr>;

    /// Copies each table frame that the tables at `root` lead to, once, whatever the tables
    /// hold.
    ///
    /// # Errors
    ///
    /// Why that cannot be; nothing of it stays then.
    fn take(
        &mut self,
        name: &SnapshotName,
        root: PhysAddr,
        subject: Subject,
    ) -> Result<SnapshotInfo, SnapshotError>;

    /// Forgets one and gives its frames back. Whether there was one of that name.
    fn drop(&mut self, name: &str) -> bool;
}

/// What is known about a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotInfo {
    /// What it is called, without the `@`.
    pub name: SnapshotName,
    /// The top table, where it was.
    pub root: PhysAddr,
    /// Whose tables they were.
    pub subject: Subject,
    /// How many table frames it has copies of.
    pub tables: u64,
    /// How many frames it takes.
    pub frames: u64,
    /// When it was taken, in nanoseconds since boot, where that is known.
    pub nanoseconds: Option<u64>,
}

/// Whose tables a snapshot is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The kernel's own.
    Master,
    /// Those of a process that had this pid.
    Process(Pid),
    /// Those at this address.
    Root(PhysAddr),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::Master => f.write_str("master"),
            Subject::Process(pid) => write!(f, "pid {pid}"),
            Subject::Root(root) => write!(f, "{root}"),
        }
    }
}

/// Why there is no snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotError {
    /// There is one of that name.
    Exists,
    /// There are as many as there can be.
    TooMany(usize),
    /// The tree has more tables than one may have.
    TooLarge(u64),
    /// Not enough free frames.
    NoMemory,
    /// The root itself cannot be read.
    Unreadable(ReadError),
}

impl fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SnapshotError::Exists => write!(f, "there is one of that name; drop it first"),
            SnapshotError::TooMany(most) => write!(f, "there are {most}, and no room for more"),
            SnapshotError::TooLarge(most) => {
                write!(f, "more than {most} tables; nothing was kept")
            }
            SnapshotError::NoMemory => write!(f, "not enough free frames; nothing was kept"),
            SnapshotError::Unreadable(why) => write!(f, "the root cannot be read: {why}"),
        }
    }
}
