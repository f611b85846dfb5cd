//! A machine whose books agree with its tables in every point, for tests that spoil one.
//!
//! ```text
//!   0x00_0000 low 1 MiB   0x10_0000 the master, then all tables    0x20_0000 free
//!   0xffff_8000_0000_0000 physmap, 4 large pages    0xffff_8100_0000_0000 image, 3 pages, 2 frames
//!   0xffff_8180_0000_0000 framebuffer               0xffff_c800_0000_0000 heap, 2 pages
//!   0xffff_c900_0000_0000 kernel stacks, guard page and 2 pages each: 0 the shell's, 1 of pid 1,
//!                         2 of pid 2, 3 of pid 3, which is dead, 4 nobody's
//!   0xffff_c980_0000_0000 IST stacks: 1, guard page and 1 page
//! ```
//!
//! Processes 1 and 2 share a page of code and have two pages of their own each.

use std::collections::BTreeMap;

use machine::{Entry, PageSize, Paging, PhysAddr, PhysMemory as _, Registers, Simulated, VirtAddr};

use super::machine::{Books, Machine, ROOT, process_root};
use super::{Fake, STACK, StackBooks};
use crate::{
    FrameInfo, FrameOwner, FrameTotals, Pid, Place, Processes as _, StackInfo, StackKind,
    StackPlace, StackState,
};

pub(crate) const PHYSMAP: u64 = 0xffff_8000_0000_0000;
pub(crate) const IMAGE: u64 = 0xffff_8100_0000_0000;
pub(crate) const FRAMEBUFFER: u64 = 0xffff_8180_0000_0000;
pub(crate) const HEAP: u64 = 0xffff_c800_0000_0000;
pub(crate) const STACKS: u64 = 0xffff_c900_0000_0000;
pub(crate) const IST: u64 = 0xffff_c980_0000_0000;
/// Bytes of RAM.
pub(crate) const RAM: u64 = 8 << 20;
const STRIDE: u64 = 0x3000;
const PAGE: u64 = 4096;

const DATA: u64 = Entry::WRITABLE | Entry::NO_EXECUTE;

/// Frames that belong to somebody.
#[derive(Default)]
struct Owned(BTreeMap<u64, (FrameOwner, u16)>);

impl Owned {
    fn set(&mut self, at: u64, owner: FrameOwner) -> PhysAddr {
        self.0.insert(at, (owner, 0));
        PhysAddr(at)
    }
}

impl Machine {
    /// The machine described above.
    pub(crate) fn audited() -> Machine {
        let mut memory = Simulated::new(Paging::four_level(40), PhysAddr(ROOT));
        let mut owned = Owned::default();
        kernel_half(&mut memory, &mut owned);
        for pid in [1, 2] {
            memory.add_ram(process_root(pid), PAGE);
            owned.set(process_root(pid).0, FrameOwner::PageTable);
            for slot in 256..512 {
                let raw = memory.read_u64(PhysAddr(ROOT + slot * 8)).unwrap_or(0);
                memory.write_u64(PhysAddr(process_root(pid).0 + slot * 8), raw);
            }
            process(&mut memory, &mut owned, pid);
        }
        // Tables lie one behind the other.
        let end = memory.new_table().0;
        for at in (ROOT..end).step_by(4096) {
            owned.set(at, FrameOwner::PageTable);
        }
        memory.add_ram(PhysAddr(0), RAM);
        memory.add_device(PhysAddr(0xfd00_0000), PAGE);
        let mut machine = Machine {
            memory,
            books: Some(books(&owned)),
            registers: Some(Registers {
                cr3: ROOT,
                rsp: STACKS + 0x2ff0,
                ..Registers::default()
            }),
            stacks: Some(stacks()),
            ..Machine::bare()
        };
        let mut processes = Fake::default();
        for program in ["spinner", "sleeper", "seven"] {
            processes.child(program, &[], 0);
        }
        // Until the third is dead.
        while processes
            .info(3)
            .is_some_and(|info| info.state.exit().is_none())
        {
            processes.run();
        }
        machine.processes = Some(processes);
        machine
    }

    /// The books of a machine that has some.
    pub(crate) fn books(&mut self) -> &mut Books {
        self.books.as_mut().expect("this machine has books")
    }
}

fn kernel_half(memory: &mut Simulated, owned: &mut Owned) {
    for page in 0..4 {
        let at = page << 21;
        memory.map(VirtAddr(PHYSMAP + at), PhysAddr(at), PageSize::Size2M, DATA);
    }
    let mut map = |va, at, flags| {
        memory.map(VirtAddr(va), at, PageSize::Size4K, flags);
    };
    // Two segments meet in the first frame.
    let first = owned.set(0x20_0000, FrameOwner::KernelImage);
    map(IMAGE, first, Entry::NO_EXECUTE);
    map(IMAGE + 0x1000, first, 0);
    map(
        IMAGE + 0x2000,
        owned.set(0x20_1000, FrameOwner::KernelData),
        DATA,
    );
    map(FRAMEBUFFER, PhysAddr(0xfd00_0000), DATA);
    for page in 0..2 {
        let at = owned.set(0x21_0000 + page * PAGE, FrameOwner::Heap);
        map(HEAP + page * PAGE, at, DATA);
    }
    for stack in 0..4 {
        for page in 0..2 {
            let at = 0x22_0000 + (stack * 2 + page) * PAGE;
            let at = owned.set(at, FrameOwner::KernelStack);
            map(STACKS + stack * STRIDE + (page + 1) * PAGE, at, DATA);
        }
    }
    map(IST + PAGE, owned.set(0x23_0000, FrameOwner::IstStack), DATA);
}

