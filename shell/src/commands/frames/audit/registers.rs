//! CR3 and what is saved of it, held against the roots there are.

use machine::PhysAddr;

use super::finding::{Finding, What};
use super::scan::{Scan, frame};
use crate::Error;
use crate::command::Context;
use crate::commands::roots::{Roots, Tree};
use crate::process::Pids;

impl Scan {
    pub(super) fn cr3(&mut self, context: &mut Context<'_>) -> Result<(), Error> {
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

    pub(super) fn saved_cr3s(&mut self, context: &mut Context<'_>) -> Result<(), Error> {
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
