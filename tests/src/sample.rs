//! The simulated machine the transcripts are replayed on: small, fixed, and with one of each
//! thing that goes wrong.
//!
//! ```text
//!   PML4 at 0x1000, tables from 0x2000 on
//!   0x0000_0000_0040_0000  user code, 2 pages            0x0000_0000_0060_0000  user data, 1 page
//!   0x0000_7fff_ffff_e000  user stack, 1 page            0x0000_0080_0000_0000  PML4 [1]: table beyond RAM
//!   0x0000_0100_0000_0000  PML4 [2]: bit 7 set, reserved 0x0000_0180_0000_0000  PML4 [3]: itself
//!   0xffff_8000_0000_0000  kernel code, 4 pages; then data, 4 pages
//!   0xffff_8080_0000_0000  physmap: one 1 GiB page       0xffff_8100_0000_0000  framebuffer: 2 MiB, write-combining
//! ```

use machine::{
    Entry, MemoryType, PageSize, Paging, PhysAddr, PhysMemory, Registers, Rights, Simulated,
    TablePointer, VirtAddr,
};
use shell::simulated::{Album, Pencil};
use shell::{
    Clock, Cpu, Edit, EditError, Edits, FrameTotals, Frames, Poke, Processes, Region,
    SnapshotError, SnapshotInfo, SnapshotName, Snapshots, Subject, Target, UndoError,
};

use crate::sample_processes::SampleProcesses;

const KERNEL: u64 = 0xffff_8000_0000_0000;
const PHYSMAP: u64 = 0xffff_8080_0000_0000;
const FRAMEBUFFER: u64 = 0xffff_8100_0000_0000;

/// What kernel code and data must allow.
const CODE: Rights = Rights {
    execute: true,
    ..Rights::NONE
};
const DATA: Rights = Rights {
    write: true,
    ..Rights::NONE
};

static REGIONS: [Region; 4] = [
    Region {
        first: VirtAddr(KERNEL),
        last: VirtAddr(KERNEL + 0x3fff),
        name: "kernel text",
        rights: Some(CODE),
    },
    Region {
        first: VirtAddr(KERNEL + 0x4000),
        last: VirtAddr(KERNEL + 0x7fff),
        name: "kernel data",
        rights: Some(DATA),
    },
    Region {
        first: VirtAddr(PHYSMAP),
        last: VirtAddr(PHYSMAP + 0x3fff_ffff),
        name: "physmap",
        rights: Some(DATA),
    },
    Region {
        first: VirtAddr(FRAMEBUFFER),
        last: VirtAddr(FRAMEBUFFER + 0x1f_ffff),
        name: "framebuffer",
        rights: Some(DATA),
    },
];

/// The machine, as a target.
pub struct Sample {
    machine: Simulated,
    registers: Registers,
    processes: SampleProcesses,
    cycles: u64,
    album: Album,
    pencil: Pencil,
}

impl Default for Sample {
    fn default() -> Self {
        Self::new()
    }
}

