//! Where an entry is in the tables of all spaces: what it stands for, and who has it.

use machine::{Level, PhysAddr, Progress, Range, TableItem, Tables, VirtAddr, walk};

use crate::command::Context;
use crate::process::Pids;
use crate::{Error, Pid};

/// An address space that is in use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Owner {
    /// `None` for the master table.
    pub(super) pid: Option<Pid>,
    pub(super) root: PhysAddr,
}

/// An entry as one meets it in a space.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Spot {
    pub(super) at: PhysAddr,
    pub(super) level: Level,
    /// The first address it stands for.
    pub(super) va: VirtAddr,
}

/// The spaces that have a table.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Holders {
    /// How many there are.
    pub(super) count: u64,
    /// The first of them, and where the entry is in it.
    pub(super) first: Option<(Owner, Spot)>,
    /// How many spaces there are in all.
    pub(super) spaces: u64,
}

/// Looks for the table of the entry at `at` in every space.
pub(super) fn holders(context: &mut Context<'_>, at: PhysAddr) -> Result<Holders, Error> {
    let mut holders = Holders::default();
    let mut in_master = None;
    each_space(context, |context, owner| {
        context.check_interrupt()?;
        holders.spaces = holders.spaces.saturating_add(1);
        let found = match owner.pid {
            None => {
                in_master = find(context, owner.root, at, None)?;
                in_master
            }
            Some(_) => match in_master {
                // It is the kernel's: a walk to the same address meets it, or it is not here.
                Some(spot) if meets(context, owner.root, &spot) => Some(spot),
                _ => {
                    let master = context.target.master();
                    find(context, owner.root, at, master)?
                }
            },
        };
        if let Some(spot) = found {
            holders.count = holders.count.saturating_add(1);
            holders.first = holders.first.or(Some((owner, spot)));
        }
        Ok(())
    })?;
    Ok(holders)
}

/// Calls `each` with every space there is, the master first.
pub(super) fn each_space(
    context: &mut Context<'_>,
    mut each: impl FnMut(&mut Context<'_>, Owner) -> Result<(), Error>,
) -> Result<(), Error> {
    if let Some(root) = context.target.master() {
        each(context, Owner { pid: None, root })?;
    }
    // Without processes the master is all there is.
    let Ok(mut pids) = Pids::all(context.target) else {
        return Ok(());
    };
    while let Some(info) = pids.next(context.target) {
        if info.state.exit().is_none() {
            let (pid, root) = (Some(info.pid), info.root);
            each(context, Owner { pid, root })?;
        }
    }
    Ok(())
}

fn meets(context: &mut Context<'_>, root: PhysAddr, spot: &Spot) -> bool {
    let paging = context.target.paging();
    let walk = walk(context.target.memory(), &paging, root, spot.va);
    let mut steps = walk.steps().iter();
    steps.any(|step| step.entry_address() == spot.at)
}

/// Looks in one space; what is the very same below `master` is left out.
fn find(
    context: &mut Context<'_>,
    root: PhysAddr,
    at: PhysAddr,
    master: Option<PhysAddr>,
) -> Result<Option<Spot>, Error> {
    let paging = context.target.paging();
    let (frame, index) = (PhysAddr(at.0 & !0xfff), (at.0 & 0xfff) / 8);
    let mut tables = Tables::new(paging, root);
    loop {
        let table = match tables.advance(context.target.memory()) {
            Progress::Done => return Ok(None),
            Progress::Row(TableItem::Table(table)) => table,
            Progress::Row(TableItem::Hole(_)) | Progress::Working => {
                context.check_interrupt()?;
                continue;
            }
        };
        if table.at == frame {
            let offset = index.wrapping_mul(table.level.span());
            return Ok(Some(Spot {
                at,
                level: table.level,
                va: paging.sign_extend(table.va.0.wrapping_add(offset)),
            }));
        }
        let is_kernels =
            Some(table.level) == paging.top().next() && Range::UPPER.contains(table.va);
        if let (true, Some(master)) = (is_kernels, master) {
            let slot = paging.top().index(table.va) as u64 * 8;
            let master = PhysAddr(paging.root(master).0.wrapping_add(slot));
            let raw = context.target.memory().read_u64(master).unwrap_or(0);
            let entry = paging.decode(raw, paging.top());
            if entry.kind == (machine::Kind::Table { at: table.at }) {
                tables.skip();
            }
        }
    }
}
