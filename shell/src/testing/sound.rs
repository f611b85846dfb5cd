//! A machine on which everything is as it should be, small enough to know by heart: what `check`
//! finds on it after one change is that change.
//!
//! ```text
//!   0xffff_8000_0000_0000  text, 2 pages; rodata, 1; data, 2: GDT and TSS in the first, IDT in the second
//!   0xffff_8080_0000_0000  physmap: one 1 GiB page
//!   0xffff_c800_0000_0000  heap: one 2 MiB page, then 2 small ones
//!   0xffff_c900_0000_0000  kernel stacks, 2 pages each above a guard page: a live one and a free one
//!   0xffff_c980_0000_0000  exception stacks, likewise: #DF, NMI, #MC
//!   processes 1 and 2      code at 0x40_0000 (one frame for both), data at 0x60_0000, stack at 0x7fff_f000_0000
//! ```

use machine::{
    Entry, PageSize, Paging, PhysAddr, PhysMemory as _, Registers, Rights, Simulated, TablePointer,
    VirtAddr,
};

use super::machine::{ROOT, process_root};
use super::{Counted, Fake, Machine, StackBooks};
use crate::{Pid, Region, StackInfo, StackKind, StackState};

pub(crate) const KERNEL: u64 = 0xffff_8000_0000_0000;
pub(crate) const PHYSMAP: u64 = 0xffff_8080_0000_0000;
pub(crate) const HEAP: u64 = 0xffff_c800_0000_0000;
pub(crate) const STACKS: u64 = 0xffff_c900_0000_0000;
pub(crate) const IST: u64 = 0xffff_c980_0000_0000;
/// Of a process.
pub(crate) const CODE: u64 = 0x40_0000;
pub(crate) const DATA: u64 = 0x60_0000;
pub(crate) const USER_STACK: u64 = 0x7fff_f000_0000;
/// The frame with the GDT and, from 0x100 on, the TSS; the next one is the IDT.
pub(crate) const DESCRIPTORS: u64 = 0x20_3000;
pub(crate) const IDT: u64 = 0x20_4000;

const CODE_RIGHTS: Rights = Rights {
    execute: true,
    ..Rights::NONE
};
const DATA_RIGHTS: Rights = Rights {
    write: true,
    ..Rights::NONE
};

const fn region(first: u64, bytes: u64, name: &'static str, rights: Rights) -> Region {
    Region {
        first: VirtAddr(first),
        last: VirtAddr(first + (bytes - 1)),
        name,
        rights: Some(rights),
    }
}

const REGIONS: &[Region] = &[
    region(KERNEL, 0x2000, "text", CODE_RIGHTS),
    region(KERNEL + 0x2000, 0x1000, "rodata", Rights::NONE),
    region(KERNEL + 0x3000, 0x2000, "data", DATA_RIGHTS),
    region(PHYSMAP, 1 << 30, "physmap", DATA_RIGHTS),
    region(HEAP, 0x20_2000, "heap", DATA_RIGHTS),
    region(STACKS, 0x6000, "kernel stacks", DATA_RIGHTS),
    region(IST, 0x9000, "exception stacks", DATA_RIGHTS),
];

/// The flags of a page of data.
const FLAGS: u64 = Entry::NO_EXECUTE | Entry::WRITABLE;

impl Machine {
    /// The machine.
    pub(crate) fn sound() -> Machine {
        let mut machine = Machine::bare();
        machine.memory = Simulated::new(Paging::four_level(40), PhysAddr(ROOT));
        machine.regions = REGIONS;
        machine.map_kernel();
        machine.write_descriptors();
        let mut fake = Fake::default();
        let mut stacks = kernel_stacks();
        for pid in [1, 2] {
            machine.map_process(pid);
            assert_eq!(fake.child("spinner", &[], 0), pid);
            stacks.push(StackInfo {
                owner: Some(pid),
                root: process_root(pid),
                ..stack(USER_STACK, 0x1000, StackKind::User)
            });
        }
        machine.processes = Some(fake);
        machine.stacks = Some(StackBooks { all: stacks });
        machine.interrupts = Some(Counted);
        machine
    }

    fn map_kernel(&mut self) {
        let memory = &mut self.memory;
        let data = FLAGS;
        let mut map = |va: u64, pa: u64, size, flags| {
            memory.map(VirtAddr(va), PhysAddr(pa), size, flags);
            memory.add_ram(PhysAddr(pa), 0x1000);
        };
        let small = PageSize::Size4K;
        for (page, flags) in (0..).zip([0, 0, Entry::NO_EXECUTE, data, data]) {
            map(
                KERNEL + page * 0x1000,
                0x20_0000 + page * 0x1000,
                small,
                flags,
            );
        }
        map(PHYSMAP, 0, PageSize::Size1G, data);
        map(HEAP, 0x40_0000, PageSize::Size2M, data);
        for page in [0, 0x1000] {
            map(
                HEAP + 0x20_0000 + page,
                0x30_0000 - 0x2000 + page,
                small,
                data,
            );
            map(STACKS + 0x1000 + page, 0x21_0000 + page, small, data);
            for ist in 0..3 {
                let va = IST + ist * 0x3000 + 0x1000 + page;
                map(va, 0x22_0000 + ist * 0x2000 + page, small, data);
            }
        }
        // The upper half is the kernel's: no USER on the way to it.
        for slot in 256..512 {
            let at = PhysAddr(ROOT + slot * 8);
            let raw = memory.read_u64(at).unwrap_or(0);
            memory.write_u64(at, raw & !Entry::USER);
        }
    }

