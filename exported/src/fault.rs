//! Faults, with all that was known when they came.

use heapless::{String, Vec};
use machine::{
    Code, End, Named, Paging, PhysAddr, PhysMemory, ReadError, Registers, VirtAddr, Walk, walk,
};
use shell::{Backtrace, Call, FaultRecord, OnStack};

use crate::Name;
use crate::record::{Record, records};

/// How many calls one has.
pub const CALLS: usize = 24;
/// The most entries a walk reads.
const STEPS: usize = 5;
/// Bytes at RIP.
const CODE: usize = Code::BYTES;
/// Bytes of the reason why there are no more calls.
const ENDS: usize = 96;
/// Bytes of the message of a panic.
const PANIC: usize = 200;

/// The IST stacks, from the first slot on, as reports call them.
pub const IST_NAMES: [&str; 4] = [
    "IST1 #DF stack",
    "IST2 NMI stack",
    "IST3 #MC stack",
    "IST4 #DB stack",
];

/// The stacks that a report can name; their places here are their numbers in a record, from 1.
const STACKS: [&str; 6] = [
    "kernel stack",
    "the program's stack",
    IST_NAMES[0],
    IST_NAMES[1],
    IST_NAMES[2],
    IST_NAMES[3],
];

records! {
    /// An entry that a walk read.
    Step {
        /// Its physical address.
        at: u64,
        /// What it held.
        raw: u64,
    }

    /// The stack that an address was on.
    StackRecord {
        /// Which kind: see the list of names; 0 for none.
        name: u64,
        /// Its number, plus 1; 0 if it has none.
        number: u64,
        /// The lowest byte.
        bottom: u64,
        /// The address just above the highest.
        top: u64,
    }

    /// One function of a backtrace.
    CallRecord {
        /// Where it was.
        rip: u64,
        /// 1: interrupted there; 2: found by the frame pointer alone; above bit 16 the vector that
        /// interrupted it, plus 1, or 0.
        how: u32,
        /// How many more follow from the same place.
        repeats: u32,
    }

    /// A fault.
    Fault {
        /// Its number, from 1; it is at the place with this number modulo their count.
        seq: u64,
        /// The time-stamp counter.
        cycles: u64,
        /// The vector.
        vector: u64,
        /// What the CPU pushed.
        error: u64,
        /// The process.
        pid: u64,
        /// Its program.
        program: Name,
        /// The root was the master.
        is_master: u64,
        /// The registers, in the order of [`machine::Registers::NAMES`].
        registers: [u64; Registers::WORDS],
        /// How many bytes at RIP could be read.
        code_bytes: u64,
        /// They.
        code: [u8; CODE],
        /// 0: no walk, 1: it read all it wanted; otherwise it could not read `unread`: 2: no
        /// memory, 3: a device, 4: lost.
        walk: u64,
        /// The address that could not be read.
        unread: u64,
        /// How many entries it read.
        taken: u64,
        /// They.
        steps: [Step; STEPS],
        /// The stack that RSP was on.
        stack: StackRecord,
        /// The stack in whose guard page CR2 was.
        guard: StackRecord,
        /// How many calls there are.
        count: u64,
        /// They.
        calls: [CallRecord; CALLS],
        /// How many bytes the next field has.
        ends_bytes: u64,
        /// Why there are no more calls.
        ends: [u8; ENDS],
        /// How many cycles it took to write this down.
        took: u64,
        /// The descriptor that the error code names: 0: it names none, or it could not be read; 1: the two
        /// words that follow; 2: its table ends before it, at the offset that follows; 3: there is no
        /// such table.
        named: u64,
        /// The first word, or the offset of the table's last byte.
        named_low: u64,
        /// The second word.
        named_high: u64,
        /// How many bytes the next field has; 0 if it is no panic.
        panic_bytes: u64,
        /// What a panic said.
        panic: [u8; PANIC],
    }
}

impl StackRecord {
    fn new(stack: Option<OnStack>) -> StackRecord {
        let Some(stack) = stack else {
            return StackRecord::ZERO;
        };
        let named = (1..).zip(STACKS).find(|(_, name)| *name == stack.name);
        StackRecord {
            name: named.map_or(0, |(number, _)| number),
            number: stack.number.map_or(0, |number| number.wrapping_add(1)),
            bottom: stack.bottom.0,
            top: stack.top.0,
        }
    }

    fn get(&self) -> Option<OnStack> {
        let index = usize::try_from(self.name.checked_sub(1)?).ok()?;
        Some(OnStack {
            name: STACKS.get(index)?,
            number: self.number.checked_sub(1),
            bottom: VirtAddr(self.bottom),
            top: VirtAddr(self.top),
        })
    }
}

/// Memory as a walk found it: the entries it read, and the one that it could not.
struct Found<'a> {
    steps: &'a [Step],
    unread: ReadError,
}

impl PhysMemory for Found<'_> {
    fn read(&mut self, at: PhysAddr, buf: &mut [u8]) -> Result<(), ReadError> {
        let step = self.steps.iter().find(|step| step.at == at.0);
        let raw = step.ok_or(self.unread)?.raw.to_le_bytes();
        for (to, from) in buf.iter_mut().zip(raw) {
            *to = from;
        }
        Ok(())
    }
}

