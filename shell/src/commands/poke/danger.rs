//! Whether a target would survive an edit: what it needs, looked up before and after.
//!
//! Before the entry is written, the tables are read once as they are and once as if it had been:
//! every page of what is vital must stay where it is, with the rights it has.

use machine::{End, Level, PhysAddr, PhysMemory, Range, ReadError, Right, Rights, VirtAddr, walk};

use super::place::{Owner, each_space};
use crate::command::Context;
use crate::{Error, Pid, Poke, Region, Target};

/// A page that the target cannot go on without, and what would become of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Harm {
    /// In whose space; `None` for the master table.
    pub(super) pid: Option<Pid>,
    pub(super) va: VirtAddr,
    pub(super) region: &'static str,
    pub(super) what: &'static str,
}

/// The first page that would be lost, if any.
pub(super) fn harm(context: &mut Context<'_>, poke: &Poke) -> Result<Option<Harm>, Error> {
    let mut harm = None;
    each_space(context, |context, owner| {
        if harm.is_none() && is_of_its_own(context, owner, poke.at) {
            harm = in_space(context, owner, poke)?;
        }
        Ok(())
    })?;
    Ok(harm)
}

/// Whether a space has kernel tables that the master has not, or its top table is written. All
/// others are the master's, and looked at there.
fn is_of_its_own(context: &mut Context<'_>, owner: Owner, at: PhysAddr) -> bool {
    let (Some(_), Some(master)) = (owner.pid, context.target.master()) else {
        return true;
    };
    let paging = context.target.paging();
    let (own, master) = (paging.root(owner.root), paging.root(master));
    if at.0 & !0xfff == own.0 {
        return true;
    }
    let memory = context.target.memory();
    let mut slot = |table: PhysAddr, index: u64| {
        let raw = memory.read_u64(PhysAddr(table.0.wrapping_add(index * 8)));
        raw.map(|raw| paging.decode(raw, paging.top()).kind)
    };
    (256..512).any(|index| slot(own, index) != slot(master, index))
}

fn in_space(context: &mut Context<'_>, owner: Owner, poke: &Poke) -> Result<Option<Harm>, Error> {
    for index in 0.. {
        let Some(region) = vital(context, index) else {
            break;
        };
        if !Range::UPPER.contains(region.first) && owner.pid.is_some() {
            continue;
        }
        let found = in_region(context, owner, &region, poke)?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

fn vital(context: &mut Context<'_>, index: usize) -> Option<Region> {
    context.target.edits()?.vital(index)
}

fn in_region(
    context: &mut Context<'_>,
    owner: Owner,
    region: &Region,
    poke: &Poke,
) -> Result<Option<Harm>, Error> {
    let paging = context.target.paging();
    let mut va = region.first;
    for round in 0_u64.. {
        if round.is_multiple_of(256) {
            context.check_interrupt()?;
        }
        let before = walk(context.target.memory(), &paging, owner.root, va);
        let (level, end) = (before.steps().last(), before.end());
        let level = level.map_or(Level::Pt, |step| step.entry.level);
        let mut step = level.span();
        if matches!(end, End::Mapped { .. }) {
            let mut edited = Edited {
                target: context.target,
                at: poke.at,
                new: poke.new,
            };
            let after = walk(&mut edited, &paging, owner.root, va);
            if let Some(what) = lost(end, after.end()) {
                return Ok(Some(Harm {
                    pid: owner.pid,
                    va,
                    region: region.name,
                    what,
                }));
            }
            let level = after
                .steps()
                .last()
                .map_or(Level::Pt, |step| step.entry.level);
            step = step.min(level.span());
        }
        // On to the next page, or over what has never been there.
        match (va.0 | (step - 1)).checked_add(1) {
            Some(next) if next <= region.last.0 => va = VirtAddr(next),
            _ => break,
        }
    }
    Ok(None)
}

/// What is worse than before.
fn lost(before: End, after: End) -> Option<&'static str> {
    let End::Mapped {
        at: then,
        rights: had,
        ..
    } = before
    else {
        return None;
    };
    let (at, rights): (PhysAddr, Rights) = match after {
        End::Mapped { at, rights, .. } => (at, rights),
        End::Reserved { .. } => return Some("would be malformed"),
        _ => return Some("would not be mapped"),
    };
    let loses = |right| had.has(right) && !rights.has(right);
    if at != then {
        Some("would be other memory")
    } else if loses(Right::Write) {
        Some("could not be written")
    } else if loses(Right::Execute) {
        Some("could not be executed")
    } else if rights.has(Right::User) && !had.has(Right::User) {
        Some("would be for user code")
    } else {
        None
    }
}

/// Memory in which one entry has been written.
struct Edited<'t> {
    target: &'t mut (dyn Target + 't),
    at: PhysAddr,
    new: u64,
}

impl PhysMemory for Edited<'_> {
    fn read(&mut self, at: PhysAddr, buf: &mut [u8]) -> Result<(), ReadError> {
        self.target.memory().read(at, buf)?;
        for (offset, byte) in (0_u64..).zip(buf) {
            let into = at.0.wrapping_add(offset).wrapping_sub(self.at.0);
            let new = usize::try_from(into).ok();
            if let Some(new) = new.and_then(|into| self.new.to_le_bytes().get(into).copied()) {
                *byte = new;
            }
        }
        Ok(())
    }
}
