//! `descriptors`: the GDT and the selectors in use, the task state segment, and every gate.
//!
//! They are read through one set of tables: those that were asked for, else the master's, which
//! every space shares. What the processor would do with each is in the manual, Intel SDM volume
//! 3A, "Protected-Mode Exceptions and Interrupts", "Interrupt and Exception Handling".

mod gdt;
mod idt;
mod tss;

use machine::{Registers, Segment, SegmentKind, Selector, VirtAddr, VirtError, Walk, read_virt};

use super::report::Report;
use super::scope::Scope;
use crate::Error;
use crate::command::Context;
use crate::render::Count;
use crate::space::Space;

pub(super) fn run(context: &mut Context<'_>, scope: &Scope) -> Result<Report, Error> {
    let cpu = context.target.cpu().ok_or(Error::Lacks("registers"))?;
    let registers = cpu.registers();
    let space = match (scope.given(), context.target.master()) {
        (Some(tree), _) => tree.space,
        (None, Some(master)) => Space::live(master),
        (None, None) => Space::live(context.cr3()?),
    };
    let look = Look { space, registers };
    let mut report = Report::default();
    let descriptors = gdt::check(context, &look, &mut report);
    gdt::selectors(context, &look, &mut report);
    let tss = tss::check(context, &look, &mut report);
    let gates = idt::check(context, &look, tss.as_ref(), &mut report);
    let stacks = tss.map_or(0, |tss| tss::stacks(&tss));
    let (descriptors, gates) = (Count(descriptors, "descriptor"), Count(gates, "gate"));
    let stacks = Count(stacks, "stack");
    report.extent(format_args!("{descriptors}, {gates}, {stacks}"));
    Ok(report)
}

/// Where the tables are, and through which page tables to read them.
struct Look {
    space: Space,
    registers: Registers,
}

impl Look {
    fn bytes<const N: usize>(
        &self,
        context: &mut Context<'_>,
        base: u64,
        offset: u64,
    ) -> Result<[u8; N], VirtError> {
        let (paging, root) = (context.target.paging(), self.space.root);
        let at = VirtAddr(base.wrapping_add(offset));
        let mut bytes = [0; N];
        read_virt(
            &mut context.view(&self.space),
            &paging,
            root,
            at,
            &mut bytes,
        )?;
        Ok(bytes)
    }

    fn word(&self, context: &mut Context<'_>, base: u64, offset: u64) -> Result<u64, VirtError> {
        self.bytes(context, base, offset).map(u64::from_le_bytes)
    }

    fn walk(&self, context: &mut Context<'_>, va: VirtAddr) -> Walk {
        let paging = context.target.paging();
        let mut view = context.view(&self.space);
        machine::walk(&mut view, &paging, self.space.root, va)
    }

    /// The descriptor at this offset of the GDT, if all of it is within the limit.
    fn descriptor(
        &self,
        context: &mut Context<'_>,
        offset: u64,
    ) -> Result<Option<Segment>, VirtError> {
        let (base, limit) = (self.registers.gdtr.base, self.registers.gdtr.limit.into());
        let is_within = |bytes: u64| offset.saturating_add(bytes - 1) <= limit;
        if !is_within(8) {
            return Ok(None);
        }
        let low = self.word(context, base, offset)?;
        let high = match is_within(16) {
            true => self.word(context, base, offset.wrapping_add(8))?,
            false => 0,
        };
        let segment = Segment::decode(low, high);
        Ok(is_within(segment.bytes() as u64).then_some(segment))
    }

    /// What is wrong with a selector as that of 64-bit code at this privilege level.
    fn unless_code(
        &self,
        context: &mut Context<'_>,
        selector: Selector,
        level: u8,
    ) -> Option<&'static str> {
        if selector.is_null() {
            return Some("is null");
        }
        if selector.is_local() {
            return Some("names the LDT");
        }
        let offset = u64::from(selector.index()) * 8;
        // A table that cannot be read has a row of its own.
        let Some(segment) = self.descriptor(context, offset).ok()? else {
            return Some("is beyond the limit of the GDT");
        };
        let SegmentKind::Code { conforming, .. } = segment.kind else {
            return Some("does not name code");
        };
        if !segment.present {
            return Some("names code that is not present");
        }
        if !segment.long {
            return Some("names code that is not 64-bit");
        }
        match (conforming, segment.dpl.cmp(&level)) {
            (_, core::cmp::Ordering::Greater) | (false, core::cmp::Ordering::Less) => {
                Some("names code of another privilege level")
            }
            _ => None,
        }
    }
}
