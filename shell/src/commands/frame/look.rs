//! Everybody who names a frame: entries of every tree, roots, CR3, saved CR3s.
//!
//! The part of a process's tables that is the master's is looked at once, as the master's.

use machine::{Entries, EntryItem, Kind, PhysAddr, Present, Progress, walk};

use crate::command::Context;
use crate::commands::roots::{Roots, Tree, is_masters};
use crate::process::Pids;
use crate::{Error, Pid};

/// Somebody who names the frame.
#[derive(Clone, Copy, Debug)]
pub(super) enum Hit {
    /// An entry maps it, or part of a large page is it.
    Page(By),
    /// An entry names it as a table.
    Table(By),
    /// It is the top table of a tree.
    Root(Tree),
    /// The processor's CR3.
    Cr3,
    /// What is saved of a process's CR3.
    SavedCr3(Pid),
}

/// An entry that names the frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct By {
    pub(super) tree: Tree,
    pub(super) present: Present,
    /// How many other spaces have the same entry at the same address.
    pub(super) others: u64,
}

/// Calls `visit` for each of them. `frame` is the first byte of the frame.
pub(super) fn look(
    context: &mut Context<'_>,
    frame: PhysAddr,
    visit: &mut dyn FnMut(&mut Context<'_>, Hit) -> Result<(), Error>,
) -> Result<(), Error> {
    let paging = context.target.paging();
    let mut roots = Roots::new(context.target);
    while let Some((tree, root)) = roots.next(context.target) {
        if paging.root(root) == frame {
            visit(context, Hit::Root(tree))?;
        }
        let mut entries = Entries::new(paging, root);
        loop {
            let item = match entries.advance(context.target.memory()) {
                Progress::Row(item) => item,
                Progress::Working => {
                    context.check_interrupt()?;
                    continue;
                }
                Progress::Done => break,
            };
            let EntryItem::Present(present) = item else {
                continue;
            };
            match present.names {
                Kind::Page { at, size } if frame.0.wrapping_sub(at.0) < size.bytes() => {
                    let by = by(context, tree, present);
                    visit(context, Hit::Page(by))?;
                }
                Kind::Table { at } => {
                    if at == frame {
                        let by = by(context, tree, present);
                        visit(context, Hit::Table(by))?;
                    }
                    if tree != Tree::Master && is_masters(context, &present) {
                        entries.pass_over();
                    }
                    context.check_interrupt()?;
                }
                _ => {}
            }
        }
    }
    registers(context, frame, visit)
}

fn registers(
    context: &mut Context<'_>,
    frame: PhysAddr,
    visit: &mut dyn FnMut(&mut Context<'_>, Hit) -> Result<(), Error>,
) -> Result<(), Error> {
    let paging = context.target.paging();
    let is_it = |cr3: u64| paging.root(PhysAddr(cr3)) == frame;
    let cr3 = context.target.cpu().map(|cpu| cpu.registers().cr3);
    if cr3.is_some_and(is_it) {
        visit(context, Hit::Cr3)?;
    }
    // Without processes there is nothing saved.
    let Ok(mut pids) = Pids::all(context.target) else {
        return Ok(());
    };
    while let Some(info) = pids.next(context.target) {
        let processes = context.target.processes();
        let saved = processes.and_then(|processes| processes.registers(info.pid));
        let is_alive = info.state.exit().is_none();
        if saved.is_some_and(|saved| is_alive && is_it(saved.cr3)) {
            visit(context, Hit::SavedCr3(info.pid))?;
        }
    }
    Ok(())
}

/// Who else has this entry.
fn by(context: &mut Context<'_>, tree: Tree, present: Present) -> By {
    let mut others = 0_u64;
    let mut roots = Roots::new(context.target);
    while let Some((other, root)) = roots.next(context.target) {
        if other != tree && has_entry(context, root, &present) {
            others = others.saturating_add(1);
        }
    }
    By {
        tree,
        present,
        others,
    }
}

/// Whether the tree at `root` has the same entry at the same address.
fn has_entry(context: &mut Context<'_>, root: PhysAddr, present: &Present) -> bool {
    let paging = context.target.paging();
    let walk = walk(context.target.memory(), &paging, root, present.va);
    let mut steps = walk.steps().iter();
    steps.any(|step| step.table == present.table && step.entry.level == present.entry.level)
}
