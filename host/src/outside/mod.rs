//! The kernel from outside, as a target of the shell: everything is read from the memory of a machine
//! that stands still, by the records that the kernel exports.

mod books;
mod iret;
mod processes;
mod sane;
mod sources;
mod stacks;
mod symbols;
mod tables;

use std::cell::RefCell;
use std::collections::HashMap;

use exported::{Fault, Holds, List, PhysRange, Process, Record, Region as RegionRecord, Stop};
use exported::{Snapshot, SnapshotTable};
use machine::{Paging, PhysAddr, PhysMemory, Registers};
use shell::{
    Cpu, Event, Events, FaultRecord, Faults, Frames, Processes, Region, SnapshotError,
    SnapshotInfo, SnapshotName, Snapshots, Sources, Stacks, Subject, Switches, Symbols, Target,
};

pub(crate) use iret::as_check;

use crate::find::{self, Found};
use crate::memory::{Memory, Ranges};
use sources::Checkout;

/// More elements than any list of the kernel's has: a longer one is damaged.
const MOST: u64 = 1 << 17;

/// A kernel that is looked at.
pub(crate) struct Outside {
    memory: RefCell<Memory>,
    found: Found,
    registers: Option<Registers>,
    stop: Stop,
    regions: Vec<Region>,
    holds: Vec<Option<Holds>>,
    ram: Vec<PhysRange>,
    /// The processes that are there, each with the address of its record, in the order of the
    /// kernel's table.
    processes: Vec<(u64, Process)>,
    snapshots: Vec<(SnapshotInfo, Vec<SnapshotTable>)>,
    slots_end: u64,
    owners: Option<Vec<u8>>,
    tallies: HashMap<u64, u16>,
    /// Files of the ramdisk, once they have been read.
    files: RefCell<HashMap<String, Option<&'static [u8]>>>,
    build: String,
    checkout: Checkout,
    /// What is damaged, in words.
    notes: Vec<String>,
}

impl Outside {
    /// Finds the kernel and reads what it exports.
    pub(crate) fn look(mut memory: Memory) -> anyhow::Result<Outside> {
        let found = find::find(&mut memory)?;
        let registers = memory.registers().ok().map(|registers| Registers {
            // Not every source knows it.
            efer: match registers.efer {
                0 => efer(&found),
                efer => efer,
            },
            pat: found.paging.pat,
            ..registers
        });
        let header = found.header;
        let mut outside = Outside {
            memory: RefCell::new(memory),
            found,
            registers,
            stop: Stop::ZERO,
            regions: Vec::new(),
            holds: Vec::new(),
            ram: Vec::new(),
            processes: Vec::new(),
            snapshots: Vec::new(),
            slots_end: 0,
            owners: None,
            tallies: HashMap::new(),
            files: RefCell::default(),
            build: header.build.text().to_owned(),
            checkout: Checkout::of(header.build.text()),
            notes: Vec::new(),
        };
        outside.read_all();
        Ok(outside)
    }

    fn read_all(&mut self) {
        let header = self.found.header;
        self.ram = self.list("the list of memory", header.ram);
        self.sift();
        let header = self.found.header;
        let mut devices: Vec<PhysRange> = self.list("the list of devices", header.reserved);
        devices.extend(header.devices);
        if !self.ram.is_empty() {
            self.memory.get_mut().limit(Ranges {
                ram: self.ram.clone(),
                devices,
            });
        }
        for region in self.list::<RegionRecord>("the list of regions", header.regions) {
            // They live as long as this program.
            self.regions.push(region.get(leak(region.name.text())));
            self.holds.push(region.holds());
        }
        self.stop = self.one("the stop", header.stop).unwrap_or_default();
        self.slots_end = self
            .one("the end of the stacks", header.slots_end)
            .unwrap_or(0);
        self.read_processes();
        for snapshot in self.list::<Snapshot>("the list of snapshots", header.snapshots) {
            if let Some(info) = snapshot.info() {
                let tables = self.list("the tables of a snapshot", snapshot.tables);
                self.snapshots.push((info, tables));
            }
        }
    }

    /// What is damaged and was left out, a line each.
    pub(crate) fn notes(&self) -> &[String] {
        &self.notes
    }

    /// What is not known of the source files that were shown, a line each; once.
    pub(crate) fn doubts(&self) -> Vec<String> {
        self.checkout.doubts()
    }

    /// What went wrong on the way to the machine.
    pub(crate) fn trouble(&mut self) -> Option<String> {
        self.memory.get_mut().trouble()
    }

    fn note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// A record at an address of the kernel's.
    fn record<T: Record>(&self, at: u64) -> Option<T> {
        let mut memory = self.memory.borrow_mut();
        find::read(&mut memory, &self.found.paging, self.found.master, at)
    }

    fn one<T: Record>(&mut self, what: &str, at: u64) -> Option<T> {
        let record = self.record(at);
        if record.is_none() {
            self.note(format!(
                "{what} is damaged: nothing can be read at {}",
                machine::VirtAddr(at)
            ));
        }
        record
    }

