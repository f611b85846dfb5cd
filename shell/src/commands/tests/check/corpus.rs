//! The broken machines.

use machine::{Entry, PageSize, PhysAddr, PhysMemory as _, VirtAddr};

use super::{PARTS, parts};
use crate::Status;
use crate::testing::sound::{
    CODE, DATA, DESCRIPTORS, HEAP, IDT, IST, KERNEL, PHYSMAP, STACKS, USER_STACK,
};
use crate::testing::{Machine, ROOT, output, process_root};

const P: u64 = Entry::PRESENT;
const W: u64 = Entry::WRITABLE;
const U: u64 = Entry::USER;
const G: u64 = Entry::GLOBAL;
const NX: u64 = Entry::NO_EXECUTE;
const DATA_PAGE: u64 = P | W | NX;

/// One change to a sound machine, and all that is found then: each row with its part.
struct Broken {
    name: &'static str,
    change: fn(&mut Machine),
    /// Parts that could not look at everything.
    unknown: &'static [&'static str],
    rows: &'static [(&'static str, &'static str)],
}

/// The top table of process 1.
fn one() -> u64 {
    process_root(1).0
}

/// Copies the table at `from` to a new frame, and says where.
fn copy_table(machine: &mut Machine, from: u64) -> u64 {
    let to = machine.memory.new_table();
    for offset in (0..0x1000).step_by(8) {
        let raw = machine
            .memory
            .read_u64(PhysAddr(from + offset))
            .unwrap_or(0);
        machine.memory.write_u64(PhysAddr(to.0 + offset), raw);
    }
    to.0
}

/// Gives process 1 a copy of its own of the table below an entry; where the copy is.
fn make_private(machine: &mut Machine, va: u64, depth: usize) -> u64 {
    let at = machine.entry(one(), va, depth);
    let raw = machine.memory.read_u64(at).expect("it is there");
    let copy = copy_table(machine, raw & 0xff_ffff_f000);
    machine.memory.write_u64(at, copy | raw & !0xff_ffff_f000);
    copy
}

fn set(machine: &mut Machine, root: u64, va: u64, depth: usize, raw: u64) {
    let at = machine.entry(root, va, depth);
    machine.memory.write_u64(at, raw);
}

const TREE: &[&str] = &["wx", "user-bits", "nx", "global", "alias", "loops"];

