//! What a switch from the kernel's thread into a process touches: where this kernel has it.
//!
//! The list itself, and in which order, is in `exported`, for whoever looks from outside has to
//! make the same.

use core::sync::atomic::AtomicU32;

use exported::{Kernel, MOST_NEEDS, Range, Switch, TrapFrame};
use heapless::Vec;
use machine::transition::Need;
use machine::{PhysMemory, VirtAddr};
use shell::Rsp0;

use super::{MOST, Process, Table, schedule, table};
use crate::arch::{cpu, descriptors, entry, snapshot, switch};
use crate::memory::physmap::{self, LiveMemory};
use crate::memory::{layout, stacks};
use crate::{console, debugger, events, fault, target};

/// The need with this index, of a switch to a process that is alive.
pub(super) fn need(pid: u32, index: usize) -> Option<Need> {
    list(pid)?.get(index).copied()
}

/// RSP0 while the process runs, and the top of its kernel stack.
pub(super) fn rsp0(pid: u32) -> Option<Rsp0> {
    let mut table = table();
    let process = table.get(pid)?;
    Some(Rsp0 {
        value: VirtAddr(process.rsp0),
        should_be: VirtAddr(process.stack.top),
    })
}

fn list(pid: u32) -> Option<Vec<Need, MOST_NEEDS>> {
    let switch = switch();
    let mut table = table();
    let process = table.get(pid)?;
    process.space.as_ref()?;
    let record = core::ptr::from_ref(&*process) as u64;
    let registers = snapshot::registers();
    let kernel = Kernel {
        switch: &switch,
        events: events::exported(),
        next_event: events::next(),
        world_rsp: debugger::world_rsp(),
        idtr: registers.idtr,
        gdtr: registers.gdtr,
        ist_stacks: stacks::IST_PLACES,
        regions: layout::regions(),
        ram: physmap::ranges().map_or(&[], |ranges| &ranges.ram),
        physmap: physmap::offset(),
    };
    Some(exported::needs(
        &kernel,
        &process.exported(),
        record,
        &mut word,
    ))
}

/// What does not depend on the process.
pub(crate) fn switch() -> Switch {
    let range = |at: u64, bytes: usize| Range {
        at,
        bytes: bytes as u64,
    };
    let (tss, tss_bytes) = descriptors::tss_place();
    let [faults, counters, reporting] = fault::places();
    let table = table();
    Switch {
        after_cr3_load: cpu::after_cr3_load(),
        switch_to: schedule::address(),
        switch_stacks: switch::address(),
        saved_bytes: switch::SAVED_BYTES,
        iretq: entry::iretq_address(),
        frame_bytes: size_of::<TrapFrame>() as u64,
        tss: Range {
            at: tss,
            bytes: tss_bytes,
        },
        system_call_rsp: range(entry::system_call_stack_place(), 8),
        current: range(
            core::ptr::from_ref(schedule::current_place()) as u64,
            size_of::<AtomicU32>(),
        ),
        table: range(&raw const *table as u64, size_of::<Table>()),
        slots: range(
            table.slots.as_ptr() as u64,
            MOST * size_of::<Option<alloc::boxed::Box<Process>>>(),
        ),
        process_bytes: size_of::<Process>() as u64,
        stubs: range(entry::stub(0), 256 * 16),
        system_call_entry: entry::system_call_entry(),
        handler: fault::address(),
        faults,
        counters,
        reporting,
        row: console::report_row(),
        rsp0_offset: descriptors::RSP0_OFFSET,
    }
}

/// A word of a kernel stack, read without being on it.
fn word(at: u64) -> Option<u64> {
    let root = crate::memory::master::root()?;
    let mut bytes = [0; 8];
    let paging = target::paging();
    let memory: &mut dyn PhysMemory = &mut LiveMemory;
    machine::read_virt(memory, &paging, root, VirtAddr(at), &mut bytes).ok()?;
    Some(u64::from_le_bytes(bytes))
}
