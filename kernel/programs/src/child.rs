//! Trying something in a child, so that what it dies from can be looked at.

use core::fmt;

use crate::abi;
use crate::calls::{self, Errno};

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with this code.
    Exit(u8),
    /// By `kill`.
    Killed,
    /// From a fault of this vector.
    Fault(u8),
    /// A status word with no meaning.
    Unknown(u64),
}

impl From<u64> for Ended {
    fn from(status: u64) -> Self {
        let low = status as u8;
        match status & !0xff {
            0 => Self::Exit(low),
            abi::KILLED if low == 0 => Self::Killed,
            abi::FAULTED => Self::Fault(low),
            _ => Self::Unknown(status),
        }
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exit(code) => write!(f, "exit {code}"),
            Self::Killed => f.write_str("killed"),
            Self::Fault(vector) => write!(f, "fault {vector}"),
            Self::Unknown(status) => write!(f, "status {status:#x}"),
        }
    }
}

/// Runs `what` in a copy of this process and waits for its end. What it returns is its exit code.
///
/// # Errors
///
/// When the kernel refuses to fork or to wait.
pub fn in_child(what: impl FnOnce() -> u8) -> Result<Ended, Errno> {
    let child = calls::fork()?;
    if child == 0 {
        calls::exit(what());
    }
    let (_, status) = calls::wait(child)?;
    Ok(status.into())
}