    fn write_descriptors(&mut self) {
        let tss = KERNEL + 0x3100;
        let words = [
            0,
            0x00af_9b00_0000_ffff,
            0x00cf_9300_0000_ffff,
            0x00cf_f300_0000_ffff,
            0x00af_fb00_0000_ffff,
            (tss & 0xff_ffff) << 16 | (tss >> 24 & 0xff) << 56 | 0x8b00_0000_0067,
            tss >> 32,
        ];
        for (index, word) in (0..).zip(words) {
            self.memory
                .write_u64(PhysAddr(DESCRIPTORS + index * 8), word);
        }
        self.set_tss(4, STACKS + 0x3000);
        for ist in 0..3 {
            self.set_tss(0x24 + ist * 8, IST + ist * 0x3000 + 0x3000);
        }
        let base = PhysAddr(DESCRIPTORS + 0x100 + 0x66);
        self.memory.write(base, &0x68_u16.to_le_bytes());
        for vector in (0..0x30).chain([0x80]) {
            let ist = match vector {
                8 => 1,
                2 => 2,
                18 => 3,
                _ => 0,
            };
            let dpl = if matches!(vector, 3 | 4 | 0x80) { 3 } else { 0 };
            self.set_gate(vector, 0x8e00_u64 | dpl << 13 | ist);
        }
        self.registers = Some(Registers {
            rip: KERNEL,
            rsp: STACKS + 0x2ff0,
            cr0: 0x8001_0033,
            cr3: ROOT,
            cr4: 0x30_0020,
            efer: 0xd00,
            rflags: 2,
            cs: 8,
            ss: 0x10,
            tr: 0x28,
            gdtr: TablePointer {
                base: KERNEL + 0x3000,
                limit: 0x37,
            },
            idtr: TablePointer {
                base: KERNEL + 0x4000,
                limit: 0xfff,
            },
            ..Registers::default()
        });
    }

    /// Writes a word of the task state segment.
    pub(crate) fn set_tss(&mut self, offset: u64, value: u64) {
        let at = PhysAddr(DESCRIPTORS + 0x100 + offset);
        self.memory.write(at, &value.to_le_bytes());
    }

    /// Writes a gate whose handler is in the text; `bits` are bits 47:32 of its first word.
    pub(crate) fn set_gate(&mut self, vector: u64, bits: u64) {
        let handler = KERNEL + vector * 16;
        let low = handler & 0xffff | 8 << 16 | bits << 32 | (handler >> 16 & 0xffff) << 48;
        let at = IDT + vector * 16;
        self.memory.write_u64(PhysAddr(at), low);
        self.memory.write_u64(PhysAddr(at + 8), handler >> 32);
    }

    fn map_process(&mut self, pid: Pid) {
        let root = process_root(pid);
        let memory = &mut self.memory;
        memory.add_ram(root, 0x1000);
        for slot in 256..512 {
            if let Ok(raw @ 1..) = memory.read_u64(PhysAddr(ROOT + slot * 8)) {
                memory.write_u64(PhysAddr(root.0 + slot * 8), raw);
            }
        }
        let data = FLAGS;
        let own = 0x50_0000 + u64::from(pid) * 0x2000;
        for (va, pa, flags) in [
            (CODE, 0x50_0000, 0),
            (DATA, own, data),
            (USER_STACK, own + 0x1000, data),
        ] {
            let (va, pa, flags) = (VirtAddr(va), PhysAddr(pa), flags | Entry::USER);
            memory.map_in(root, va, pa, PageSize::Size4K, flags);
            memory.add_ram(pa, 0x1000);
        }
    }

    /// Where the entry is through which an address goes, at a depth: 0 in the top table.
    pub(crate) fn entry(&mut self, root: u64, va: u64, depth: usize) -> PhysAddr {
        let paging = self.memory.paging;
        let walk = machine::walk(&mut self.memory, &paging, PhysAddr(root), VirtAddr(va));
        walk.steps()[depth].entry_address()
    }

    /// Changes an entry, by the bits that are to be set and those that are to be clear.
    pub(crate) fn change(&mut self, root: u64, va: u64, depth: usize, set: u64, clear: u64) {
        let at = self.entry(root, va, depth);
        let raw = self.memory.read_u64(at).expect("the entry has memory");
        self.memory.write_u64(at, raw & !clear | set);
    }
}

fn stack(bottom: u64, bytes: u64, kind: StackKind) -> StackInfo {
    StackInfo {
        name: "",
        owner: None,
        bottom: VirtAddr(bottom),
        top: VirtAddr(bottom + bytes),
        kind,
        state: StackState::Live,
        root: PhysAddr(ROOT),
        high_water: None,
    }
}

fn kernel_stacks() -> Vec<StackInfo> {
    let ist = |number: u64| stack(IST + number * 0x3000 + 0x1000, 0x2000, StackKind::Ist);
    let free = StackInfo {
        state: StackState::Free,
        ..stack(STACKS + 0x4000, 0x2000, StackKind::Kernel)
    };
    let live = stack(STACKS + 0x1000, 0x2000, StackKind::Kernel);
    vec![ist(0), ist(1), ist(2), live, free]
}