impl Fault {
    /// A fault as it is kept.
    pub fn new(record: &FaultRecord) -> Fault {
        let mut fault = Fault {
            seq: record.seq,
            cycles: record.cycles,
            vector: record.vector.into(),
            error: record.error,
            pid: record.pid.into(),
            program: Name::new(&record.name),
            is_master: record.is_master.into(),
            took: record.took,
            registers: record.registers.words(),
            stack: StackRecord::new(record.stack),
            guard: StackRecord::new(record.guard),
            ..Fault::ZERO
        };
        fault.code_bytes = fill(&mut fault.code, record.code.bytes().iter().copied());
        if let Some(walk) = &record.walk {
            fault.keep(walk);
        }
        (fault.named, fault.named_low, fault.named_high) = match record.named {
            None => (0, 0, 0),
            Some(Named::Words { low, high }) => (1, low, high),
            Some(Named::Beyond { limit }) => (2, limit.into(), 0),
            Some(Named::NoTable) => (3, 0, 0),
        };
        let calls = record.backtrace.calls.iter().map(|call| CallRecord {
            rip: call.rip.0,
            how: u32::from(call.is_interrupted)
                | u32::from(call.is_guess) << 1
                | call.entry.map_or(0, |vector| u32::from(vector) + 1) << 16,
            repeats: call.repeats,
        });
        fault.count = fill(&mut fault.calls, calls);
        fault.ends_bytes = fill(&mut fault.ends, record.backtrace.ends.bytes());
        let panic = record.panic.as_deref().unwrap_or_default();
        fault.panic_bytes = fill(&mut fault.panic, panic.bytes());
        fault
    }

    fn keep(&mut self, walk: &Walk) {
        let steps = walk.steps().iter().map(|step| Step {
            at: step.entry_address().0,
            raw: step.entry.raw,
        });
        self.taken = fill(&mut self.steps, steps);
        (self.walk, self.unread) = match walk.end() {
            End::Unreadable { why, .. } => match why {
                ReadError::NoMemory { at } => (2, at.0),
                ReadError::Device { at } => (3, at.0),
                ReadError::Lost => (4, 0),
            },
            _ => (1, 0),
        };
    }

    /// The fault, as it was when it came. The entries are decoded as this mode reads them.
    pub fn get(&self, paging: &Paging) -> FaultRecord {
        let registers = Registers::from_words(&self.registers);
        let at = PhysAddr(self.unread);
        let unread = match self.walk {
            3 => ReadError::Device { at },
            4 => ReadError::Lost,
            _ => ReadError::NoMemory { at },
        };
        let steps = first(&self.steps, self.taken);
        let root = PhysAddr(registers.cr3);
        let walk = (self.walk != 0).then(|| {
            let mut found = Found { steps, unread };
            walk(&mut found, paging, root, VirtAddr(registers.cr2))
        });
        let calls = first(&self.calls, self.count).iter().map(|call| Call {
            rip: VirtAddr(call.rip),
            is_interrupted: call.how & 1 != 0,
            entry: (call.how >> 16)
                .checked_sub(1)
                .and_then(|vector| u16::try_from(vector).ok()),
            is_guess: call.how & 2 != 0,
            repeats: call.repeats,
        });
        let calls: Vec<Call, CALLS> = calls.collect();
        let ends = core::str::from_utf8(first(&self.ends, self.ends_bytes));
        let panic = core::str::from_utf8(first(&self.panic, self.panic_bytes));
        FaultRecord {
            seq: self.seq,
            cycles: self.cycles,
            vector: (self.vector & 0xff) as u8,
            error: self.error,
            registers,
            pid: (self.pid & 0xffff_ffff) as u32,
            name: self.program.string(),
            is_master: self.is_master != 0,
            code: Code::new(first(&self.code, self.code_bytes)),
            walk,
            named: match self.named {
                1 => Some(Named::Words {
                    low: self.named_low,
                    high: self.named_high,
                }),
                2 => Some(Named::Beyond {
                    limit: (self.named_low & 0xffff) as u16,
                }),
                3 => Some(Named::NoTable),
                _ => None,
            },
            stack: self.stack.get(),
            guard: self.guard.get(),
            took: self.took,
            panic: (self.panic_bytes != 0)
                .then(|| String::try_from(panic.unwrap_or_default()).unwrap_or_default()),
            backtrace: Backtrace {
                calls,
                ends: String::try_from(ends.unwrap_or_default()).unwrap_or_default(),
            },
        }
    }
}

/// Puts values into places, and counts those that had room.
fn fill<T>(places: &mut [T], values: impl Iterator<Item = T>) -> u64 {
    let mut count = 0;
    for (place, value) in places.iter_mut().zip(values) {
        *place = value;
        count += 1;
    }
    count
}

fn first<T>(all: &[T], count: u64) -> &[T] {
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    all.get(..count).unwrap_or(all)
}

#[cfg(test)]
mod tests;
