//! What a switch from the kernel's thread into a process touches, as a list to be looked up in
//! the tables to come.
//!
//! This is the one place that knows it; whoever changes the kernel's `schedule::switch_to`, what
//! comes after it, or what a fault's report needs, changes this list.

use heapless::Vec;
use machine::transition::{Need, Use, When};
use machine::{TablePointer, VirtAddr};
use shell::Region;

use crate::record::records;
use crate::{EventRecord, IST_NAMES, List, PhysRange, Places, Process, Stack};

/// As many needs as there can be.
pub const MOST_NEEDS: usize = 80;

/// What the CPU pushes for a trap: five words and an error code.
const PUSHED: u64 = 48;
const PAGE: u64 = 4096;

records! {
    /// A range of bytes.
    Range {
        /// The first byte.
        at: u64,
        /// How many.
        bytes: u64,
    }

    /// What a switch touches, whatever process it is to.
    Switch {
        /// The instruction behind the load of CR3.
        after_cr3_load: u64,
        /// The function it returns to.
        switch_to: u64,
        /// The function that switches stacks.
        switch_stacks: u64,
        /// How many bytes that saves on a stack.
        saved_bytes: u64,
        /// The IRETQ.
        iretq: u64,
        /// A trap frame's bytes.
        frame_bytes: u64,
        /// The TSS.
        tss: Range,
        /// Where RSP is that SYSCALL's entry loads.
        system_call_rsp: Range,
        /// Who runs.
        current: Range,
        /// The table of processes.
        table: Range,
        /// Its slots.
        slots: Range,
        /// The kernel's whole record of a process.
        process_bytes: u64,
        /// The 256 entry stubs.
        stubs: Range,
        /// The entry of SYSCALL.
        system_call_entry: u64,
        /// The function that they call.
        handler: u64,
        /// The records of faults.
        faults: Range,
        /// The counters of traps.
        counters: Range,
        /// The counter of reports under way.
        reporting: Range,
        /// The row at which a report goes on.
        row: Range,
        /// The first RSP0 in the TSS, from its beginning.
        rsp0_offset: u64,
    }
}

/// What else there is to know.
#[derive(Clone, Copy, Debug)]
pub struct Kernel<'a> {
    /// What is always the same.
    pub switch: &'a Switch,
    /// The ring of events.
    pub events: List,
    /// Where the number of the next event is, and the number.
    pub next_event: (u64, u64),
    /// Where the stack of the kernel's own thread stands.
    pub world_rsp: u64,
    /// The IDT.
    pub idtr: TablePointer,
    /// The GDT.
    pub gdtr: TablePointer,
    /// Where the IST stacks are.
    pub ist_stacks: Places,
    /// The named regions.
    pub regions: &'a [Region],
    /// All RAM.
    pub ram: &'a [PhysRange],
    /// Where physical address 0 would be.
    pub physmap: u64,
}

/// The needs of a switch to a process, whose record is at `record`. `word` reads a word by the
/// kernel's own tables.
pub fn needs(
    kernel: &Kernel<'_>,
    process: &Process,
    record: u64,
    word: &mut dyn FnMut(u64) -> Option<u64>,
) -> Vec<Need, MOST_NEEDS> {
    let switch = kernel.switch;
    let record = Range {
        at: record,
        bytes: switch.process_bytes,
    };
    let mut list = Needs {
        needs: Vec::new(),
        when: When::Switch,
        rsp: kernel.world_rsp,
    };
    list.way_out(kernel);
    list.way_in(switch, process, record, word);
    list.when = When::Trap;
    list.traps(kernel, process);
    list.when = When::Report;
    list.range("records of faults", switch.faults, Use::Write);
    list.range("trap counters", switch.counters, Use::Write);
    list.range("reports under way", switch.reporting, Use::Write);
    list.range("the report's row", switch.row, Use::Write);
    // The report names the process.
    list.range("process table", switch.table, Use::Read);
    list.range("its record", record, Use::Read);
    list.when = When::Whole;
    list.regions(kernel);
    list.needs
}

struct Needs {
    needs: Vec<Need, MOST_NEEDS>,
    when: When,
    rsp: u64,
}

impl Needs {
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

    fn range(&mut self, what: &'static str, range: Range, how: Use) {
        self.add(what, range.at, range.bytes, how);
    }

