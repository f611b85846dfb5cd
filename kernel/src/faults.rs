//! Faults written down: everything a report needs, gathered right when the exception came, and the
//! last 64 of them kept.
//!
//! Gathering neither allocates nor waits. Whoever reads the ring has it locked for a moment with
//! interrupts off; an exception in that moment is reported and counted, but not kept.

use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};

use exported::{Fault, List, Range, Record as _, TrapFrame};
use heapless::String;
use machine::{Cause, Code, Named, Paging, PhysAddr, PhysMemory, Registers, VirtAddr};
use shell::{FaultRecord, OnStack, ProcessName, Region, Symbols, Target};

use crate::arch::{cpu, snapshot};
use crate::lock::Lock;
use crate::memory::physmap::LiveMemory;
use crate::memory::{layout, master, stacks};
use crate::symbols::LiveSymbols;
use crate::{backtrace, crash, process, target};

/// How many are kept.
const KEPT: usize = 64;

struct Ring {
    records: [Fault; KEPT],
    newest: u64,
}

/// Where they are kept.
pub(crate) fn place() -> Range {
    Range {
        at: &raw const RING as u64,
        bytes: size_of_val(&RING) as u64,
    }
}

/// For whoever looks from outside: the records, and the word with the number of the newest.
pub(crate) fn exported() -> (List, u64) {
    cpu::without_interrupts(|| {
        let ring = RING.lock();
        let records = List {
            at: ring.records.as_ptr() as u64,
            count: KEPT as u64,
        };
        (records, &raw const ring.newest as u64)
    })
}

static RING: Lock<Ring> = Lock::new(
    "the list of faults",
    Ring {
        records: [Fault::ZERO; KEPT],
        newest: 0,
    },
);

const PAGE_FAULT: u8 = 14;
/// What a panic has.
const NO_VECTOR: u8 = 0xff;
const DOUBLE_FAULT: u8 = 8;

/// Gathers what is known about an exception, and keeps it.
pub(crate) fn record(vector: u8, frame: &TrapFrame, cr2: u64, cr3: u64) -> FaultRecord {
    keep(gather(vector, frame, cr2, cr3))
}

/// The same for a panic in this state.
pub(crate) fn record_panic(message: String<200>, frame: &TrapFrame, cr3: u64) -> FaultRecord {
    let record = gather(NO_VECTOR, frame, cpu::cr2(), cr3);
    keep(FaultRecord {
        panic: Some(message),
        ..record
    })
}

/// The panic says this, as it turned out when text was made of it.
pub(crate) fn amend(record: &mut FaultRecord, message: String<200>) {
    record.panic = Some(message);
    if let Some(mut ring) = RING.try_lock() {
        store(&mut ring, record);
    }
}

/// The debugger's fault is being gathered.
static IS_GATHERING: AtomicBool = AtomicBool::new(false);

/// The same for a fault of the debugger, which is survived; not if gathering it is what faults.
pub(crate) fn record_of_debugger(vector: u8, frame: &TrapFrame, cr2: u64) {
    if !IS_GATHERING.swap(true, Ordering::Relaxed) {
        let record = gather(vector, frame, cr2, master::come_home());
        keep(of_nobody(record));
    }
    IS_GATHERING.store(false, Ordering::Relaxed);
}

/// The same for a panic of the debugger.
pub(crate) fn record_panic_of_debugger(message: String<200>, frame: &TrapFrame) {
    if !IS_GATHERING.swap(true, Ordering::Relaxed) {
        let record = gather(NO_VECTOR, frame, cpu::cr2(), master::come_home());
        keep(FaultRecord {
            panic: Some(message),
            ..of_nobody(record)
        });
    }
    IS_GATHERING.store(false, Ordering::Relaxed);
}

/// It was not done for the process that is stopped.
fn of_nobody(record: FaultRecord) -> FaultRecord {
    FaultRecord {
        pid: 0,
        name: ProcessName::default(),
        ..record
    }
}

fn keep(mut record: FaultRecord) -> FaultRecord {
    if let Some(mut ring) = RING.try_lock() {
        ring.newest += 1;
        record.seq = ring.newest;
        store(&mut ring, &record);
    }
    record
}

