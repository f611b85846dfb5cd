//! The trees there are: the master's, and those of all processes that are alive.

use core::fmt;

use machine::{PhysAddr, Present, walk};

use crate::command::Context;
use crate::process::Pids;
use crate::{Pid, Target};

/// Whose tree it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tree {
    Master,
    Process(Pid),
}

impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Tree::Master => f.write_str("master"),
            Tree::Process(pid) => write!(f, "pid {pid}"),
        }
    }
}

/// The roots of all trees, the master's first.
pub(super) struct Roots {
    master: Option<PhysAddr>,
    /// None of a target without processes.
    pids: Option<Pids>,
}

impl Roots {
    pub(super) fn new(target: &mut dyn Target) -> Self {
        Roots {
            master: target.master(),
            pids: Pids::all(target).ok(),
        }
    }

    pub(super) fn next(&mut self, target: &mut dyn Target) -> Option<(Tree, PhysAddr)> {
        if let Some(master) = self.master.take() {
            return Some((Tree::Master, master));
        }
        let pids = self.pids.as_mut()?;
        loop {
            let info = pids.next(target)?;
            if info.state.exit().is_none() {
                return Some((Tree::Process(info.pid), info.root));
            }
        }
    }
}

/// Whether the master has the table that an entry names at the same address, too.
pub(super) fn is_masters(context: &mut Context<'_>, present: &Present) -> bool {
    let Some(master) = context.target.master() else {
        return false;
    };
    let paging = context.target.paging();
    let walk = walk(context.target.memory(), &paging, master, present.va);
    let mut steps = walk.steps().iter();
    let level = present.entry.level;
    steps.any(|step| step.entry.level == level && step.entry.kind == present.names)
}
