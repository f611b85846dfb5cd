//! One entry of a tree, held against the books: the table that it names, or the page.

use machine::{PageSize, PhysAddr, Present, VirtAddr};

use super::finding::{Finding, Named, What};
use super::scan::{PAGE, Scan, frame, frames};
use crate::Error;
use crate::abilities::{FrameOwner, Place, StackKind, StackState};
use crate::command::Context;
use crate::commands::roots::{Tree, is_masters};

impl Scan {
    /// An entry that names a table; whether to look into it.
    pub(super) fn table(
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
                if !is_shared(context, tree, present) {
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
    pub(super) fn page(
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
fn is_shared(context: &mut Context<'_>, tree: Tree, present: &Present) -> bool {
    tree != Tree::Master && is_upper(present.va) && is_masters(context, present)
}
