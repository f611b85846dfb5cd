//! What a switch from the kernel's thread into a process touches, as a list to be looked up in
//! the tables to come.
//!
//! This is the one place that knows it; whoever changes `schedule::switch_to`, what comes after
//! it, or what a fault's report needs, changes this list.

use heapless::Vec;
use machine::transition::{Need, Use, When};
use machine::{PhysMemory, VirtAddr};
use shell::Rsp0;

use super::{Process, Table, schedule, table};
use crate::arch::entry::TrapFrame;
use crate::arch::{cpu, descriptors, entry, snapshot, switch};
use crate::memory::layout::{self, PAGE};
use crate::memory::physmap::{self, LiveMemory};
use crate::memory::stacks;
use crate::{console, debugger, events, fault, target};

/// As many needs as there can be.
const MOST: usize = 80;

/// What the CPU pushes for a trap: five words and an error code.
const PUSHED: u64 = 48;

/// The need with this index, of a switch to a process that is alive.
pub(super) fn need(pid: u32, index: usize) -> Option<Need> {
    list(pid)?.get(index).copied()
}

/// RSP0 while the process runs, and the top of its kernel stack.
pub(super) fn rsp0(pid: u32) -> Option<Rsp0> {
    let mut table = table();
    let process = table.get(pid)?;
    Some(Rsp0 {
        value: VirtAddr(process.rsp0()),
        should_be: VirtAddr(process.stack.top),
    })
}

fn list(pid: u32) -> Option<Vec<Need, MOST>> {
    let mut table = table();
    let place = &raw const *table as u64;
    let slots = (
        table.slots.as_ptr() as u64,
        size_of_val(table.slots.as_slice()),
    );
    let process = table.get(pid)?;
    process.space.as_ref()?;
    let record = core::ptr::from_ref(&*process) as u64;
    let mut list = List {
        needs: Vec::new(),
        when: When::Switch,
        rsp: debugger::world_rsp(),
    };
    list.way_out(place, slots);
    list.way_in(process);
    list.when = When::Trap;
    list.traps(process);
    list.when = When::Report;
    list.report();
    // The report names the process.
    list.add("process table", place, size_of::<Table>() as u64, Use::Read);
    list.add("its record", record, size_of::<Process>() as u64, Use::Read);
    list.when = When::Whole;
    list.regions();
    Some(list.needs)
}

struct List {
    needs: Vec<Need, MOST>,
    when: When,
    rsp: u64,
}

impl List {
    fn add(&mut self, what: &'static str, first: u64, bytes: u64, how: Use) {
        // A list too short shows as a need that is missing, and a test counts them.
        let _ = self.needs.push(Need {
            what,
            first: VirtAddr(first),
            bytes,
            how,
            when: self.when,
            rsp: VirtAddr(self.rsp),
        });
    }

    fn object<T: ?Sized>(&mut self, what: &'static str, object: &T) {
        let first = core::ptr::from_ref(object).cast::<u8>() as u64;
        self.add(what, first, size_of_val(object) as u64, Use::Write);
    }

    /// On the stack of the thread that goes.
    fn way_out(&mut self, table: u64, (slots, slot_bytes): (u64, usize)) {
        let rsp = self.rsp;
        self.add("next instruction", cpu::after_cr3_load(), 1, Use::Fetch);
        self.add("return address", rsp, 8, Use::Read);
        let switch_to = schedule::address();
        self.add("code it returns to", switch_to, 1, Use::Fetch);
        self.add("stack in use", rsp - 8, 8, Use::Stack);
        self.add("page below it", (rsp & !(PAGE - 1)) - 8, 8, Use::Stack);
        for (what, first, bytes) in events::places() {
            self.add(what, first, bytes, Use::Write);
        }
        // It is read before it is written.
        self.add("old RSP0", descriptors::tss_place().0 + 4, 8, Use::Read);
        for (what, first, bytes) in descriptors::rsp0_places() {
            self.add(what, first, bytes, Use::Write);
        }
        self.object("who runs", schedule::current_place());
        self.add(
            "process table",
            table,
            size_of::<Table>() as u64,
            Use::Write,
        );
        self.add("its slots", slots, slot_bytes as u64, Use::Read);
    }

    /// On the kernel stack of the process that comes.
    fn way_in(&mut self, process: &Process) {
        let rsp = process.kernel_rsp;
        self.rsp = rsp;
        self.add("switch of stacks", switch::address(), 1, Use::Fetch);
        let saved = switch::SAVED_BYTES;
        self.add("registers it saved", rsp, saved, Use::Read);
        if let Some(next) = word(rsp + saved - 8) {
            self.add("code it goes on with", next, 1, Use::Fetch);
        }
        self.rsp = rsp + saved;
        self.add("its kernel stack", rsp + saved - 8, 8, Use::Stack);
        let below = ((rsp & !(PAGE - 1)) - 8).max(process.stack.bottom);
        self.add("page below it", below, 8, Use::Stack);
        self.object("its record", process);
        let frame = size_of::<TrapFrame>() as u64;
        let top = process.stack.top;
        self.add("its return frame", top - frame, frame, Use::Read);
        self.add("IRETQ", entry::iretq_address(), 2, Use::Fetch);
    }

    fn traps(&mut self, process: &Process) {
        let registers = snapshot::registers();
        for (what, table) in [("IDT", registers.idtr), ("GDT", registers.gdtr)] {
            self.add(what, table.base, u64::from(table.limit) + 1, Use::Read);
        }
        let (tss, bytes) = descriptors::tss_place();
        self.add("TSS", tss, bytes, Use::Read);
        self.add("handler entries", entry::stub(0), 256 * 16, Use::Fetch);
        self.add("SYSCALL entry", entry::system_call_entry(), 1, Use::Fetch);
        self.add("handler", fault::address(), 1, Use::Fetch);
        let rsp0 = process.rsp0() & !0xf;
        let below = (rsp0.wrapping_sub(PUSHED) & !(PAGE - 1)).wrapping_sub(8);
        self.add("RSP0 stack", rsp0.wrapping_sub(PUSHED), PUSHED, Use::Stack);
        self.add("page below RSP0", below, 8, Use::Stack);
        let stack = process.stack;
        self.stack("its kernel stack, all of it", stack, "guard below it");
        for (index, (_, _, name)) in (0..).zip(descriptors::IST_STACKS) {
            self.stack(name, stacks::ist_stack(index), "guard below it");
        }
    }

    fn stack(&mut self, what: &'static str, stack: stacks::Stack, guard: &'static str) {
        self.add(what, stack.bottom, stack.top - stack.bottom, Use::Stack);
        self.add(guard, stack.bottom - PAGE, PAGE, Use::Guard);
    }

    fn report(&mut self) {
        for (what, first, bytes) in fault::places().into_iter().chain(console::places()) {
            self.add(what, first, bytes, Use::Write);
        }
    }

    /// The regions the kernel lives in; of stacks above, each by itself.
    fn regions(&mut self) {
        for region in layout::regions() {
            let how = match region.name {
                "kernel text" => Use::Fetch,
                "kernel rodata" | "kernel relro" => Use::Read,
                "kernel data" | "heap" | "framebuffer" => Use::Write,
                _ => continue,
            };
            let bytes = (region.last.0 - region.first.0).saturating_add(1);
            self.add(region.name, region.first.0, bytes, how);
        }
        // The physmap has RAM only, and holes elsewhere.
        for range in physmap::ranges().into_iter().flat_map(|ranges| &ranges.ram) {
            let first = physmap::offset().wrapping_add(range.start);
            self.add("physmap", first, range.end - range.start, Use::Write);
        }
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