const CORPUS: &[Broken] = &[
    Broken {
        name: "USER missing at the PDPT",
        change: |m| m.change(one(), CODE, 1, 0, U),
        unknown: &[],
        rows: &[(
            "user-bits",
            "pid 1 0x0000_0000_0040_0000..0x0000_0000_0060_0fff PDPT 0x0000_0010_e000 000000000010f003 U/S clear above 2 pages that have it set",
        )],
    },
    Broken {
        name: "USER missing in the PML4 entry",
        change: |m| m.change(one(), CODE, 0, 0, U),
        unknown: &[],
        rows: &[(
            "user-bits",
            "pid 1 0x0000_0000_0040_0000..0x0000_0000_0060_0fff PML4 0x0000_0030_1000 000000000010e003 U/S clear above 2 pages that have it set",
        )],
    },
    Broken {
        name: "a page of a process without USER",
        change: |m| m.change(one(), DATA, 3, 0, U),
        unknown: &[],
        rows: &[(
            "user-bits",
            "pid 1 0x0000_0000_0060_0000..0x0000_0000_0060_0fff PT   0x0000_0011_1000 8000000000502003 U/S clear, in the half of a process",
        )],
    },
    Broken {
        name: "USER in the kernel half, out of reach",
        change: |m| m.change(ROOT, HEAP + 0x20_1000, 3, U, 0),
        unknown: &[],
        rows: &[(
            "user-bits",
            "master 0xffff_c800_0020_1000..0xffff_c800_0020_1fff PT   0x0000_0010_7008 80000000002ff007 U/S set: only an entry above keeps user code out, in heap",
        )],
    },
    Broken {
        name: "USER in the kernel half, all the way",
        change: |m| {
            for root in [ROOT, process_root(1).0, process_root(2).0] {
                m.change(root, HEAP + 0x20_1000, 0, U, 0);
            }
            m.change(ROOT, HEAP + 0x20_1000, 3, U, 0);
        },
        unknown: &[],
        rows: &[(
            "user-bits",
            "master 0xffff_c800_0020_1000..0xffff_c800_0020_1fff PT   0x0000_0010_7008 80000000002ff007 U/S set: user code can use it, in heap",
        )],
    },
    Broken {
        name: "a user page in the master",
        change: |m| {
            let at = PhysAddr(0x51_0000);
            m.memory.map(VirtAddr(CODE), at, PageSize::Size4K, U | NX);
            m.memory.add_ram(at, 0x1000);
        },
        unknown: &[],
        rows: &[(
            "user-bits",
            "master 0x0000_0000_0040_0000..0x0000_0000_0040_0fff PT   0x0000_0011_e000 8000000000510005 U/S set, in the master",
        )],
    },
    Broken {
        name: "NX in the PML4 entry",
        change: |m| m.change(one(), CODE, 0, NX, 0),
        unknown: &[],
        rows: &[(
            "nx",
            "pid 1 0x0000_0000_0040_0000..0x0000_0000_0040_0fff PML4 0x0000_0030_1000 800000000010e007 XD set above 1 page that has it clear",
        )],
    },
    Broken {
        name: "NX in the PML4 entry of the kernel's text, which has all handlers",
        change: |m| {
            for root in [ROOT, process_root(1).0, process_root(2).0] {
                m.change(root, KERNEL, 0, NX, 0);
            }
        },
        unknown: &[],
        rows: &[
            (
                "nx",
                "master 0xffff_8000_0000_0000..0xffff_8000_0000_1fff PML4 0x0000_0010_0800 8000000000101003 XD set above 2 pages that have it clear, in text",
            ),
            (
                "descriptors",
                "idt 0..47 00008e0000080000 its handler cannot be executed: 0x0000_0020_0000 -r-- (4K page), 48 in a row",
            ),
            (
                "descriptors",
                "idt 128 interrupt 0000ee0000080800 its handler cannot be executed: 0x0000_0020_0800 -r-- (4K page)",
            ),
        ],
    },
    Broken {
        name: "NX at the PD of a process",
        change: |m| m.change(one(), CODE, 2, NX, 0),
        unknown: &[],
        rows: &[(
            "nx",
            "pid 1 0x0000_0000_0040_0000..0x0000_0000_0040_0fff PD   0x0000_0010_f010 8000000000110007 XD set above 1 page that has it clear",
        )],
    },
    Broken {
        name: "a page of constants that can be executed",
        change: |m| m.change(ROOT, KERNEL + 0x2000, 3, 0, NX),
        unknown: &[],
        rows: &[(
            "nx",
            "master 0xffff_8000_0000_2000..0xffff_8000_0000_2fff PT   0x0000_0010_3010 0000000000202001 XD clear: executable and should not be, in rodata",
        )],
    },
    Broken {
        name: "text that cannot be executed",
        change: |m| m.change(ROOT, KERNEL + 0x1000, 3, NX, 0),
        unknown: &[],
        rows: &[(
            "nx",
            "master 0xffff_8000_0000_1000..0xffff_8000_0000_1fff PT   0x0000_0010_3008 8000000000201001 XD set: not executable and should be, in text",
        )],
    },
    Broken {
        name: "W+X text",
        change: |m| m.change(ROOT, KERNEL + 0x1000, 3, W, 0),
        unknown: &[],
        rows: &[(
            "wx",
            "master 0xffff_8000_0000_1000..0xffff_8000_0000_1fff PT   0x0000_0010_3008 0000000000201003 R/W set, XD clear: both writable and executable, in text",
        )],
    },
    Broken {
        name: "W+X in a process",
        change: |m| m.change(one(), DATA, 3, 0, NX),
        unknown: &[],
        rows: &[(
            "wx",
            "pid 1 0x0000_0000_0060_0000..0x0000_0000_0060_0fff PT   0x0000_0011_1000 0000000000502007 R/W set, XD clear: both writable and executable",
        )],
    },
    Broken {
        name: "W+X heap, which is wrong in two ways",
        change: |m| m.change(ROOT, HEAP, 2, 0, NX),
        unknown: &[],
        rows: &[
            (
                "wx",
                "master 0xffff_c800_0000_0000..0xffff_c800_001f_ffff PD   0x0000_0010_6000 0000000000400083 R/W set, XD clear: both writable and executable, in heap",
            ),
            (
                "nx",
                "master 0xffff_c800_0000_0000..0xffff_c800_001f_ffff PD   0x0000_0010_6000 0000000000400083 XD clear: executable and should not be, in heap",
            ),
        ],
    },
    Broken {
        name: "constants that can be written",
        change: |m| m.change(ROOT, KERNEL + 0x2000, 3, W, 0),
        unknown: &[],
        rows: &[(
            "wx",
            "master 0xffff_8000_0000_2000..0xffff_8000_0000_2fff PT   0x0000_0010_3010 8000000000202003 R/W set: writable and should not be, in rodata",
        )],
    },
    Broken {
        name: "heap that cannot be written",
        change: |m| m.change(ROOT, HEAP, 2, 0, W),
        unknown: &[],
        rows: &[(
            "wx",
            "master 0xffff_c800_0000_0000..0xffff_c800_001f_ffff PD   0x0000_0010_6000 8000000000400081 R/W clear: not writable and should be, in heap",
        )],
    },
    Broken {
        name: "W lost at the PD",
        change: |m| m.change(ROOT, HEAP + 0x20_0000, 2, 0, W),
        unknown: &[],
        rows: &[(
            "wx",
            "master 0xffff_c800_0020_0000..0xffff_c800_0020_1fff PD   0x0000_0010_6008 0000000000107005 R/W clear above 2 pages that have it set, in heap",
        )],
    },
    Broken {
        name: "W lost at the PDPT of a process",
        change: |m| m.change(one(), DATA, 1, 0, W),
        unknown: &[],
        rows: &[(
            "wx",
            "pid 1 0x0000_0000_0060_0000..0x0000_0000_0060_0fff PDPT 0x0000_0010_e000 000000000010f005 R/W clear above 1 page that has it set",
        )],
    },
    Broken {
        name: "GLOBAL where a table is referenced",
        change: |m| m.change(ROOT, HEAP, 1, G, 0),
        unknown: &[],
        rows: &[(
            "global",
            "master 0xffff_c800_0000_0000..0xffff_c800_3fff_ffff PDPT 0x0000_0010_5000 0000000000106107 G set where a table is referenced, in heap",
        )],
    },
    Broken {
        name: "GLOBAL in a PML4 entry of a process",
        change: |m| m.change(one(), HEAP, 0, G, 0),
        unknown: &[],
        rows: &[(
            "global",
            "pid 1 0xffff_c800_0000_0000..0xffff_c87f_ffff_ffff PML4 0x0000_0030_1c80 0000000000105103 G set where a table is referenced, in heap",
        )],
    },
    Broken {
        name: "GLOBAL on a stack",
        change: |m| m.change(ROOT, STACKS + 0x1000, 3, G, 0),
        unknown: &[],
        rows: &[(
            "global",
            "master 0xffff_c900_0000_1000..0xffff_c900_0000_1fff PT   0x0000_0010_a008 8000000000210103 G set, on a stack, in kernel stacks",
        )],
    },
    Broken {
        name: "GLOBAL in a process",
        change: |m| m.change(one(), CODE, 3, G, 0),
        unknown: &[],
        rows: &[(
            "global",
            "pid 1 0x0000_0000_0040_0000..0x0000_0000_0040_0fff PT   0x0000_0011_0000 0000000000500105 G set, in the user half",
        )],
    },
    Broken {
        name: "bit 7 of a PML4 entry",
        change: |m| m.change(one(), CODE, 0, 1 << 7, 0),
        unknown: &[],
        rows: &[(
            "reserved",
            "pid 1 0x0000_0000_0000_0000..0x0000_007f_ffff_ffff PML4 0x0000_0030_1000 000000000010e087 malformed: bit 7 set in a PML4",
        )],
    },
    Broken {
        name: "a bit beyond MAXPHYADDR",
        change: |m| m.change(ROOT, HEAP + 0x20_0000, 3, 1 << 45, 0),
        unknown: &[],
        rows: &[(
            "reserved",
            "master 0xffff_c800_0020_0000..0xffff_c800_0020_0fff PT   0x0000_0010_7000 80002000002fe003 malformed: bit 45 set, beyond the 40 physical address bits, in heap",
        )],
    },
    Broken {
        name: "bits 29:13 of a 1 GiB page",
        change: |m| m.change(ROOT, PHYSMAP, 1, 0x3fff_e000, 0),
        unknown: &[],
        rows: &[(
            "reserved",
            "master 0xffff_8080_0000_0000..0xffff_8080_3fff_ffff PDPT 0x0000_0010_4000 800000003fffe083 malformed: bits 29:13 set, inside a 1G page, in physmap",
        )],
    },
    Broken {
        name: "bit 13 of a 2 MiB page",
        change: |m| m.change(ROOT, HEAP, 2, 1 << 13, 0),
        unknown: &[],
        rows: &[(
            "reserved",
            "master 0xffff_c800_0000_0000..0xffff_c800_001f_ffff PD   0x0000_0010_6000 8000000000402083 malformed: bit 13 set, inside a 2M page, in heap",
        )],
    },
    Broken {
        name: "1 GiB pages where there are none",
        change: |m| m.memory.paging.gib_pages = false,
        unknown: &[],
        rows: &[(
            "reserved",
            "master 0xffff_8080_0000_0000..0xffff_8080_3fff_ffff PDPT 0x0000_0010_4000 8000000000000083 malformed: bit 7 set, and there are no 1G pages, in physmap",
        )],
    },
    Broken {
        name: "a table beyond RAM",
        change: |m| set(m, one(), CODE, 2, 0x9_9000 | P | W | U),
        unknown: TREE,
        rows: &[(
            "reserved",
            "pid 1 0x0000_0000_0040_0000..0x0000_0000_005f_ffff PD   0x0000_0010_f010 0000000000099007 its table cannot be read: no memory at 0x0000_0009_9000",
        )],
    },
    Broken {
        name: "a page beyond RAM",
        change: |m| set(m, one(), DATA, 3, 0x77_7000 | DATA_PAGE | U),
        unknown: &[],
        rows: &[(
            "reserved",
            "pid 1 0x0000_0000_0060_0000..0x0000_0000_0060_0fff PT   0x0000_0011_1000 8000000000777007 no memory is where its page should be: 0x0000_0077_7000 (4K page)",
        )],
    },
    Broken {
        name: "a table that references itself",
        change: |m| {
            m.memory
                .write_u64(PhysAddr(one() + 8 * 3), one() | P | W | U)
        },
        unknown: &[],
        rows: &[(
            "loops",
            "pid 1 0x0000_0180_0000_0000..0x0000_01ff_ffff_ffff PML4 0x0000_0030_1018 0000000000301007 references a table that leads to it",
        )],
    },
    Broken {
        name: "a PD that references its PDPT",
        change: |m| {
            let pdpt = m.entry(one(), CODE, 1).0 & !0xfff;
            let pd = m.entry(one(), CODE, 2).0 & !0xfff;
            m.memory.write_u64(PhysAddr(pd + 0xff8), pdpt | P | W | U);
        },
        unknown: &[],
        rows: &[(
            "loops",
            "pid 1 0x0000_0000_3fe0_0000..0x0000_0000_3fff_ffff PD   0x0000_0010_fff8 000000000010e007 references a table that leads to it",
        )],
    },
    Broken {
        name: "one table under two slots",
        change: |m| {
            let pdpt = m.entry(one(), CODE, 1).0 & !0xfff;
            m.memory
                .write_u64(PhysAddr(one() + 8 * 5), pdpt | P | W | U);
        },
        unknown: &[],
        rows: &[(
            "alias",
            "pid 1 0x0000_0280_0000_0000..0x0000_02ff_ffff_ffff PML4 0x0000_0030_1028 000000000010e007 the table 0x0000_0010_e000 is that of 0x0000_0000_0000_0000, too (entry 0x0000_0030_1000)",
        )],
    },
    Broken {
        name: "one table under two slots of the master",
        change: |m| {
            let pdpt = m.entry(ROOT, HEAP, 1).0 & !0xfff;
            for root in [ROOT, process_root(1).0, process_root(2).0] {
                m.memory.write_u64(PhysAddr(root + 8 * 300), pdpt | P | W);
            }
        },
        unknown: &[],
        rows: &[(
            "alias",
            "master 0xffff_c800_0000_0000..0xffff_c87f_ffff_ffff PML4 0x0000_0010_0c80 0000000000105003 the table 0x0000_0010_5000 is that of 0xffff_9600_0000_0000, too (entry 0x0000_0010_0960), in heap",
        )],
    },
    Broken {
        name: "one table as a PD and as a page table",
        change: |m| {
            let pd = m.entry(one(), CODE, 2).0 & !0xfff;
            // An empty slot of the PD that would be a page table below another entry.
            let at = PhysAddr(pd + 8 * 100);
            let table = m.memory.new_table().0;
            m.memory.write_u64(at, table | P | W | U);
            let pdpt = m.entry(one(), CODE, 1).0 & !0xfff;
            m.memory
                .write_u64(PhysAddr(pdpt + 8 * 9), table | P | W | U);
        },
        unknown: &[],
        rows: &[(
            "alias",
            "pid 1 0x0000_0002_4000_0000..0x0000_0002_7fff_ffff PDPT 0x0000_0010_e048 000000000011c007 the table 0x0000_0011_c000 is that of 0x0000_0000_0c80_0000, too (entry 0x0000_0010_f320): a PD here and a PT there",
        )],
    },
    Broken {
        name: "aliased writable text",
        change: |m| {
            let (va, at) = (VirtAddr(0x80_0000), PhysAddr(0x50_0000));
            let root = process_root(2);
            m.memory.map_in(root, va, at, PageSize::Size4K, W | NX | U);
        },
        unknown: &[],
        rows: &[(
            "alias",
            "pid 2 0x0000_0000_0080_0000..0x0000_0000_0080_0fff PT   0x0000_0011_c000 8000000000500007 R/W set: 0x0000_0050_0000 is code that can be executed at 0x0000_0000_0040_0000 in pid 1",
        )],
    },
    Broken {
        name: "kernel slot missing",
        change: |m| m.memory.write_u64(PhysAddr(one() + 8 * 400), 0),
        unknown: &[],
        rows: &[(
            "kernel-half",
            "pid 1 slot 400 (heap) PML4 0x0000_0030_1c80 0000000000000000 missing; the master's entry is 0000000000105003",
        )],
    },
    Broken {
        name: "kernel slot that the master lacks",
        change: |m| {
            let table = m.memory.new_table();
            m.memory
                .write_u64(PhysAddr(one() + 8 * 310), table.0 | P | W);
        },
        unknown: &[],
        rows: &[(
            "kernel-half",
            "pid 1 slot 310 PML4 0x0000_0030_19b0 000000000011c003 not in the master",
        )],
    },
    Broken {
        name: "kernel slot private",
        change: |m| {
            make_private(m, HEAP, 0);
        },
        unknown: &[],
        rows: &[(
            "kernel-half",
            "pid 1 slot 400 (heap) PML4 0x0000_0030_1c80 000000000011c003 a private copy, alike for now; the master's entry is 0000000000105003",
        )],
    },
    Broken {
        name: "kernel slot private further down",
        change: |m| {
            make_private(m, HEAP, 0);
            make_private(m, HEAP, 1);
        },
        unknown: &[],
        rows: &[(
            "kernel-half",
            "pid 1 slot 400 (heap) PML4 0x0000_0030_1c80 000000000011c003 a private copy, alike for now; the master's entry is 0000000000105003",
        )],
    },
    Broken {
        name: "stale snapshot of the kernel half",
        change: |m| {
            make_private(m, HEAP, 0);
            make_private(m, HEAP, 1);
            make_private(m, HEAP + 0x20_0000, 2);
            let (va, at) = (VirtAddr(HEAP + 0x20_2000), PhysAddr(0x2f_0000));
            m.memory.map(va, at, PageSize::Size4K, W | NX);
            m.memory.add_ram(at, 0x1000);
        },
        unknown: &[],
        rows: &[(
            "kernel-half",
            "pid 1 slot 400 (heap) PT   0x0000_0011_e010 0000000000000000 a private copy that is stale: missing; the master's entry is 80000000002f0003",
        )],
    },
    Broken {
        name: "kernel slot with another memory type",
        change: |m| m.change(one(), PHYSMAP, 0, Entry::CACHE_DISABLE, 0),
        unknown: &[],
        rows: &[(
            "kernel-half",
            "pid 1 slot 257 (physmap) PML4 0x0000_0030_1808 0000000000104013 differs in type; the master's entry is 0000000000104003",
        )],
    },
    Broken {
        name: "kernel slot without W, which its pages lose",
        change: |m| m.change(one(), PHYSMAP, 0, 0, W),
        unknown: &[],
        rows: &[
            (
                "kernel-half",
                "pid 1 slot 257 (physmap) PML4 0x0000_0030_1808 0000000000104001 differs in W; the master's entry is 0000000000104003",
            ),
            (
                "wx",
                "pid 1 0xffff_8080_0000_0000..0xffff_8080_3fff_ffff PML4 0x0000_0030_1808 0000000000104001 R/W clear above 1 page that has it set, in physmap",
            ),
        ],
    },
    Broken {
        name: "stack page missing",
        change: |m| m.change(ROOT, STACKS + 0x1000, 3, 0, P),
        unknown: &[],
        rows: &[(
            "stacks",
            "master 0xffff_c900_0000_1000..0xffff_c900_0000_1fff PT   0x0000_0010_a008 8000000000210002 is not mapped: PT entry not present, in kernel stacks",
        )],
    },
    Broken {
        name: "IST page missing",
        change: |m| m.change(ROOT, IST + 0x4000, 3, 0, P),
        unknown: &[],
        rows: &[(
            "stacks",
            "master 0xffff_c980_0000_4000..0xffff_c980_0000_4fff PT   0x0000_0010_d020 8000000000222002 is not mapped: PT entry not present, in exception stacks",
        )],
    },
    Broken {
        name: "IST page missing where the CPU pushes first",
        change: |m| m.change(ROOT, IST + 0x5000, 3, 0, P),
        unknown: &[],
        rows: &[
            (
                "stacks",
                "master 0xffff_c980_0000_5000..0xffff_c980_0000_5fff PT   0x0000_0010_d028 8000000000223002 is not mapped: PT entry not present, in exception stacks",
            ),
            (
                "descriptors",
                "IST2 ffffc98000006000 the word below is not mapped: PT entry not present",
            ),
        ],
    },
    Broken {
        name: "guard page mapped",
        change: |m| {
            set(m, ROOT, STACKS, 3, 0x21_2000 | DATA_PAGE);
            m.memory.add_ram(PhysAddr(0x21_2000), 0x1000);
        },
        unknown: &[],
        rows: &[(
            "stacks",
            "master 0xffff_c900_0000_0000..0xffff_c900_0000_0fff PT   0x0000_0010_a000 8000000000212003 the guard page is mapped: 0x0000_0021_2000 -rw- (4K page), in kernel stacks",
        )],
    },
    Broken {
        name: "a free stack that is still mapped",
        change: |m| {
            for page in [0x4000, 0x5000] {
                set(m, ROOT, STACKS + page, 3, (0x21_0000 + page) | DATA_PAGE);
                m.memory.add_ram(PhysAddr(0x21_0000 + page), 0x1000);
            }
        },
        unknown: &[],
        rows: &[(
            "stacks",
            "master 0xffff_c900_0000_4000..0xffff_c900_0000_5fff PT   0x0000_0010_a020 8000000000214003 is mapped: 0x0000_0021_4000 -rw- (4K page), 2 in a row, in kernel stacks",
        )],
    },
    Broken {
        name: "the guard page of a user stack mapped",
        change: |m| {
            let (va, at) = (VirtAddr(USER_STACK - 0x1000), PhysAddr(0x52_0000));
            m.memory
                .map_in(process_root(1), va, at, PageSize::Size4K, W | NX | U);
            m.memory.add_ram(at, 0x1000);
        },
        unknown: &[],
        rows: &[(
            "stacks",
            "pid 1 0x0000_7fff_efff_f000..0x0000_7fff_efff_ffff PT   0x0000_0011_cff8 8000000000520007 the guard page is mapped: 0x0000_0052_0000 urw- (4K page)",
        )],
    },
    Broken {
        name: "the frame of a stack that is not the master's",
        change: |m| {
            for depth in 0..3 {
                make_private(m, STACKS + 0x2000, depth);
            }
            set(m, one(), STACKS + 0x2000, 3, 0x21_8000 | DATA_PAGE);
            m.memory.add_ram(PhysAddr(0x21_8000), 0x1000);
        },
        unknown: &[],
        rows: &[
            (
                "kernel-half",
                "pid 1 slot 402 (kernel stacks) PT   0x0000_0011_e010 8000000000218003 a private copy that is stale: differs in frame; the master's entry is 8000000000211003",
            ),
            (
                "stacks",
                "pid 1 0xffff_c900_0000_2000..0xffff_c900_0000_2fff PT   0x0000_0011_e010 8000000000218003 is not as in the master: 0x0000_0021_8000 -rw- (4K page), in kernel stacks",
            ),
        ],
    },
    Broken {
        name: "RSP0 zero",
        change: |m| m.set_tss(4, 0),
        unknown: &[],
        rows: &[(
            "descriptors",
            "RSP0 0000000000000000 is zero: an entry from ring 3 has no stack",
        )],
    },
    Broken {
        name: "RSP0 stale",
        change: |m| m.set_tss(4, STACKS + 0x6000),
        unknown: &[],
        rows: &[(
            "descriptors",
            "RSP0 ffffc90000006000 is the top of a stack that nobody has",
        )],
    },
    Broken {
        name: "RSP0 in the middle of a stack",
        change: |m| m.set_tss(4, STACKS + 0x2000),
        unknown: &[],
        rows: &[(
            "descriptors",
            "RSP0 ffffc90000002000 is the top of no kernel stack",
        )],
    },
    Broken {
        name: "IST zero",
        change: |m| m.set_tss(0x24, 0),
        unknown: &[],
        rows: &[(
            "descriptors",
            "idt 8 #DF double fault 00008e0100080080 asks for IST1, which is zero",
        )],
    },
    Broken {
        name: "IST shared by two gates",
        change: |m| m.set_gate(2, 0x8e01),
        unknown: &[],
        rows: &[(
            "descriptors",
            "idt 8 #DF double fault 00008e0100080080 has the stack of vector 2",
        )],
    },
    Broken {
        name: "IST shared by two fields",
        change: |m| m.set_tss(0x2c, IST + 0x3000),
        unknown: &[],
        rows: &[(
            "descriptors",
            "idt 8 #DF double fault 00008e0100080080 has the stack of vector 2",
        )],
    },
    Broken {
        name: "#DF without a stack of its own",
        change: |m| m.set_gate(8, 0x8e00),
        unknown: &[],
        rows: &[(
            "descriptors",
            "idt 8 #DF double fault 00008e0000080080 has no stack of its own (IST is 0)",
        )],
    },
    Broken {
        name: "#PF on an IST stack",
        change: |m| m.set_gate(14, 0x8e03),
        unknown: &[],
        rows: &[(
            "descriptors",
            "idt 14 #PF page fault 00008e03000800e0 has an IST stack: a second page fault overwrites the first",
        )],
    },
    Broken {
        name: "an IDT gate absent",
        change: |m| m.memory.write(PhysAddr(IDT + 13 * 16), &[0; 16]),
        unknown: &[],
        rows: &[(
            "descriptors",
            "idt 13 #GP general protection 0000000000000000 is not present",
        )],
    },
    Broken {
        name: "the gate of the timer absent",
        change: |m| m.memory.write(PhysAddr(IDT + 32 * 16), &[0; 16]),
        unknown: &[],
        rows: &[(
            "descriptors",
            "idt 32 interrupt 0000000000000000 is not present",
        )],
    },
    Broken {
        name: "gate DPL 3 on an exception",
        change: |m| m.set_gate(14, 0xee00),
        unknown: &[],
        rows: &[(
            "descriptors",
            "idt 14 #PF page fault 0000ee00000800e0 has a DPL above 0: user code can raise it with INT",
        )],
    },
    Broken {
        name: "a task gate",
        change: |m| m.set_gate(0, 0x8500),
        unknown: &[],
        rows: &[(
            "descriptors",
            "idt 0 #DE divide error 0000850000080000 has a type that no gate may have",
        )],
    },
    Broken {
        name: "a handler outside the code",
        change: |m| {
            let at = PhysAddr(IDT + 6 * 16);
            let raw = m.memory.read_u64(at).unwrap_or(0);
            m.memory.write_u64(at, raw & !0xffff | 0x3000);
        },
        unknown: &[],
        rows: &[(
            "descriptors",
            "idt 6 #UD invalid opcode 00008e0000083000 its handler cannot be executed: 0x0000_0020_3000 -rw- (4K page)",
        )],
    },
    Broken {
        name: "an IDT that is too short",
        change: |m| {
            if let Some(registers) = &mut m.registers {
                registers.idtr.limit = 0x23f;
            }
        },
        unknown: &[],
        rows: &[(
            "descriptors",
            "idt 36 interrupt is beyond the limit of the IDT",
        )],
    },
    Broken {
        name: "I/O bitmap inside",
        change: |m| {
            let at = PhysAddr(DESCRIPTORS + 0x100 + 0x66);
            m.memory.write(at, &0x60_u16.to_le_bytes());
        },
        unknown: &[],
        rows: &[(
            "descriptors",
            "I/O bitmap 0000000000000060 begins within the limit: user code may use the ports whose bits are clear",
        )],
    },
    Broken {
        name: "a code descriptor with D and L",
        change: |m| {
            m.memory
                .write_u64(PhysAddr(DESCRIPTORS + 8), 0x00ef_9b00_0000_ffff)
        },
        unknown: &[],
        rows: &[(
            "descriptors",
            "gdt 0x0008 00ef9b000000ffff L and D are both set, which no code segment may have",
        )],
    },
    Broken {
        name: "CS out of limit",
        change: |m| {
            if let Some(registers) = &mut m.registers {
                registers.cs = 0x48;
            }
        },
        unknown: &[],
        rows: &[(
            "descriptors",
            "CS 0000000000000048 is beyond the limit 0x37 of the GDT",
        )],
    },
    Broken {
        name: "SS for user code",
        change: |m| {
            if let Some(registers) = &mut m.registers {
                registers.ss = 0x18;
            }
        },
        unknown: &[],
        rows: &[(
            "descriptors",
            "SS 0000000000000018 names data of another privilege level",
        )],
    },
    Broken {
        name: "TSS limit short",
        change: |m| {
            let at = PhysAddr(DESCRIPTORS + 0x28);
            let raw = m.memory.read_u64(at).unwrap_or(0);
            m.memory.write_u64(at, raw & !0xffff | 0x57);
        },
        unknown: &[],
        rows: &[(
            "descriptors",
            "gdt 0x0028 00008b0031000057 its limit is less than 0x67",
        )],
    },
    Broken {
        name: "no task state segment",
        change: |m| {
            if let Some(registers) = &mut m.registers {
                registers.tr = 0;
            }
        },
        unknown: &[],
        rows: &[(
            "descriptors",
            "TR 0000000000000000 is null: no task state segment is loaded",
        )],
    },
];