fn store(ring: &mut Ring, record: &FaultRecord) {
    let place = (record.seq % KEPT as u64) as usize;
    if let Some(place) = ring.records.get_mut(place)
        && record.seq != 0
    {
        *place = Fault::new(record);
    }
}

/// The numbers of the oldest and the newest that are kept.
pub(crate) fn bounds() -> (u64, u64) {
    let newest = cpu::without_interrupts(|| RING.lock().newest);
    (newest.saturating_sub(KEPT as u64) + 1, newest)
}

/// The one with this number.
pub(crate) fn get(seq: u64) -> Option<FaultRecord> {
    cpu::without_interrupts(|| {
        let ring = RING.lock();
        let place = usize::try_from(seq % KEPT as u64).ok()?;
        let record = ring.records.get(place)?;
        (seq != 0 && record.seq == seq).then(|| record.get(&target::paging()))
    })
}

fn gather(vector: u8, frame: &TrapFrame, cr2: u64, cr3: u64) -> FaultRecord {
    let cycles = cpu::cycles();
    let registers = Registers {
        cr2,
        cr3,
        ..frame.registers(snapshot::registers())
    };
    let root = PhysAddr(registers.cr3);
    let paging = target::paging();
    let (pid, name) = process::who().unwrap_or_default();
    let has_address = vector == PAGE_FAULT || vector == DOUBLE_FAULT;
    let mut record = FaultRecord {
        seq: 0,
        cycles,
        took: 0,
        vector,
        panic: None,
        error: frame.error,
        pid,
        name: ProcessName::try_from(name.as_str()).unwrap_or_default(),
        is_master: master::root().is_some_and(|master| paging.root(root) == master),
        code: code(&paging, root, VirtAddr(registers.rip)),
        walk: (vector == PAGE_FAULT)
            .then(|| machine::walk(&mut LiveMemory, &paging, root, VirtAddr(cr2))),
        named: None,
        stack: stacks::holding(registers.rsp).or_else(|| process::stack_holding(registers.rsp)),
        guard: has_address.then(|| guard(cr2)).flatten(),
        backtrace: backtrace::of_trap(frame, root),
        registers,
    };
    if let Cause::Selector(error) = record.cause() {
        record.named = Named::read(&mut LiveMemory, &paging, root, &record.registers, &error);
    }
    record.took = cpu::cycles().saturating_sub(cycles);
    record
}

/// The stack in whose guard page an address is.
fn guard(address: u64) -> Option<OnStack> {
    stacks::guarded_by(address).or_else(|| process::stack_guarded_by(address))
}

/// What stands at RIP, as far as it can be read.
fn code(paging: &Paging, root: PhysAddr, rip: VirtAddr) -> Code {
    let mut bytes = [0; Code::BYTES];
    let read = machine::read_virt(&mut LiveMemory, paging, root, rip, &mut bytes);
    let readable = match read {
        Ok(()) => bytes.len(),
        Err(why) => usize::try_from(why.at.0.wrapping_sub(rip.0)).unwrap_or(0),
    };
    Code::new(bytes.get(..readable).unwrap_or_default())
}

/// Writes the report of a fault or a panic that ends the kernel.
pub(crate) fn report(record: &FaultRecord, out: &mut dyn fmt::Write) -> fmt::Result {
    let lead = if record.panic.is_some() {
        ""
    } else {
        "fault: "
    };
    write!(out, "\n{lead}")?;
    crash::in_report();
    shell::report(record, &mut Looking(LiveMemory, LiveSymbols), out)
}

/// The kernel as a report sees it: what can be asked without waiting.
struct Looking(LiveMemory, LiveSymbols);

impl Target for Looking {
    fn name(&self) -> &str {
        "kernel"
    }

    fn paging(&self) -> Paging {
        target::paging()
    }

    fn memory(&mut self) -> &mut dyn PhysMemory {
        &mut self.0
    }

    fn master(&self) -> Option<PhysAddr> {
        master::root()
    }

    fn regions(&self) -> &[Region] {
        layout::regions()
    }

    fn symbols(&mut self) -> Option<&mut dyn Symbols> {
        Some(&mut self.1)
    }
}
