//! A machine for tests, with all that a target may offer.

use std::collections::BTreeMap;

use machine::{
    Entry, PageSize, Paging, PhysAddr, PhysMemory, Registers, Simulated, TablePointer, VirtAddr,
};

use super::{Counted, Fake, FakeCpu, Library, Mishaps, Names, Needs, Ring, StackBooks, Stopper};
use crate::simulated::{Album, Pencil};
use crate::{
    Attempts, Clock, Cpu, Debugger, Edit, EditError, Edits, Events, Faults, FrameInfo, FrameTotals,
    Frames, Interrupts, Pid, Place, Poke, Power, PowerError, Processes, Region, SnapshotError,
    SnapshotInfo, SnapshotName, Snapshots, Sources, Stacks, Subject, Switches, Symbols, Target,
    Threads, UndoError,
};

/// A target with every ability, or without, as a test wants.
#[derive(Clone)]
pub(crate) struct Machine {
    pub(crate) memory: Simulated,
    pub(crate) regions: &'static [Region],
    pub(crate) registers: Option<Registers>,
    pub(crate) books: Option<Books>,
    pub(crate) cycles: Option<u64>,
    pub(crate) switch: Option<PowerError>,
    pub(crate) processes: Option<Fake>,
    pub(crate) stacks: Option<StackBooks>,
    pub(crate) switches: Option<Needs>,
    pub(crate) interrupts: Option<Counted>,
    pub(crate) events: Option<Ring>,
    pub(crate) faults: Option<Mishaps>,
    pub(crate) album: Option<Album>,
    pub(crate) attempts: Option<FakeCpu>,
    pub(crate) pencil: Option<Pencil>,
    pub(crate) symbols: Option<Names>,
    pub(crate) sources: Option<Library>,
    pub(crate) stopper: Option<Stopper>,
}

#[derive(Clone)]
pub(crate) struct Books {
    pub(crate) totals: FrameTotals,
    pub(crate) owners: Vec<(&'static str, u64)>,
    /// What was last asked of [`Frames::fail_after`].
    pub(crate) failing: Option<Option<u64>>,
    /// By frame number; none where only the sums are known.
    pub(crate) frames: BTreeMap<u64, FrameInfo>,
    pub(crate) places: Vec<(core::ops::Range<u64>, Place)>,
    pub(crate) changes: u64,
    /// Somebody takes a frame whenever one is asked about.
    pub(crate) is_busy: bool,
}

const REGIONS: &[Region] = &[
    Region {
        first: VirtAddr(0xffff_8000_0000_0000),
        last: VirtAddr(0xffff_8000_0fff_ffff),
        name: "physmap",
        rights: None,
    },
    Region {
        first: VirtAddr(0xffff_c900_0000_0000),
        last: VirtAddr(0xffff_c900_00ff_ffff),
        name: "kernel stacks",
        rights: None,
    },
];

/// The tables of [`Machine::full`] begin here.
pub(crate) const ROOT: u64 = 0x10_0000;

/// How many processes have tables.
const PROCESSES: Pid = 3;

/// The PML4 of a process. Only the first three have memory there.
pub(crate) fn process_root(pid: Pid) -> PhysAddr {
    PhysAddr(0x30_0000 + u64::from(pid) * 0x1000)
}

impl Machine {
    /// Memory with a few mappings, and nothing else.
    pub(crate) fn bare() -> Self {
        let mut memory = Simulated::new(Paging::four_level(40), PhysAddr(ROOT));
        let user = Entry::USER;
        let data = Entry::WRITABLE | Entry::NO_EXECUTE;
        memory.map(
            VirtAddr(0x40_0000),
            PhysAddr(0x7_3000),
            PageSize::Size4K,
            user,
        );
        memory.map(
            VirtAddr(0x40_1000),
            PhysAddr(0x7_4000),
            PageSize::Size4K,
            user | data,
        );
        memory.map(
            VirtAddr(0xffff_8000_0000_0000),
            PhysAddr(0),
            PageSize::Size2M,
            data,
        );
        memory.map(
            VirtAddr(0xffff_8000_0020_0000),
            PhysAddr(0x20_0000),
            PageSize::Size2M,
            data,
        );
        memory.map(
            VirtAddr(0xffff_c900_0000_1000),
            PhysAddr(0x7_5000),
            PageSize::Size4K,
            data,
        );
        for frame in [0, 0x7_3000, 0x7_4000, 0x7_5000] {
            memory.add_ram(PhysAddr(frame), 0x1000);
        }
        memory.add_device(PhysAddr(0x20_0000), 0x1000);
        Machine {
            memory,
            regions: REGIONS,
            registers: None,
            books: None,
            cycles: None,
            switch: None,
            processes: None,
            stacks: None,
            switches: None,
            interrupts: None,
            events: None,
            symbols: None,
            sources: None,
            faults: None,
            album: None,
            attempts: None,
            pencil: None,
            stopper: None,
        }
    }

