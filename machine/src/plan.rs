//! A change to page tables as a value: which entries to write, in which order.
//!
//! Planning reads tables and writes nothing, so a plan can be tested on any laptop, printed
//! before it happens, or thrown away. Whoever executes it writes the entries in the order
//! given: new tables are filled from the leaf upwards and linked last, so that the CPU never
//! sees a path to a half-made one.

mod error;
mod mapping;

pub use error::PlanError;
pub use mapping::Mapping;

use crate::{
    End, Entry, Kind, Level, PageSize, Paging, PhysAddr, PhysMemory, Rights, VirtAddr, walk,
};

/// One entry to write.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct EntryWrite {
    /// The physical address of the entry.
    pub at: PhysAddr,
    /// The level of the table it is in.
    pub level: Level,
    /// What was there when the plan was made.
    pub old: u64,
    /// What is to be there.
    pub new: u64,
}

/// Writes in the order they must be made; at most one for each level.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Plan {
    writes: [EntryWrite; 5],
    len: usize,
    flush: Option<VirtAddr>,
}

impl Plan {
    const NOTHING: EntryWrite = EntryWrite {
        at: PhysAddr(0),
        level: Level::Pt,
        old: 0,
        new: 0,
    };

    const fn new() -> Plan {
        Plan {
            writes: [Plan::NOTHING; 5],
            len: 0,
            flush: None,
        }
    }

    fn push(&mut self, write: EntryWrite) {
        // Five levels, one write each: there is always room.
        if let Some(place) = self.writes.get_mut(self.len) {
            *place = write;
            self.len += 1;
        }
    }

    /// The page whose cached translation must be dropped once the entries are written: set
    /// when a present entry is replaced. Absent entries are never cached (SDM, "Details of
    /// TLB Use"), so filling them needs no flush.
    pub const fn flush(&self) -> Option<VirtAddr> {
        self.flush
    }

    /// The writes, first to last.
    pub fn writes(&self) -> &[EntryWrite] {
        self.writes.get(..self.len).unwrap_or_default()
    }
}

/// Where frames for new tables come from.
pub trait TableFrames {
    /// A frame of zeros that nobody else has.
    fn take(&mut self) -> Option<PhysAddr>;
    /// Takes back a frame of a plan that came to nothing.
    fn give_back(&mut self, frame: PhysAddr);
}

/// Plans to map one page at `va`, with whatever tables are missing on the way.
///
/// New tables allow everything their half needs (W, and U for a user page), so that the leaf
/// decides. An entry that is present is never replaced.
///
/// # Errors
///
/// See [`PlanError`].
pub fn plan_map(
    memory: &mut dyn PhysMemory,
    paging: &Paging,
    root: PhysAddr,
    va: VirtAddr,
    mapping: Mapping,
    frames: &mut dyn TableFrames,
) -> Result<Plan, PlanError> {
    let mask = mapping.size.bytes() - 1;
    let beyond = mapping
        .at
        .0
        .checked_shr(u32::from(paging.phys_bits))
        .unwrap_or(0)
        != 0;
    if va.0 & mask != 0 || mapping.at.0 & mask != 0 || beyond {
        return Err(PlanError::Misaligned);
    }
    let leaf = (mapping.size.level(), mapping.entry(paging));
    plan(
        memory,
        paging,
        root,
        va,
        mapping.rights,
        leaf.0,
        Some(leaf.1),
        frames,
    )
}

/// Plans the tables on the way to `va` down to one of level `down_to`, whose entries stay
/// absent: what is mapped there later changes leaves only.
///
/// # Errors
///
/// See [`PlanError`].
pub fn plan_tables(
    memory: &mut dyn PhysMemory,
    paging: &Paging,
    root: PhysAddr,
    va: VirtAddr,
    down_to: Level,
    frames: &mut dyn TableFrames,
) -> Result<Plan, PlanError> {
    let rights = Rights {
        user: false,
        write: true,
        execute: true,
    };
    plan(memory, paging, root, va, rights, down_to, None, frames)
}