impl Sample {
    /// Builds it; every one is the same.
    #[must_use]
    pub fn new() -> Self {
        let paging = Paging {
            // Field 4 is write-combining, the others are those of power-on.
            pat: MemoryType::POWER_ON_PAT & !(0xff << 32) | 1 << 32,
            ..Paging::four_level(40)
        };
        let root = PhysAddr(0x1000);
        let mut machine = Simulated::new(paging, root);
        machine.set_next_table(PhysAddr(0x2000));
        let mut map = |va: u64, pa: u64, size, flags| {
            machine.map(VirtAddr(va), PhysAddr(pa), size, flags);
        };
        let (small, write, user) = (PageSize::Size4K, Entry::WRITABLE, Entry::USER);
        let no_execute = Entry::NO_EXECUTE;
        map(0x40_0000, 0x7_3000, small, user);
        map(0x40_1000, 0x7_4000, small, user);
        map(0x60_0000, 0x7_5000, small, user | write | no_execute);
        map(0x7fff_ffff_e000, 0x7_6000, small, user | write | no_execute);
        for page in 0..4 {
            map(KERNEL + page * 0x1000, 0x10_0000 + page * 0x1000, small, 0);
            map(
                KERNEL + 0x4000 + page * 0x1000,
                0x10_8000 + page * 0x1000,
                small,
                write | no_execute,
            );
        }
        map(PHYSMAP, 0, PageSize::Size1G, write | no_execute);
        map(
            FRAMEBUFFER,
            0xfd00_0000,
            PageSize::Size2M,
            write | no_execute | Entry::PAT_HUGE,
        );
        // The upper half is the kernel's: no USER on the way to it.
        for slot in 256..512 {
            let at = PhysAddr(root.0 + slot * 8);
            let raw = machine.read_u64(at).unwrap_or(0);
            machine.write_u64(at, raw & !user);
        }
        machine.write_u64(PhysAddr(root.0 + 8), 0x9_9000 | 7);
        machine.write_u64(PhysAddr(root.0 + 2 * 8), 0xa_0000 | 0x87);
        machine.write_u64(PhysAddr(root.0 + 3 * 8), root.0 | 3);
        machine.add_device(PhysAddr(0xfd00_0000), 0x20_0000);
        for page in 0..4 {
            machine.add_ram(PhysAddr(0x10_0000 + page * 0x1000), 0x1000);
            machine.add_ram(PhysAddr(0x10_8000 + page * 0x1000), 0x1000);
        }
        machine.add_ram(PhysAddr(0x7_5000), 0x2000);
        machine.write(
            PhysAddr(0x7_5000),
            b"Ringwalk\0\x01\x02\x03\x04\x05\x06\x07",
        );
        // push rbp; mov rbp, rsp; ud2
        machine.write(PhysAddr(0x7_3000), &[0x55, 0x48, 0x89, 0xe5, 0x0f, 0x0b]);
        descriptors(&mut machine);
        let registers = registers(&machine);
        let processes = SampleProcesses::new(&mut machine, registers);
        Sample {
            machine,
            registers,
            processes,
            cycles: 0,
            album: Album::default(),
            pencil: Pencil::new(&REGIONS[..2]),
        }
    }
}

/// GDT at data+0, TSS at data+0x100, IDT at data+0x1000: values from the manuals' formats.
fn descriptors(machine: &mut Simulated) {
    let data = 0x10_8000;
    let tss = KERNEL + 0x4100;
    // Null; 64-bit code DPL 0; data DPL 0; data DPL 3; 64-bit code DPL 3; TSS (16 bytes).
    let words = [
        0,
        0x00af_9b00_0000_ffff,
        0x00cf_9300_0000_ffff,
        0x00cf_f300_0000_ffff,
        0x00af_fb00_0000_ffff,
        (tss & 0xff_ffff) << 16 | (tss >> 24 & 0xff) << 56 | 0x8b00_0000_0000 | 0x67,
        tss >> 32,
    ];
    for (index, word) in (0u64..).zip(words) {
        machine.write_u64(PhysAddr(data + index * 8), word);
    }
    // RSP0 at +4, IST1 at +36, I/O map base at +102: no map, since it lies beyond the limit.
    machine.write(PhysAddr(data + 0x100 + 4), &(KERNEL + 0x8000).to_le_bytes());
    machine.write(
        PhysAddr(data + 0x100 + 36),
        &0xffff_c980_0000_5000u64.to_le_bytes(),
    );
    machine.write(PhysAddr(data + 0x100 + 102), &104u16.to_le_bytes());
    let gate = |handler: u64, ist: u64, dpl: u64| {
        let low = handler & 0xffff
            | 0x08 << 16
            | ist << 32
            | (0x8e | dpl << 5) << 40
            | (handler >> 16 & 0xffff) << 48;
        [low, handler >> 32]
    };
    for vector in 0..32u64 {
        let ist = u64::from(vector == 8);
        let [low, high] = gate(KERNEL + 0x100 + vector * 16, ist, 0);
        machine.write_u64(PhysAddr(data + 0x1000 + vector * 16), low);
        machine.write_u64(PhysAddr(data + 0x1008 + vector * 16), high);
    }
    let [low, high] = gate(KERNEL + 0x900, 0, 3);
    machine.write_u64(PhysAddr(data + 0x1000 + 0x80 * 16), low);
    machine.write_u64(PhysAddr(data + 0x1008 + 0x80 * 16), high);
}