    /// All of it. The descriptor tables are in the frame at 0x75000.
    pub(crate) fn full() -> Self {
        let mut machine = Machine::bare();
        machine.registers = Some(Registers {
            rip: 0x40_0123,
            rsp: 0xffff_c900_0000_1ff0,
            cr0: 0x8005_0033,
            cr3: ROOT,
            cr4: 0x30_0020,
            efer: 0xd00,
            pat: 0x0007_0406_0007_0406,
            rflags: 0x202,
            cs: 8,
            ss: 0x10,
            tr: 0x18,
            gdtr: TablePointer {
                base: 0xffff_c900_0000_1000,
                limit: 0x27,
            },
            idtr: TablePointer {
                base: 0xffff_c900_0000_1400,
                limit: 0x7f,
            },
            ..Registers::default()
        });
        let base = 0xffff_c900_0000_1100_u64;
        let [low, high] = [(base & 0xff_ffff) << 16, (base >> 24 & 0xff) << 56];
        let tss = 0x0000_8900_0000_0067 | low | high;
        let words = [
            0,
            0x00af_9b00_0000_ffff,
            0x00cf_9300_0000_ffff,
            tss,
            base >> 32,
        ];
        for (index, word) in (0..).zip(words) {
            machine
                .memory
                .write_u64(PhysAddr(0x7_5000 + 8 * index), word);
        }
        let stack = |offset: u64, top: u64| (PhysAddr(0x7_5100 + offset), top.to_le_bytes());
        for (at, bytes) in [
            stack(4, 0xffff_c900_0000_2000),
            stack(0x24, 0xffff_c900_0000_1000),
        ] {
            machine.memory.write(at, &bytes);
        }
        machine
            .memory
            .write(PhysAddr(0x7_5100 + 0x66), &0x68_u16.to_le_bytes());
        for vector in [0_u64, 1, 2, 3, 6] {
            let low = 0x8000_8e00_0008_0000 | (vector * 0x10);
            machine
                .memory
                .write_u64(PhysAddr(0x7_5400 + vector * 16), low);
            machine
                .memory
                .write_u64(PhysAddr(0x7_5408 + vector * 16), 0xffff_ffff);
        }
        let totals = FrameTotals {
            total: 100,
            free: 90,
            used: 10,
        };
        machine.books = Some(Books {
            totals,
            owners: vec![("tables", 7), ("heap", 3)],
            failing: None,
            frames: BTreeMap::new(),
            places: Vec::new(),
            changes: 0,
            is_busy: false,
        });
        machine.cycles = Some(1000);
        machine.switch = Some(PowerError::NoWay);
        for pid in 1..=PROCESSES {
            machine.add_process_root(pid);
        }
        machine.processes = Some(Fake::default());
        machine.stacks = Some(StackBooks::new());
        machine.interrupts = Some(Counted);
        machine.events = Some(Ring::new());
        machine.faults = Some(Mishaps::new(&mut machine));
        machine.album = Some(Album::default());
        machine.attempts = Some(FakeCpu::honest());
        machine.pencil = Some(Pencil::new(&REGIONS[1..]));
        machine
    }
}

impl Machine {
    /// A PML4 for a process: the upper half is the kernel's, the lower one has a page of code
    /// and a stack of its own.
    fn add_process_root(&mut self, pid: Pid) {
        let root = process_root(pid);
        self.memory.add_ram(root, 0x1000);
        for slot in 256..512 {
            let raw = self.memory.read_u64(PhysAddr(ROOT + slot * 8));
            if let Ok(raw @ 1..) = raw {
                self.memory.write_u64(PhysAddr(root.0 + slot * 8), raw);
            }
        }
        let (code, stack) = (VirtAddr(0x40_0000), VirtAddr(0x60_0000));
        let user = Entry::USER;
        let data = user | Entry::WRITABLE | Entry::NO_EXECUTE;
        let at = PhysAddr(0x7_3000);
        self.memory.map_in(root, code, at, PageSize::Size4K, user);
        let at = PhysAddr(0x50_0000 + u64::from(pid) * 0x1000);
        self.memory.map_in(root, stack, at, PageSize::Size4K, data);
        self.memory.add_ram(at, 0x1000);
    }

