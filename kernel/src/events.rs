//! A ring of what the processor did: CR3 loads, entries from ring 3 and returns to it, system
//! calls, faults, flushes.
//!
//! Watching must not change what is watched: a record is a handful of stores, with no lock, no
//! allocation and no formatting; names and numbers are made of it later. Interrupts that arrive in
//! ring 0 are not recorded, they would drown the rest; `irq` counts them.

use core::sync::atomic::{AtomicU64, Ordering};

use exported::{EventRecord, List};

use crate::arch::cpu;
use crate::process;

pub(crate) use shell::EventKind as Kind;

/// How many records are kept; the oldest is overwritten.
pub(crate) const CAPACITY: u64 = 4096;

/// One record: an [`EventRecord`]. Each field is stored by itself; `sequence` last, and zeroed first, so that a
/// reader notices a record that is being written.
#[repr(C)]
struct Record {
    sequence: AtomicU64,
    cycles: AtomicU64,
    what: AtomicU64,
    cr3: AtomicU64,
    a: AtomicU64,
    b: AtomicU64,
}

impl Record {
    const fn empty() -> Record {
        Record {
            sequence: AtomicU64::new(0),
            cycles: AtomicU64::new(0),
            what: AtomicU64::new(0),
            cr3: AtomicU64::new(0),
            a: AtomicU64::new(0),
            b: AtomicU64::new(0),
        }
    }
}

static RING: [Record; CAPACITY as usize] = [const { Record::empty() }; CAPACITY as usize];
/// The sequence number of the next record; the first is 1.
static NEXT: AtomicU64 = AtomicU64::new(1);
static COST: AtomicU64 = AtomicU64::new(0);

/// Records an event of the kernel's own.
pub(crate) fn record(kind: Kind, a: u64, b: u64) {
    record_with(kind, None, a, b);
}

/// Records an event with the CS that the CPU pushed.
pub(crate) fn record_with(kind: Kind, cs: Option<u16>, a: u64, b: u64) {
    let sequence = NEXT.fetch_add(1, Ordering::Relaxed);
    let Some(record) = RING.get((sequence % CAPACITY) as usize) else {
        return;
    };
    record.sequence.store(0, Ordering::Relaxed);
    let what = EventRecord::what(kind, process::current_pid(), cs);
    record.cycles.store(cpu::cycles(), Ordering::Relaxed);
    record.what.store(what, Ordering::Relaxed);
    record.cr3.store(cpu::cr3(), Ordering::Relaxed);
    record.a.store(a, Ordering::Relaxed);
    record.b.store(b, Ordering::Relaxed);
    record.sequence.store(sequence, Ordering::Release);
}

/// For whoever looks from outside: the ring.
pub(crate) fn exported() -> List {
    List {
        at: &raw const RING as u64,
        count: CAPACITY,
    }
}

/// Where the number of the next event is, and the number.
pub(crate) fn next() -> (u64, u64) {
    (&raw const NEXT as u64, NEXT.load(Ordering::Relaxed))
}

/// Where the [`cost`] is.
pub(crate) fn cost_place() -> u64 {
    &raw const COST as u64
}

/// The oldest and the newest sequence number there may be a record of.
pub(crate) fn bounds() -> (u64, u64) {
    let next = NEXT.load(Ordering::Relaxed);
    (next.saturating_sub(CAPACITY).max(1), next - 1)
}

/// The record with this number; `None` if it has been overwritten.
pub(crate) fn get(sequence: u64) -> Option<shell::Event> {
    let record = RING.get((sequence % CAPACITY) as usize)?;
    if sequence == 0 || record.sequence.load(Ordering::Acquire) != sequence {
        return None;
    }
    let event = EventRecord {
        sequence,
        cycles: record.cycles.load(Ordering::Relaxed),
        what: record.what.load(Ordering::Relaxed),
        cr3: record.cr3.load(Ordering::Relaxed),
        a: record.a.load(Ordering::Relaxed),
        b: record.b.load(Ordering::Relaxed),
    };
    // An NMI may have written over it meanwhile.
    if record.sequence.load(Ordering::Acquire) != sequence {
        return None;
    }
    event.event(sequence)
}

/// Measures what a record costs: the least of several runs, so that an interrupt does not count.
pub(crate) fn measure() {
    const RECORDS: u64 = 64;
    let before = NEXT.load(Ordering::Relaxed);
    let mut least = u64::MAX;
    for _ in 0..8 {
        let start = cpu::cycles();
        for _ in 0..RECORDS {
            record(Kind::Measure, 0, 0);
        }
        least = least.min(cpu::cycles().wrapping_sub(start) / RECORDS);
    }
    COST.store(least, Ordering::Relaxed);
    // What was recorded was nothing: number on as if it had not been.
    for record in &RING {
        if record.sequence.load(Ordering::Relaxed) >= before {
            record.sequence.store(0, Ordering::Relaxed);
        }
    }
    NEXT.store(before, Ordering::Relaxed);
}

/// Cycles a record costs, as measured at boot.
pub(crate) fn cost() -> u64 {
    COST.load(Ordering::Relaxed)
}
