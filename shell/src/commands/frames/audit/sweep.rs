//! The second half: every frame, held against what was counted, and the sums.

use machine::PhysAddr;

use super::finding::{Expected, Finding, What};
use super::scan::{PAGE, Scan, frames};
use crate::Error;
use crate::abilities::{FrameInfo, FrameOwner, Rule, StackKind, StackState};
use crate::command::Context;

/// Frames by owner.
type Counts = [u64; FrameOwner::ALL.len()];

impl Scan {
    /// Goes through all frames.
    pub(super) fn sweep(&mut self, context: &mut Context<'_>) -> Result<(), Error> {
        let mut counts: Counts = [0; FrameOwner::ALL.len()];
        let end = frames(context)?.end().0;
        let mut next = 0_u64;
        while next < end {
            let at = PhysAddr(next);
            next = next.saturating_add(PAGE);
            self.step(context)?;
            let Some(info) = frames(context)?.frame(at) else {
                break;
            };
            if let Some(count) = counts.get_mut(info.owner as usize) {
                *count = count.saturating_add(1);
            }
            if let Some(what) = disagreement(context, at, info) {
                self.add(Finding {
                    frame: Some((at, Some(info.owner))),
                    what,
                    entry: None,
                });
            }
        }
        self.sums(context, &counts)
    }

    fn sums(&mut self, context: &mut Context<'_>, counts: &Counts) -> Result<(), Error> {
        let count = |owner: FrameOwner| counts.get(owner as usize).copied().unwrap_or(0);
        let mut sum = |what| {
            self.add(Finding {
                frame: None,
                what,
                entry: None,
            });
        };
        let mut used = 0_u64;
        for index in 0.. {
            let Some((name, books)) = frames(context)?.owner(index) else {
                break;
            };
            let mut owners = FrameOwner::ALL.iter();
            let owner = owners.find(|owner| owner.name() == name);
            let found = owner.map_or(0, |owner| count(*owner));
            used = used.saturating_add(found);
            if found != books {
                sum(What::OwnerSum(name, books, found));
            }
        }
        let totals = frames(context)?.totals();
        let free = count(FrameOwner::Free);
        let total = used.saturating_add(free);
        for (what, books, found) in [
            ("in use", totals.used, used),
            ("free", totals.free, free),
            ("in all", totals.total, total),
        ] {
            if books != found {
                sum(What::Total(what, books, found));
            }
        }
        if self.in_physmap > 0 && self.in_physmap != total {
            self.add(Finding {
                frame: None,
                what: What::Physmap(self.in_physmap, total),
                entry: None,
            });
        }
        self.outcome.frames = total;
        for (owner, kind) in [
            (FrameOwner::KernelStack, StackKind::Kernel),
            (FrameOwner::IstStack, StackKind::Ist),
        ] {
            let (found, pages) = (count(owner), pages_of_stacks(context, kind));
            // One too many is in no stack, and has been found.
            if pages.is_some_and(|pages| found < pages) {
                self.add(Finding {
                    frame: None,
                    what: What::Stacks(owner, found, pages.unwrap_or(0)),
                    entry: None,
                });
            }
        }
        Ok(())
    }
}

/// How the books and the entries disagree about one frame.
fn disagreement(context: &mut Context<'_>, at: PhysAddr, info: FrameInfo) -> Option<What> {
    let found = info.tally;
    let mapped = |expected| What::Mapped { found, expected };
    let rule = info.owner.rule();
    let wrong = match rule {
        Rule::Nowhere => {
            let is_hole = info.owner == FrameOwner::Hole;
            let is_ram = is_hole && context.target.memory().read_u64(at).is_ok();
            is_ram.then_some(What::NoOwner)
        }
        Rule::Table => (found == 0).then_some(What::Unreached),
        Rule::InPlace => (found != 1).then_some(mapped(Expected::Once)),
        Rule::InPlaces => (found == 0).then_some(mapped(Expected::AtLeastOnce)),
        Rule::Shared => {
            let books = u32::from(info.shares).saturating_add(1);
            (u32::from(found) != books).then_some(mapped(Expected::Books(books)))
        }
    };
    // Whoever gets such a frame next would never give it back.
    let is_stale = rule != Rule::Shared && info.shares > 0;
    wrong.or(is_stale.then_some(What::Shares(info.shares)))
}

/// The pages of all stacks in use; `None` of a target that keeps no record.
fn pages_of_stacks(context: &mut Context<'_>, kind: StackKind) -> Option<u64> {
    let mut pages = 0_u64;
    for index in 0.. {
        let Some(stack) = context.target.stacks()?.stack(index) else {
            break;
        };
        if stack.kind == kind && stack.state == StackState::Live {
            let bytes = stack.top.0.saturating_sub(stack.bottom.0);
            pages = pages.saturating_add(bytes / PAGE);
        }
    }
    Some(pages)
}