    /// The processes of a machine that has some.
    pub(crate) fn processes(&mut self) -> &mut Fake {
        self.processes.as_mut().expect("this machine has processes")
    }
}

impl Target for Machine {
    fn name(&self) -> &str {
        "simulated"
    }
    fn paging(&self) -> Paging {
        self.memory.paging
    }
    fn memory(&mut self) -> &mut dyn PhysMemory {
        &mut self.memory
    }
    fn master(&self) -> Option<PhysAddr> {
        self.registers.map(|_| PhysAddr(ROOT))
    }
    fn copied_on_write(&self) -> u64 {
        1 << 9
    }
    fn regions(&self) -> &[Region] {
        self.regions
    }
    fn cpu(&mut self) -> Option<&mut dyn Cpu> {
        if let Some(stopper) = &mut self.stopper
            && let Some(stop) = stopper.stop()
        {
            self.registers = Some(stop.registers);
        }
        self.registers.as_mut().map(|cpu| cpu as &mut dyn Cpu)
    }
    fn frames(&mut self) -> Option<&mut dyn Frames> {
        self.books.as_mut().map(|books| books as &mut dyn Frames)
    }
    fn clock(&mut self) -> Option<&mut dyn Clock> {
        self.cycles.as_mut().map(|clock| clock as &mut dyn Clock)
    }
    fn power(&mut self) -> Option<&mut dyn Power> {
        self.switch.as_mut().map(|switch| switch as &mut dyn Power)
    }
    fn processes(&mut self) -> Option<&mut dyn Processes> {
        self.processes.as_mut().map(|all| all as &mut dyn Processes)
    }
    fn switches(&mut self) -> Option<&mut dyn Switches> {
        let switches = self.switches.as_mut();
        switches.map(|switches| switches as &mut dyn Switches)
    }
    fn stacks(&mut self) -> Option<&mut dyn Stacks> {
        self.stacks.as_mut().map(|stacks| stacks as &mut dyn Stacks)
    }
    fn interrupts(&mut self) -> Option<&mut dyn Interrupts> {
        let interrupts = self.interrupts.as_mut();
        interrupts.map(|interrupts| interrupts as &mut dyn Interrupts)
    }
    fn events(&mut self) -> Option<&mut dyn Events> {
        self.events.as_mut().map(|events| events as &mut dyn Events)
    }
    fn faults(&mut self) -> Option<&mut dyn Faults> {
        self.faults.as_mut().map(|faults| faults as &mut dyn Faults)
    }
    fn snapshots(&mut self) -> Option<&mut dyn Snapshots> {
        self.album.is_some().then_some(self)
    }
    fn attempts(&mut self) -> Option<&mut dyn Attempts> {
        self.attempts.is_some().then_some(self)
    }

