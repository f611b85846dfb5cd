//! A ring of what the processor did: CR3 loads, entries from ring 3 and returns to it, system
//! calls, faults, flushes.
//!
//! Watching must not change what is watched: a record is a handful of stores, with no lock, no
//! allocation and no formatting; names and numbers are made of it later. Interrupts that arrive in
//! ring 0 are not recorded, they would drown the rest; `irq` counts them.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::arch::cpu;
use crate::process;

pub(crate) use shell::EventKind as Kind;

/// How many records are kept; the oldest is overwritten.
pub(crate) const CAPACITY: u64 = 4096;

/// One record. Each field is stored by itself; `sequence` last, and zeroed first, so that a
/// reader notices a record that is being written.
struct Record {
    sequence: AtomicU64,
    cycles: AtomicU64,
    /// Kind in the low byte, then the pid (32 bits), then CS + 1 or 0 (16 bits).
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
    let cs = cs.map_or(0, |cs| u64::from(cs) + 1);
    let what = kind as u64 | u64::from(process::current_pid()) << 8 | cs << 40;
    record.cycles.store(cpu::cycles(), Ordering::Relaxed);
    record.what.store(what, Ordering::Relaxed);
    record.cr3.store(cpu::cr3(), Ordering::Relaxed);
    record.a.store(a, Ordering::Relaxed);
    record.b.store(b, Ordering::Relaxed);
    record.sequence.store(sequence, Ordering::Release);
}

/// What recording an event writes to: name, first byte, how many.
pub(crate) fn places() -> [(&'static str, u64, u64); 2] {
    let counter = &raw const NEXT as u64;
    // The next one: the switch begins with it, and the others follow.
    let next = NEXT.load(Ordering::Relaxed) % CAPACITY;
    let bytes = size_of::<Record>() as u64;
    let record = (&raw const RING as u64).wrapping_add(next * bytes);
    [
        ("event counter", counter, size_of_val(&NEXT) as u64),
        ("next event record", record, bytes),
    ]
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
    let what = record.what.load(Ordering::Relaxed);
    let cs = (what >> 40) & 0xf_ffff;
    let event = shell::Event {
        seq: sequence,
        cycles: record.cycles.load(Ordering::Relaxed),
        kind: Kind::from_number((what & 0xff) as u8)?,
        pid: (what >> 8) as u32,
        cs: cs.checked_sub(1).and_then(|cs| u16::try_from(cs).ok()),
        cr3: record.cr3.load(Ordering::Relaxed),
        a: record.a.load(Ordering::Relaxed),
        b: record.b.load(Ordering::Relaxed),
    };
    // An NMI may have written over it meanwhile.
    (record.sequence.load(Ordering::Acquire) == sequence).then_some(event)
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
