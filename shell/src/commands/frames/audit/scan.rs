//! The first half: every tree, entry by entry, held against the books.
//!
//! Each table is counted where it is first met and entered once, so that the work has an end
//! whatever the entries say; each page is counted where it may be.

use heapless::Vec;
use machine::{Entries, EntryItem, Kind, PhysAddr, Progress};

use super::finding::{Finding, Named, What};
use super::{KEPT, Outcome};
use crate::abilities::{FrameInfo, FrameOwner};
use crate::command::Context;
use crate::commands::roots::{Roots, Tree};
use crate::{Error, Frames};

pub(super) const PAGE: u64 = 4096;
/// How much is looked at between two questions for Ctrl-C.
const PATIENCE: u32 = 4096;

/// An audit in progress.
pub(super) struct Scan {
    found: Vec<Finding, KEPT>,
    /// Findings that have been shown before.
    skip: u64,
    pub(super) outcome: Outcome,
    /// Frames that the mapping of all RAM has.
    pub(super) in_physmap: u64,
    /// Whether Ctrl-C is asked for.
    is_polite: bool,
    patience: u32,
}

/// The frame records of a target that has some.
pub(super) fn frames<'a>(context: &'a mut Context<'_>) -> Result<&'a mut dyn Frames, Error> {
    context.target.frames().ok_or(Error::Lacks("frame records"))
}

pub(super) fn frame(context: &mut Context<'_>, at: PhysAddr) -> Result<Option<FrameInfo>, Error> {
    Ok(frames(context)?.frame(at))
}

impl Scan {
    pub(super) fn new(skip: u64, is_polite: bool) -> Self {
        Scan {
            found: Vec::new(),
            skip,
            outcome: Outcome::default(),
            in_physmap: 0,
            is_polite,
            patience: PATIENCE,
        }
    }

    /// What was found, or as much of it as could be kept.
    pub(super) fn found(&self) -> &[Finding] {
        &self.found
    }

    pub(super) fn into_found(self) -> Vec<Finding, KEPT> {
        self.found
    }

    /// The whole audit.
    pub(super) fn run(mut self, context: &mut Context<'_>) -> Result<Self, Error> {
        let frames = frames(context)?;
        if frames.end().0 == 0 {
            return Err(Error::Lacks("record of single frames"));
        }
        frames.clear_tallies();
        let mut roots = Roots::new(context.target);
        while let Some((tree, root)) = roots.next(context.target) {
            self.outcome.spaces = self.outcome.spaces.saturating_add(1);
            self.tree(context, tree, root)?;
        }
        self.cr3(context)?;
        self.saved_cr3s(context)?;
        self.sweep(context)?;
        Ok(self)
    }

    /// Remembers a disagreement.
    pub(super) fn add(&mut self, finding: Finding) {
        if self.outcome.found >= self.skip {
            // What does not fit is found again.
            let _ = self.found.push(finding);
        }
        self.outcome.found = self.outcome.found.saturating_add(1);
    }

    /// Something has been looked at.
    pub(super) fn step(&mut self, context: &mut Context<'_>) -> Result<(), Error> {
        self.patience = self.patience.saturating_sub(1);
        if self.patience == 0 {
            self.patience = PATIENCE;
            if self.is_polite {
                context.check_interrupt()?;
            }
        }
        Ok(())
    }

    fn tree(&mut self, context: &mut Context<'_>, tree: Tree, root: PhysAddr) -> Result<(), Error> {
        let paging = context.target.paging();
        let at = paging.root(root);
        let info = frame(context, at)?;
        let owner = info.map(|info| info.owner);
        let mut root_is = |what| {
            self.add(Finding {
                frame: Some((at, owner)),
                what,
                entry: None,
            });
        };
        match info {
            Some(FrameInfo {
                owner: FrameOwner::PageTable,
                tally: 1..,
                ..
            }) => {
                root_is(What::RootTwice(tree));
                return Ok(());
            }
            Some(FrameInfo {
                owner: FrameOwner::PageTable,
                ..
            }) => {}
            // What was given back may still hold what it held.
            Some(FrameInfo {
                owner: FrameOwner::Free,
                ..
            }) => root_is(What::Root(tree)),
            _ => {
                root_is(What::Root(tree));
                return Ok(());
            }
        }
        self.count_table(context, at)?;
        self.kernel_half(context, tree, root)?;
        let mut entries = Entries::new(paging, root);
        loop {
            self.step(context)?;
            let item = match entries.advance(context.target.memory()) {
                Progress::Row(item) => item,
                Progress::Working => continue,
                Progress::Done => return Ok(()),
            };
            match item {
                EntryItem::Present(present) => match present.names {
                    Kind::Table { at } => {
                        if !self.table(context, tree, &present, at)? {
                            entries.pass_over();
                        }
                    }
                    Kind::Page { at, size } => self.page(context, tree, &present, at, size)?,
                    Kind::Absent | Kind::Reserved { .. } => {}
                },
                EntryItem::Hole(hole) => {
                    let owner = frame(context, hole.table)?.map(|info| info.owner);
                    self.add(Finding {
                        frame: Some((hole.table, owner)),
                        what: What::Unreadable,
                        entry: None,
                    });
                }
            }
        }
    }

    pub(super) fn count_table(
        &mut self,
        context: &mut Context<'_>,
        at: PhysAddr,
    ) -> Result<(), Error> {
        self.outcome.tables = self.outcome.tables.saturating_add(1);
        frames(context)?.tally(at);
        Ok(())
    }

    /// Whether a process has every table that the master has at the top of the kernel's half.
    fn kernel_half(
        &mut self,
        context: &mut Context<'_>,
        tree: Tree,
        root: PhysAddr,
    ) -> Result<(), Error> {
        let (Tree::Process(_), Some(master)) = (tree, context.target.master()) else {
            return Ok(());
        };
        let paging = context.target.paging();
        let level = paging.top();
        for slot in 256..512_u64 {
            let entry = |root: PhysAddr| PhysAddr(paging.root(root).0.wrapping_add(slot * 8));
            let memory = context.target.memory();
            // What cannot be read is found when the entries are gone through.
            let (Ok(ours), Ok(theirs)) =
                (memory.read_u64(entry(master)), memory.read_u64(entry(root)))
            else {
                continue;
            };
            let is_absent = |raw| paging.decode(raw, level).kind == Kind::Absent;
            if let Kind::Table { at } = paging.decode(ours, level).kind
                && is_absent(theirs)
            {
                let owner = frame(context, at)?.map(|info| info.owner);
                let va = paging.sign_extend(slot << level.shift());
                self.add(Finding {
                    frame: Some((at, owner)),
                    what: What::MissingIn(tree),
                    entry: Some(Named {
                        tree,
                        level,
                        at: entry(root),
                        raw: theirs,
                        va,
                    }),
                });
            }
        }
        Ok(())
    }
}