    fn edits(&mut self) -> Option<&mut dyn Edits> {
        self.pencil.is_some().then_some(self)
    }
    fn symbols(&mut self) -> Option<&mut dyn Symbols> {
        self.symbols.as_mut().map(|names| names as &mut dyn Symbols)
    }
    fn debugger(&mut self) -> Option<&mut dyn Debugger> {
        let stopper = self.stopper.as_mut();
        stopper.map(|stopper| stopper as &mut dyn Debugger)
    }
    fn sources(&self) -> Option<&dyn Sources> {
        self.sources.as_ref().map(|sources| sources as &dyn Sources)
    }

    fn threads(&mut self) -> Option<&mut dyn Threads> {
        let stopper = self.stopper.as_mut();
        stopper.map(|stopper| stopper as &mut dyn Threads)
    }
    fn build_id(&self) -> &str {
        "0123456789ab"
    }
}

impl Snapshots for Machine {
    fn snapshot(&mut self, index: usize) -> Option<SnapshotInfo> {
        self.album.as_ref()?.snapshot(index)
    }
    fn copy_of(&mut self, index: usize, frame: PhysAddr) -> Option<PhysAddr> {
        self.album.as_ref()?.copy_of(index, frame)
    }
    fn take(
        &mut self,
        name: &SnapshotName,
        root: PhysAddr,
        subject: Subject,
    ) -> Result<SnapshotInfo, SnapshotError> {
        let album = self.album.as_mut().expect("it takes snapshots");
        album.take(&mut self.memory, name, root, subject, Some(2_500_000))
    }
    fn drop(&mut self, name: &str) -> bool {
        let album = self.album.as_mut().expect("it takes snapshots");
        album.drop(&mut self.memory, name)
    }
}

impl Edits for Machine {
    fn edit(&mut self, index: usize) -> Option<Edit> {
        self.pencil.as_ref()?.list.get(index)
    }
    fn poke(&mut self, poke: &Poke) -> Result<u64, EditError> {
        let pencil = self.pencil.as_mut().expect("it can be written");
        pencil.poke(&mut self.memory, poke)
    }
    fn undo(&mut self) -> Result<Edit, UndoError> {
        let pencil = self.pencil.as_mut().expect("it can be written");
        pencil.undo(&mut self.memory)
    }
    fn vital(&mut self, index: usize) -> Option<Region> {
        self.pencil.as_ref()?.vital.get(index).copied()
    }
}

impl Cpu for Registers {
    fn registers(&mut self) -> Registers {
        *self
    }
}

impl Frames for Books {
    fn totals(&mut self) -> FrameTotals {
        self.totals
    }
    fn owner(&mut self, index: usize) -> Option<(&'static str, u64)> {
        self.owners.get(index).copied()
    }
    fn fail_after(&mut self, requests: Option<u64>) -> bool {
        self.failing = Some(requests);
        true
    }
    fn end(&mut self) -> PhysAddr {
        let last = self.frames.last_key_value();
        PhysAddr(last.map_or(0, |(number, _)| (number + 1) * 4096))
    }
    fn frame(&mut self, at: PhysAddr) -> Option<FrameInfo> {
        self.changes += u64::from(self.is_busy);
        self.frames.get(&(at.0 / 4096)).copied()
    }
    fn changes(&mut self) -> u64 {
        self.changes
    }
    fn clear_tallies(&mut self) {
        self.frames.values_mut().for_each(|info| info.tally = 0);
    }
    fn tally(&mut self, at: PhysAddr) {
        if let Some(info) = self.frames.get_mut(&(at.0 / 4096)) {
            info.tally = info.tally.saturating_add(1);
        }
    }
    fn place(&mut self, va: VirtAddr) -> Place {
        self.place_at(va.0)
    }
}

/// Each reading of the clock is 500 cycles and 2.5 ms after the last.
impl Clock for u64 {
    fn cycles(&mut self) -> u64 {
        *self += 500;
        *self
    }
    fn nanoseconds(&mut self) -> Option<u64> {
        Some(*self * 5000)
    }
}

impl Power for PowerError {
    fn reboot(&mut self) -> PowerError {
        *self
    }
    fn poweroff(&mut self) -> PowerError {
        *self
    }
}