    fn list<T: Record>(&mut self, what: &str, list: List) -> Vec<T> {
        if list.count > MOST {
            self.note(format!(
                "{what} is damaged: it would have {} elements",
                list.count
            ));
            return Vec::new();
        }
        let mut out = Vec::new();
        for index in 0..list.count {
            let at = list.at.wrapping_add(index.wrapping_mul(T::BYTES as u64));
            match self.one(what, at) {
                Some(record) => out.push(record),
                None => break,
            }
        }
        out
    }

    /// A word of the kernel's.
    fn word(&self, at: u64) -> Option<u64> {
        self.record(at)
    }
}

/// What a 64-bit kernel with SYSCALL has in EFER: SCE, LME, LMA, and NXE if it says so.
fn efer(found: &Found) -> u64 {
    let nxe = if found.paging.nxe { 1 << 11 } else { 0 };
    1 | 1 << 8 | 1 << 10 | nxe
}

/// A text that lives as long as this program.
fn leak(text: &str) -> &'static str {
    String::leak(text.to_owned())
}

impl Target for Outside {
    fn name(&self) -> &str {
        "kernel"
    }

    fn paging(&self) -> Paging {
        self.found.paging
    }

    fn memory(&mut self) -> &mut dyn PhysMemory {
        self.memory.get_mut()
    }

    fn master(&self) -> Option<PhysAddr> {
        Some(self.found.master)
    }

    fn copied_on_write(&self) -> u64 {
        self.found.header.copied_on_write
    }

    fn regions(&self) -> &[Region] {
        &self.regions
    }

    fn cpu(&mut self) -> Option<&mut dyn Cpu> {
        self.registers.is_some().then_some(self)
    }

    fn frames(&mut self) -> Option<&mut dyn Frames> {
        self.has_books().then_some(self)
    }

    fn processes(&mut self) -> Option<&mut dyn Processes> {
        Some(self)
    }

    fn stacks(&mut self) -> Option<&mut dyn Stacks> {
        Some(self)
    }

    fn switches(&mut self) -> Option<&mut dyn Switches> {
        Some(self)
    }

    fn events(&mut self) -> Option<&mut dyn Events> {
        Some(self)
    }

    fn faults(&mut self) -> Option<&mut dyn Faults> {
        Some(self)
    }

    fn symbols(&mut self) -> Option<&mut dyn Symbols> {
        Some(self)
    }

    fn sources(&self) -> Option<&dyn Sources> {
        Some(self)
    }

    fn snapshots(&mut self) -> Option<&mut dyn Snapshots> {
        Some(self)
    }

    fn build_id(&self) -> &str {
        &self.build
    }
}

impl Cpu for Outside {
    /// Those of the world where the kernel's own debugger has stopped it, as its shell shows them.
    fn registers(&mut self) -> Registers {
        let now = self.registers.unwrap_or_default();
        match self.stop.is_stopped {
            0 => now,
            _ => Registers {
                cr2: self.stop.cr2,
                cr3: self.stop.cr3,
                dr6: self.stop.dr6,
                ..self.stop.frame.registers(now)
            },
        }
    }
}

impl Events for Outside {
    fn oldest(&mut self) -> u64 {
        let next = self.word(self.found.header.next_event).unwrap_or(1);
        next.saturating_sub(self.found.header.events.count).max(1)
    }

    fn newest(&mut self) -> u64 {
        let next = self.word(self.found.header.next_event).unwrap_or(1);
        next.saturating_sub(1)
    }

    fn get(&mut self, seq: u64) -> Option<Event> {
        let record: exported::EventRecord = self.in_ring(self.found.header.events, seq)?;
        record.event(seq)
    }

    fn cost(&mut self) -> Option<u64> {
        self.word(self.found.header.event_cost)
    }
}

impl Faults for Outside {
    fn oldest(&mut self) -> u64 {
        let newest = Faults::newest(self);
        newest.saturating_sub(self.found.header.faults.count) + 1
    }

    fn newest(&mut self) -> u64 {
        self.word(self.found.header.newest_fault).unwrap_or(0)
    }

    fn get(&mut self, seq: u64) -> Option<FaultRecord> {
        let record: Fault = self.in_ring(self.found.header.faults, seq)?;
        (seq != 0 && record.seq == seq).then(|| record.get(&self.found.paging))
    }
}

impl Outside {
    /// The record with this number, in a ring where it is at its number modulo their count.
    fn in_ring<T: Record>(&self, ring: List, seq: u64) -> Option<T> {
        let index = seq.checked_rem(ring.count)?;
        self.record(ring.at.wrapping_add(index.wrapping_mul(T::BYTES as u64)))
    }
}

impl Snapshots for Outside {
    fn snapshot(&mut self, index: usize) -> Option<SnapshotInfo> {
        let (info, _) = self.snapshots.get(index)?;
        Some(info.clone())
    }

    fn copy_of(&mut self, index: usize, frame: PhysAddr) -> Option<PhysAddr> {
        let (_, tables) = self.snapshots.get(index)?;
        SnapshotTable::copy_of(tables, frame)
    }

    fn take(
        &mut self,
        _: &SnapshotName,
        _: PhysAddr,
        _: Subject,
    ) -> Result<SnapshotInfo, SnapshotError> {
        Err(SnapshotError::NoMemory)
    }

    fn drop(&mut self, _: &str) -> bool {
        false
    }
}