fn process(memory: &mut Simulated, owned: &mut Owned, pid: Pid) {
    let mut map = |va, at, flags| {
        let (va, flags) = (VirtAddr(va), flags | Entry::USER);
        memory.map_in(process_root(pid), va, at, PageSize::Size4K, flags);
    };
    let code = owned.set(0x40_0000, FrameOwner::User);
    owned.0.insert(code.0, (FrameOwner::User, 1));
    map(0x40_0000, code, 0);
    for page in 0..2 {
        let at = 0x50_0000 + u64::from(pid) * 0x1_0000 + page * PAGE;
        map(
            0x60_0000 + page * PAGE,
            owned.set(at, FrameOwner::User),
            DATA,
        );
    }
}

fn books(owned: &Owned) -> Books {
    let frames: BTreeMap<u64, FrameInfo> = (0..RAM / PAGE)
        .map(|number| {
            let (owner, shares) = match owned.0.get(&(number * PAGE)) {
                Some(owned) => *owned,
                None if number < 256 => (FrameOwner::LowMemory, 0),
                None => (FrameOwner::Free, 0),
            };
            let tally = 0;
            (
                number,
                FrameInfo {
                    owner,
                    shares,
                    tally,
                },
            )
        })
        .collect();
    let place = |first: u64, pages: u64, place| (first..first + pages * PAGE, place);
    let places = vec![
        place(PHYSMAP, RAM / PAGE, Place::Physmap(PhysAddr(0))),
        place(IMAGE, 3, Place::Memory(FrameOwner::KernelImage)),
        place(FRAMEBUFFER, 1, Place::Device),
        place(HEAP, 2, Place::Memory(FrameOwner::Heap)),
        place(STACKS, 5 * 3, Place::Stack(stack_place(StackKind::Kernel))),
        place(IST, 2, Place::Stack(stack_place(StackKind::Ist))),
    ];
    let mut books = Books {
        totals: FrameTotals::default(),
        owners: Vec::new(),
        failing: None,
        frames,
        places,
        changes: 0,
        is_busy: false,
    };
    books.count();
    books
}

fn stack_place(kind: StackKind) -> StackPlace {
    StackPlace {
        kind,
        number: 0,
        is_guard: false,
        state: StackState::Live,
        owner: None,
    }
}

fn stacks() -> StackBooks {
    let stack = |number: u64| StackInfo {
        owner: Pid::try_from(number).ok().filter(|pid| *pid > 0),
        bottom: VirtAddr(STACKS + number * STRIDE + PAGE),
        top: VirtAddr(STACKS + (number + 1) * STRIDE),
        ..STACK
    };
    let ist = StackInfo {
        kind: StackKind::Ist,
        bottom: VirtAddr(IST + PAGE),
        top: VirtAddr(IST + 2 * PAGE),
        ..STACK
    };
    let all = (0..4).map(stack).chain([ist]).collect();
    StackBooks { all }
}

impl Books {
    /// Gives a frame to somebody, counters included.
    pub(crate) fn give(&mut self, at: u64, owner: FrameOwner) {
        let info = self
            .frames
            .get_mut(&(at / PAGE))
            .expect("it is in the books");
        *info = FrameInfo {
            owner,
            shares: 0,
            tally: 0,
        };
        self.count();
    }

    /// Says how many have a frame beside the first.
    pub(crate) fn share(&mut self, at: u64, shares: u16) {
        let info = self
            .frames
            .get_mut(&(at / PAGE))
            .expect("it is in the books");
        info.shares = shares;
    }

    /// Makes the counters right.
    pub(crate) fn count(&mut self) {
        let count = |owner: FrameOwner| {
            let frames = self.frames.values();
            frames.filter(|info| info.owner == owner).count() as u64
        };
        let used = FrameOwner::ALL.iter().filter(|owner| owner.is_used());
        self.owners = used.map(|owner| (owner.name(), count(*owner))).collect();
        let used = self.owners.iter().map(|(_, count)| count).sum();
        let free = count(FrameOwner::Free);
        self.totals = FrameTotals {
            total: used + free,
            free,
            used,
        };
    }

    /// The place of an address.
    pub(crate) fn place_at(&self, va: u64) -> Place {
        let found = self.places.iter().find(|(range, _)| range.contains(&va));
        let Some((range, place)) = found else {
            return Place::Nothing;
        };
        let offset = va - range.start;
        match *place {
            Place::Physmap(at) => Place::Physmap(PhysAddr(at.0 + offset)),
            Place::Stack(stack) if stack.kind == StackKind::Ist => Place::Stack(StackPlace {
                number: offset / STRIDE + 1,
                is_guard: offset < PAGE,
                ..stack
            }),
            Place::Stack(stack) => Place::Stack(StackPlace {
                number: offset / STRIDE,
                is_guard: offset % STRIDE < PAGE,
                state: match offset / STRIDE {
                    4 => StackState::Free,
                    _ => StackState::Live,
                },
                owner: Pid::try_from(offset / STRIDE)
                    .ok()
                    .filter(|pid| matches!(pid, 1..4)),
                ..stack
            }),
            place => place,
        }
    }
}
