//! The first half: every tree, entry by entry, held against the books.
//!
//! Each table is counted where it is first met and entered once, so that the work has an end
//! whatever the entries say; each page is counted where it may be.

use heapless::Vec;
use machine::{
    Entries, EntryItem, Kind, Level, PageSize, PhysAddr, Present, Progress, VirtAddr, walk,
};

use super::finding::{Finding, Named, What};
use super::{KEPT, Outcome};
use crate::abilities::{FrameInfo, FrameOwner, Place, StackKind, StackState};
use crate::command::Context;
use crate::commands::roots::{Roots, Tree};
use crate::process::Pids;
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

fn frame(context: &mut Context<'_>, at: PhysAddr) -> Result<Option<FrameInfo>, Error> {
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

    fn count_table(&mut self, context: &mut Context<'_>, at: PhysAddr) -> Result<(), Error> {
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

    /// An entry that names a table; whether to look into it.
    fn table(
        &mut self,
        context: &mut Context<'_>,
        tree: Tree,
        present: &Present,
        at: PhysAddr,
    ) -> Result<bool, Error> {
        let info = frame(context, at)?;
        let owner = info.map(|info| info.owner);
        let mut found = |what| {
            self.add(Finding {
                frame: Some((at, owner)),
                what,
                entry: Some(Named::by(tree, present)),
            });
        };
        if present.is_loop {
            found(What::Loop);
            return Ok(false);
        }
        let Some(info) = info else {
            found(What::NoTable);
            return Ok(false);
        };
        let is_met = info.tally > 0;
        match info.owner {
            FrameOwner::PageTable if is_met => {
                if !is_masters(context, tree, present, at) {
                    found(What::TwiceNamed);
                }
            }
            FrameOwner::PageTable => {
                if tree != Tree::Master && is_upper(present.va) {
                    found(What::NotMasters);
                }
            }
            // What was given back may still hold what it held; of others nothing is known.
            FrameOwner::Free => found(What::NoTable),
            _ => {
                found(What::NoTable);
                return Ok(false);
            }
        }
        if !is_met {
            self.count_table(context, at)?;
        }
        Ok(!is_met)
    }

    /// An entry that maps a page.
    fn page(
        &mut self,
        context: &mut Context<'_>,
        tree: Tree,
        present: &Present,
        at: PhysAddr,
        size: PageSize,
    ) -> Result<(), Error> {
        let place = match is_upper(present.va) {
            true => Some(frames(context)?.place(present.va)),
            false => None,
        };
        let pages = size.bytes() / PAGE;
        // In a table that is the process's own the same pages would count again.
        let counts = tree == Tree::Master || place.is_none();
        if let Some(Place::Physmap(_)) = place {
            let more = if counts { pages } else { 0 };
            self.in_physmap = self.in_physmap.saturating_add(more);
        }
        let (what, expected) = match place {
            None => (What::MappedByProcess, Expect::Owner(FrameOwner::User)),
            Some(place) => (What::MappedAs(place), Expect::of(place, at)),
        };
        let end = frames(context)?.end().0;
        let mut is_shown = false;
        for page in 0..pages {
            let at = PhysAddr(at.0.wrapping_add(page * PAGE));
            // Beyond the books the first frame says it all.
            if at.0 >= end && page > 0 {
                break;
            }
            self.step(context)?;
            let info = frame(context, at)?;
            let owner = info.map(|info| info.owner);
            if expected.admits(owner) {
                if counts && matches!(expected, Expect::Owner(_)) {
                    self.outcome.pages = self.outcome.pages.saturating_add(1);
                    frames(context)?.tally(at);
                }
            } else if !core::mem::replace(&mut is_shown, true) {
                self.add(Finding {
                    frame: Some((at, owner)),
                    what,
                    entry: Some(Named::by(tree, present)),
                });
            }
            if matches!(expected, Expect::Ram | Expect::Never) {
                break;
            }
        }
        Ok(())
    }

    fn cr3(&mut self, context: &mut Context<'_>) -> Result<(), Error> {
        let paging = context.target.paging();
        let Some(cr3) = context.target.cpu().map(|cpu| cpu.registers().cr3) else {
            return Ok(());
        };
        let at = paging.root(PhysAddr(cr3));
        let mut roots = Roots::new(context.target);
        while let Some((_, root)) = roots.next(context.target) {
            if paging.root(root) == at {
                return Ok(());
            }
        }
        let owner = frame(context, at)?.map(|info| info.owner);
        self.add(Finding {
            frame: Some((at, owner)),
            what: What::Cr3,
            entry: None,
        });
        Ok(())
    }

    fn saved_cr3s(&mut self, context: &mut Context<'_>) -> Result<(), Error> {
        let paging = context.target.paging();
        let Ok(mut pids) = Pids::all(context.target) else {
            return Ok(());
        };
        while let Some(info) = pids.next(context.target) {
            let processes = context.target.processes();
            let registers = processes.and_then(|processes| processes.registers(info.pid));
            let Some(registers) = registers.filter(|_| info.state.exit().is_none()) else {
                continue;
            };
            let (saved, root) = (paging.root(PhysAddr(registers.cr3)), paging.root(info.root));
            if saved != root {
                let owner = frame(context, saved)?.map(|info| info.owner);
                self.add(Finding {
                    frame: Some((saved, owner)),
                    what: What::SavedCr3(Tree::Process(info.pid), root),
                    entry: None,
                });
            }
        }
        Ok(())
    }
}

/// What an address of the kernel's half, or of a process, should be mapped to.
#[derive(Clone, Copy)]
enum Expect {
    /// A frame of this owner, which is counted.
    Owner(FrameOwner),
    /// This very frame, which is.
    Ram,
    /// No RAM.
    Device,
    /// Nothing.
    Never,
}

impl Expect {
    fn of(place: Place, at: PhysAddr) -> Self {
        match place {
            Place::Nothing => Expect::Never,
            Place::Physmap(expected) if expected == at => Expect::Ram,
            Place::Physmap(_) => Expect::Never,
            Place::Device => Expect::Device,
            Place::Memory(owner) => Expect::Owner(owner),
            Place::Stack(stack) if stack.is_guard || stack.state != StackState::Live => {
                Expect::Never
            }
            Place::Stack(stack) => Expect::Owner(match stack.kind {
                StackKind::Kernel => FrameOwner::KernelStack,
                StackKind::Ist => FrameOwner::IstStack,
                StackKind::User => FrameOwner::User,
            }),
        }
    }

    fn admits(self, owner: Option<FrameOwner>) -> bool {
        use FrameOwner::{Hole, KernelData, KernelImage};
        match self {
            Expect::Owner(KernelImage | KernelData) => {
                matches!(owner, Some(KernelImage | KernelData))
            }
            Expect::Owner(expected) => owner == Some(expected),
            Expect::Ram => !matches!(owner, None | Some(Hole)),
            Expect::Device => matches!(owner, None | Some(Hole)),
            Expect::Never => false,
        }
    }
}

/// Whether an address is in the kernel's half.
fn is_upper(va: VirtAddr) -> bool {
    va.0 >> 63 != 0
}

/// Whether an entry of a process names the table that the master has there, too.
fn is_masters(context: &mut Context<'_>, tree: Tree, present: &Present, at: PhysAddr) -> bool {
    let (Tree::Process(_), Some(master)) = (tree, context.target.master()) else {
        return false;
    };
    let paging = context.target.paging();
    let level: Level = present.entry.level;
    let walk = walk(context.target.memory(), &paging, master, present.va);
    let mut steps = walk.steps().iter();
    is_upper(present.va)
        && steps.any(|step| step.entry.level == level && step.entry.kind == Kind::Table { at })
}