#[test]
fn each_broken_machine_is_found_to_be_broken_where_it_is_and_nowhere_else() {
    assert!(CORPUS.len() >= 24, "{}", CORPUS.len());
    for Broken {
        name,
        change,
        unknown,
        rows,
    } in CORPUS
    {
        let mut machine = Machine::sound();
        change(&mut machine);
        let (text, status) = output(&mut machine, "check all");
        let (parts, rest) = parts(&text);
        let found: Vec<(&str, &str)> = parts
            .iter()
            .flat_map(|(part, _, rows)| rows.iter().map(|row| (*part, *row)))
            .collect();
        assert_eq!(found, *rows, "{name}");
        let verdicts: Vec<&str> = parts.iter().map(|(_, verdict, _)| *verdict).collect();
        let expected = PARTS.map(|part| match rows.iter().any(|(found, _)| *found == part) {
            true => "fail",
            false if unknown.contains(&part) => "unknown",
            false => "pass",
        });
        assert_eq!(verdicts, expected, "{name}: {text}");
        let plural = if rows.len() == 1 { "" } else { "s" };
        let error = format!("check: {} finding{plural}", rows.len());
        assert_eq!(rest.last().copied(), Some(error.as_str()), "{name}: {text}");
        assert_eq!((rest.len(), status), (2, Status::Failed), "{name}: {text}");
    }
}

// So that a part by itself finds what it finds among all.
#[test]
fn a_part_by_itself_finds_the_same() {
    for Broken {
        name, change, rows, ..
    } in CORPUS
    {
        for part in PARTS {
            let mut machine = Machine::sound();
            change(&mut machine);
            let (text, status) = output(&mut machine, &format!("check {part}"));
            let (parts, _) = parts(&text);
            let own = rows.iter().filter(|(found, _)| *found == part);
            let expected: Vec<&str> = own.map(|(_, row)| *row).collect();
            assert_eq!(parts[0].2, expected, "{name}: {text}");
            let is_ok = status == Status::Ok;
            assert_eq!(is_ok, parts[0].1 == "pass", "{name}: {text}");
        }
    }
}