/// What the processor holds: user code, interrupted.
fn registers(machine: &Simulated) -> Registers {
    Registers {
        rax: 0x1234,
        rip: 0x40_0004,
        rsp: 0x7fff_ffff_ef00,
        rflags: 0x202,
        cs: 0x23,
        ss: 0x1b,
        tr: 0x28,
        cr0: 0x8001_0013,
        cr2: 0x80_0000_0010,
        cr3: 0x1000,
        cr4: 0x30_0020,
        efer: 0xd00,
        pat: machine.paging.pat,
        gdtr: TablePointer {
            base: KERNEL + 0x4000,
            limit: 0x37,
        },
        idtr: TablePointer {
            base: KERNEL + 0x5000,
            limit: 0xfff,
        },
        ..Registers::default()
    }
}

impl Target for Sample {
    fn name(&self) -> &str {
        "simulated"
    }

    fn paging(&self) -> Paging {
        self.machine.paging
    }

    fn memory(&mut self) -> &mut dyn PhysMemory {
        &mut self.machine
    }

    fn master(&self) -> Option<PhysAddr> {
        Some(self.machine.root())
    }

    fn regions(&self) -> &[Region] {
        &REGIONS
    }

    fn cpu(&mut self) -> Option<&mut dyn Cpu> {
        Some(self)
    }

    fn frames(&mut self) -> Option<&mut dyn Frames> {
        Some(self)
    }

    fn clock(&mut self) -> Option<&mut dyn Clock> {
        Some(self)
    }

    fn processes(&mut self) -> Option<&mut dyn Processes> {
        Some(&mut self.processes)
    }

    fn snapshots(&mut self) -> Option<&mut dyn Snapshots> {
        Some(self)
    }

    fn edits(&mut self) -> Option<&mut dyn Edits> {
        Some(self)
    }

    fn build_id(&self) -> &str {
        "simulated"
    }
}

impl Snapshots for Sample {
    fn snapshot(&mut self, index: usize) -> Option<SnapshotInfo> {
        self.album.snapshot(index)
    }

    fn copy_of(&mut self, index: usize, frame: PhysAddr) -> Option<PhysAddr> {
        self.album.copy_of(index, frame)
    }

    fn take(
        &mut self,
        name: &SnapshotName,
        root: PhysAddr,
        subject: Subject,
    ) -> Result<SnapshotInfo, SnapshotError> {
        let now = self.nanoseconds();
        self.album.take(&mut self.machine, name, root, subject, now)
    }

    fn drop(&mut self, name: &str) -> bool {
        self.album.drop(&mut self.machine, name)
    }
}

impl Edits for Sample {
    fn edit(&mut self, index: usize) -> Option<Edit> {
        self.pencil.list.get(index)
    }

    fn poke(&mut self, poke: &Poke) -> Result<u64, EditError> {
        self.pencil.poke(&mut self.machine, poke)
    }

    fn undo(&mut self) -> Result<Edit, UndoError> {
        self.pencil.undo(&mut self.machine)
    }

    fn vital(&mut self, index: usize) -> Option<Region> {
        self.pencil.vital.get(index).copied()
    }
}

impl Cpu for Sample {
    fn registers(&mut self) -> Registers {
        self.registers
    }
}

impl Frames for Sample {
    fn totals(&mut self) -> FrameTotals {
        FrameTotals {
            total: 1000,
            free: 900,
            used: 100,
        }
    }

    fn owner(&mut self, index: usize) -> Option<(&'static str, u64)> {
        [
            ("page tables", 30),
            ("heap", 64),
            ("nobody in particular", 6),
        ]
        .get(index)
        .copied()
    }
}

impl Clock for Sample {
    fn cycles(&mut self) -> u64 {
        self.cycles += 1000;
        self.cycles
    }

    fn nanoseconds(&mut self) -> Option<u64> {
        Some(self.cycles * 1000)
    }
}
