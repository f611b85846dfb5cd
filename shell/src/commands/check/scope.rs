//! Which address spaces are looked at: the one that was asked for, or the master and all
//! processes that are alive.

use core::fmt;

use machine::check::Half;
use machine::{Entry, Level, Path, PhysAddr, PhysMemory, Range, VirtAddr};

use crate::command::{Args, Context};
use crate::error::{Excerpt, excerpt};
use crate::process::Pids;
use crate::root::{root, snapshots};
use crate::space::Space;
use crate::{Error, Pid, Subject};

/// Whose space it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Who {
    Master,
    Process(Pid),
    /// The one that was asked for.
    Given,
}

/// An address space to look at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Tree {
    pub(super) who: Who,
    pub(super) space: Space,
    /// Whose its lower half is.
    pub(super) lower: Half,
}

/// What was asked for.
pub(super) struct Scope {
    given: Option<Tree>,
    name: Excerpt,
}

impl Scope {
    /// The next argument as a root; without one, everything.
    pub(super) fn read(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<Scope, Error> {
        let Some(word) = args.operand() else {
            return Ok(Scope {
                given: None,
                name: Excerpt::new(),
            });
        };
        let text = word.text()?;
        let space = root(text, context)?;
        let lower = lower_half(context, &space)?;
        let given = Tree {
            who: Who::Given,
            space,
            lower,
        };
        Ok(Scope {
            given: Some(given),
            name: excerpt(text),
        })
    }

    /// The one space that was asked for, if one was.
    pub(super) fn given(&self) -> Option<Tree> {
        self.given
    }

    /// The spaces, one after another.
    pub(super) fn trees(&self, context: &mut Context<'_>) -> Trees {
        let (master, pids) = match self.given {
            Some(_) => (None, None),
            None => (context.target.master(), Pids::all(context.target).ok()),
        };
        Trees {
            given: self.given,
            master,
            pids,
        }
    }

    /// The name of a space, as a message has it.
    pub(super) fn name(&self, who: Who) -> Name<'_> {
        Name(self, who)
    }

    /// `1 space`, or `3 processes`, of those that are not the master.
    pub(super) fn noun(&self) -> (&'static str, &'static str) {
        match self.given {
            Some(_) => ("space", "spaces"),
            None => ("process", "processes"),
        }
    }
}

/// Whose lower half the space that was asked for has.
fn lower_half(context: &mut Context<'_>, space: &Space) -> Result<Half, Error> {
    if let Some(index) = space.snapshot {
        let info = snapshots(context)?.snapshot(index);
        return Ok(match info.map(|info| info.subject) {
            Some(Subject::Master) => Half::Master,
            Some(Subject::Process(_)) => Half::Process,
            Some(Subject::Root(_)) | None => Half::Unknown,
        });
    }
    let paging = context.target.paging();
    let wanted = paging.root(space.root);
    let is_wanted = |root: PhysAddr| paging.root(root) == wanted;
    if context.target.master().is_some_and(is_wanted) {
        return Ok(Half::Master);
    }
    // A target without processes has none whose root it could be.
    let Ok(mut pids) = Pids::all(context.target) else {
        return Ok(Half::Unknown);
    };
    while let Some(info) = pids.next(context.target) {
        if info.state.exit().is_none() && is_wanted(info.root) {
            return Ok(Half::Process);
        }
    }
    Ok(Half::Unknown)
}

/// The name of a space.
pub(super) struct Name<'a>(&'a Scope, Who);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let given = &self.0.name;
        match self.1 {
            Who::Master => f.write_str("master"),
            Who::Process(pid) => write!(f, "pid {pid}"),
            Who::Given if given.chars().all(|c| c.is_ascii_digit()) => write!(f, "pid {given}"),
            Who::Given => f.write_str(given),
        }
    }
}

/// The spaces that are still to be looked at.
pub(super) struct Trees {
    given: Option<Tree>,
    master: Option<PhysAddr>,
    pids: Option<Pids>,
}

impl Trees {
    pub(super) fn next(&mut self, context: &mut Context<'_>) -> Option<Tree> {
        if let Some(given) = self.given.take() {
            return Some(given);
        }
        if let Some(master) = self.master.take() {
            return Some(Tree {
                who: Who::Master,
                space: Space::live(master),
                lower: Half::Master,
            });
        }
        let pids = self.pids.as_mut()?;
        loop {
            let info = pids.next(context.target)?;
            if info.state.exit().is_none() {
                return Some(Tree {
                    who: Who::Process(info.pid),
                    space: Space::live(info.root),
                    lower: Half::Process,
                });
            }
        }
    }
}

impl Tree {
    /// Whether an entry of the top table is the master's, so that what is below it is looked at
    /// there. Of a space that was asked for, everything is looked at.
    pub(super) fn shares(&self, context: &mut Context<'_>, path: &Path) -> bool {
        let (top, above) = (path.last(), path.above());
        above.is_empty() && self.shares_slot(context, path.va, top.entry.raw)
    }

    /// The same of the slot of an address, which holds `raw` here.
    pub(super) fn shares_slot(&self, context: &mut Context<'_>, va: VirtAddr, raw: u64) -> bool {
        let Who::Process(_) = self.who else {
            return false;
        };
        let theirs = context.target.master().map(|root| {
            let at = slot_address(context, root, va);
            context.target.memory().read_u64(at)
        });
        let differing = |theirs: u64| (theirs ^ raw) & !Entry::ACCESSED;
        Range::UPPER.contains(va)
            && theirs.is_some_and(|theirs| theirs.is_ok_and(|theirs| differing(theirs) == 0))
    }

    /// The same, reading what it holds.
    pub(super) fn shares_address(&self, context: &mut Context<'_>, va: VirtAddr) -> bool {
        let at = slot_address(context, self.space.root, va);
        let raw = context.view(&self.space).read_u64(at);
        raw.is_ok_and(|raw| self.shares_slot(context, va, raw))
    }
}

/// Where the entry of the top table is that an address goes through.
fn slot_address(context: &Context<'_>, root: PhysAddr, va: VirtAddr) -> PhysAddr {
    let paging = context.target.paging();
    let top: Level = paging.top();
    PhysAddr(paging.root(root).0.wrapping_add(top.index(va) as u64 * 8))
}