/// Plans to replace the entry of the 4 KiB page at `va`, which must be mapped, by `new`: 0
/// unmaps it. Tables stay as they are. The plan flushes the page.
///
/// # Errors
///
/// See [`PlanError`].
pub fn plan_replace(
    memory: &mut dyn PhysMemory,
    paging: &Paging,
    root: PhysAddr,
    va: VirtAddr,
    new: u64,
) -> Result<Plan, PlanError> {
    let walk = walk(memory, paging, root, va);
    match walk.end() {
        End::Mapped {
            size: PageSize::Size4K,
            ..
        } => {}
        End::Reserved { level, bits } => return Err(PlanError::Reserved { level, bits }),
        End::Unreadable { level, why } => return Err(PlanError::Unreadable { level, why }),
        End::NonCanonical => return Err(PlanError::NonCanonical),
        End::Mapped { .. } | End::Absent { .. } => return Err(PlanError::NotMapped),
    }
    let step = walk.steps().last().ok_or(PlanError::NotMapped)?;
    let mut plan = Plan::new();
    plan.push(EntryWrite {
        at: step.entry_address(),
        level: step.entry.level,
        old: step.entry.raw,
        new,
    });
    plan.flush = Some(VirtAddr(va.0 & !(PageSize::Size4K.bytes() - 1)));
    Ok(plan)
}

#[expect(
    clippy::too_many_arguments,
    reason = "private; the two public faces name them"
)]
fn plan(
    memory: &mut dyn PhysMemory,
    paging: &Paging,
    root: PhysAddr,
    va: VirtAddr,
    rights: Rights,
    down_to: Level,
    leaf: Option<u64>,
    frames: &mut dyn TableFrames,
) -> Result<Plan, PlanError> {
    if !paging.is_canonical(va) {
        return Err(PlanError::NonCanonical);
    }
    let (mut table, mut level) = (paging.root(root), paging.top());
    loop {
        if level == down_to && leaf.is_none() {
            return Ok(Plan::new());
        }
        let at = entry_address(table, level, va);
        let raw = memory
            .read_u64(at)
            .map_err(|why| PlanError::Unreadable { level, why })?;
        match paging.decode(raw, level).kind {
            Kind::Absent => {
                return fill(at, raw, level, va, rights, down_to, leaf, frames);
            }
            Kind::Page { .. } => return Err(PlanError::Occupied { level, raw }),
            Kind::Reserved { bits } => return Err(PlanError::Reserved { level, bits }),
            Kind::Table { at: next } => {
                if level == down_to {
                    return Err(PlanError::Occupied { level, raw });
                }
                let allowed = paging.decode(raw, level).rights();
                if (rights.write && !allowed.write)
                    || (rights.user && !allowed.user)
                    || (rights.execute && !allowed.execute && leaf.is_some())
                {
                    return Err(PlanError::Forbidden { level, raw });
                }
                table = next;
                level = level.next().unwrap_or(down_to);
            }
        }
    }
}

fn entry_address(table: PhysAddr, level: Level, va: VirtAddr) -> PhysAddr {
    PhysAddr(table.0 | (level.index(va) as u64) << 3)
}

/// The first absent entry is at `at`: everything below it is new.
#[expect(clippy::too_many_arguments, reason = "private")]
fn fill(
    at: PhysAddr,
    old: u64,
    level: Level,
    va: VirtAddr,
    rights: Rights,
    down_to: Level,
    leaf: Option<u64>,
    frames: &mut dyn TableFrames,
) -> Result<Plan, PlanError> {
    let table_bits = Entry::PRESENT | Entry::WRITABLE | if rights.user { Entry::USER } else { 0 };
    let mut taken: [Option<PhysAddr>; 5] = [None; 5];
    // From the top down, as the addresses become known; the plan turns it round.
    let mut writes = Plan::new();
    let (mut at, mut old, mut level) = (at, old, level);
    while level != down_to {
        let Some(frame) = frames.take() else {
            for frame in taken.into_iter().flatten() {
                frames.give_back(frame);
            }
            return Err(PlanError::NoFrame);
        };
        if let Some(place) = taken.get_mut(writes.len) {
            *place = Some(frame);
        }
        writes.push(EntryWrite {
            at,
            level,
            old,
            new: frame.0 | table_bits,
        });
        let Some(next) = level.next() else { break };
        level = next;
        (at, old) = (entry_address(frame, level, va), 0);
    }
    if let Some(new) = leaf {
        writes.push(EntryWrite {
            at,
            level,
            old,
            new,
        });
    }
    let mut plan = Plan::new();
    for write in writes.writes().iter().rev() {
        plan.push(*write);
    }
    Ok(plan)
}

#[cfg(test)]
mod tests;