    /// On the stack of the thread that goes.
    fn way_out(&mut self, kernel: &Kernel<'_>) {
        let (switch, rsp) = (kernel.switch, self.rsp);
        self.add("next instruction", switch.after_cr3_load, 1, Use::Fetch);
        self.add("return address", rsp, 8, Use::Read);
        self.add("code it returns to", switch.switch_to, 1, Use::Fetch);
        self.add("stack in use", rsp.wrapping_sub(8), 8, Use::Stack);
        let below = (rsp & !(PAGE - 1)).wrapping_sub(8);
        self.add("page below it", below, 8, Use::Stack);
        let (counter, next) = kernel.next_event;
        self.add("event counter", counter, 8, Use::Write);
        // The next one: the switch begins with it, and the others follow.
        let bytes = size_of::<EventRecord>() as u64;
        let index = next.checked_rem(kernel.events.count).unwrap_or(0);
        let event = kernel.events.at.wrapping_add(index.wrapping_mul(bytes));
        self.add("next event record", event, bytes, Use::Write);
        // It is read before it is written.
        let rsp0 = switch.tss.at.wrapping_add(switch.rsp0_offset);
        self.add("old RSP0", rsp0, 8, Use::Read);
        self.add("RSP0 in the TSS", rsp0, 8, Use::Write);
        self.range("stack for SYSCALL", switch.system_call_rsp, Use::Write);
        self.range("who runs", switch.current, Use::Write);
        self.range("process table", switch.table, Use::Write);
        self.range("its slots", switch.slots, Use::Read);
    }

    /// On the kernel stack of the process that comes.
    fn way_in(
        &mut self,
        switch: &Switch,
        process: &Process,
        record: Range,
        word: &mut dyn FnMut(u64) -> Option<u64>,
    ) {
        let rsp = process.kernel_rsp;
        self.rsp = rsp;
        self.add("switch of stacks", switch.switch_stacks, 1, Use::Fetch);
        let saved = switch.saved_bytes;
        self.add("registers it saved", rsp, saved, Use::Read);
        let last = rsp.wrapping_add(saved).wrapping_sub(8);
        if let Some(next) = word(last) {
            self.add("code it goes on with", next, 1, Use::Fetch);
        }
        self.rsp = rsp.wrapping_add(saved);
        self.add("its kernel stack", last, 8, Use::Stack);
        let below = (rsp & !(PAGE - 1)).wrapping_sub(8);
        let below = below.max(process.stack.bottom);
        self.add("page below it", below, 8, Use::Stack);
        self.range("its record", record, Use::Write);
        let frame = switch.frame_bytes;
        let at = process.stack.top.wrapping_sub(frame);
        self.add("its return frame", at, frame, Use::Read);
        self.add("IRETQ", switch.iretq, 2, Use::Fetch);
    }

    fn traps(&mut self, kernel: &Kernel<'_>, process: &Process) {
        let switch = kernel.switch;
        for (what, table) in [("IDT", kernel.idtr), ("GDT", kernel.gdtr)] {
            self.add(what, table.base, u64::from(table.limit) + 1, Use::Read);
        }
        self.range("TSS", switch.tss, Use::Read);
        self.range("handler entries", switch.stubs, Use::Fetch);
        self.add("SYSCALL entry", switch.system_call_entry, 1, Use::Fetch);
        self.add("handler", switch.handler, 1, Use::Fetch);
        let rsp0 = process.rsp0 & !0xf;
        let below = (rsp0.wrapping_sub(PUSHED) & !(PAGE - 1)).wrapping_sub(8);
        self.add("RSP0 stack", rsp0.wrapping_sub(PUSHED), PUSHED, Use::Stack);
        self.add("page below RSP0", below, 8, Use::Stack);
        self.stack("its kernel stack, all of it", process.stack);
        for (index, name) in (0..).zip(IST_NAMES) {
            if let Some(stack) = kernel.ist_stacks.stack(index) {
                self.stack(name, stack);
            }
        }
    }

    fn stack(&mut self, what: &'static str, stack: Stack) {
        let bytes = stack.top.wrapping_sub(stack.bottom);
        self.add(what, stack.bottom, bytes, Use::Stack);
        let guard = stack.bottom.wrapping_sub(PAGE);
        self.add("guard below it", guard, PAGE, Use::Guard);
    }

    /// The regions the kernel lives in; of stacks above, each by itself.
    fn regions(&mut self, kernel: &Kernel<'_>) {
        for region in kernel.regions {
            let how = match region.name {
                "kernel text" => Use::Fetch,
                "kernel rodata" | "kernel relro" => Use::Read,
                "kernel data" | "heap" | "framebuffer" => Use::Write,
                _ => continue,
            };
            let bytes = region.last.0.saturating_sub(region.first.0);
            self.add(region.name, region.first.0, bytes.saturating_add(1), how);
        }
        // The physmap has RAM only, and holes elsewhere.
        for range in kernel.ram {
            let first = kernel.physmap.wrapping_add(range.start);
            let bytes = range.end.saturating_sub(range.start);
            self.add("physmap", first, bytes, Use::Write);
        }
    }
}
