//! Physical frames: who has which, how often it is shared, and where the kernel puts what.
//!
//! The books say what should be. Whether the page tables agree is for the asker to see.

use core::fmt;

use machine::{PhysAddr, VirtAddr};

use super::{Pid, StackKind, StackState};

/// Access to the frame allocator's books and to the layout of the kernel's half.
pub trait Frames {
    /// How many frames there are, and how many of them are free and used.
    fn totals(&mut self) -> FrameTotals;

    /// The owner with this index and how many frames it has; `None` past the last one.
    /// Owners are those of used frames only: their sum should be [`FrameTotals::used`].
    fn owner(&mut self, index: usize) -> Option<(&'static str, u64)>;

    /// Grants the next `requests` requests for a frame and refuses every one after them, or,
    /// with `None`, no more on purpose. Whether this target can do so.
    fn fail_after(&mut self, requests: Option<u64>) -> bool {
        let _ = requests;
        false
    }

    /// The end of what the books cover: they know every frame below this address.
    fn end(&mut self) -> PhysAddr {
        PhysAddr(0)
    }

    /// What the books say about the frame that holds this address; `None` from
    /// [`end`](Frames::end) on.
    fn frame(&mut self, at: PhysAddr) -> Option<FrameInfo> {
        let _ = at;
        None
    }

    /// How often the books have changed. Whoever looks at many frames, and finds the same number
    /// before and after, has seen one state of them.
    fn changes(&mut self) -> u64 {
        0
    }

    /// Sets every tally to 0.
    fn clear_tallies(&mut self) {}

    /// Counts once more for the frame that holds this address, up to [`u16::MAX`].
    fn tally(&mut self, at: PhysAddr) {
        let _ = at;
    }

    /// What the kernel has at an address of its half, by its layout.
    fn place(&mut self, va: VirtAddr) -> Place {
        let _ = va;
        Place::Nothing
    }
}

/// The allocator's totals, in frames of 4 KiB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrameTotals {
    /// Frames the allocator knows.
    pub total: u64,
    /// Frames nobody has.
    pub free: u64,
    /// Frames somebody has.
    pub used: u64,
}

/// What the books say about one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameInfo {
    /// Who has it.
    pub owner: FrameOwner,
    /// How many have it beside the first, of a user page.
    pub shares: u16,
    /// What [`Frames::tally`] has counted.
    pub tally: u16,
}

macro_rules! owners {
    ($($(#[$doc:meta])* $owner:ident = $name:literal,)*) => {
        /// Who has a frame.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum FrameOwner {
            $($(#[$doc])* $owner,)*
        }

        impl FrameOwner {
            /// All of them, those first that stand for no owner.
            pub const ALL: &'static [FrameOwner] = &[$(FrameOwner::$owner,)*];

            /// A few words for it, as `frames` lists them.
            pub fn name(self) -> &'static str {
                match self {
                    $(FrameOwner::$owner => $name,)*
                }
            }
        }
    };
}

owners! {
    /// Not RAM: the memory map says nothing, or calls it reserved.
    Hole = "no RAM",
    /// Nobody.
    Free = "free",
    /// The first MiB: real-mode structures, and trampolines for other CPUs one day.
    LowMemory = "low 1 MiB",
    /// What the firmware keeps.
    Firmware = "firmware",
    /// The bootloader's page tables and what else it left behind.
    Bootloader = "bootloader",
    /// The ELF file of the kernel as loaded: its segments run in place.
    KernelImage = "kernel image",
    /// Copies the bootloader made of image pages that relocation or .bss writes to.
    KernelData = "kernel data",
    /// The stack the bootloader started the kernel on.
    BootStack = "boot stack",
    /// What the bootloader told the kernel.
    BootInfo = "boot information",
    /// The frame allocator's own.
    FrameBooks = "frame books",
    /// Page tables in use.
    PageTable = "page tables",
    /// The kernel's heap.
    Heap = "heap",
    /// Kernel stacks.
    KernelStack = "kernel stacks",
    /// Stacks of exceptions that have their own.
    IstStack = "IST stacks",
    /// The file of user programs.
    Ramdisk = "ramdisk",
    /// A page of one process, or of several that share it until one writes.
    User = "user pages",
    /// The copy of a page table in a snapshot: no tree reaches it.
    Snapshot = "snapshots",
}

impl FrameOwner {
    /// The owner with this number: `owner as u8` turned round.
    pub fn from_number(number: u8) -> Option<FrameOwner> {
        FrameOwner::ALL.get(usize::from(number)).copied()
    }

    /// Whether this is the owner of a frame in use.
    pub fn is_used(self) -> bool {
        !matches!(self, FrameOwner::Hole | FrameOwner::Free)
    }

    /// How frames of this owner should be found in the page tables, the mapping of all RAM aside.
    pub fn rule(self) -> Rule {
        match self {
            FrameOwner::Hole
            | FrameOwner::Free
            | FrameOwner::LowMemory
            | FrameOwner::Firmware
            | FrameOwner::Bootloader
            | FrameOwner::FrameBooks
            | FrameOwner::Snapshot => Rule::Nowhere,
            FrameOwner::PageTable => Rule::Table,
            FrameOwner::KernelImage | FrameOwner::KernelData => Rule::InPlaces,
            FrameOwner::BootStack
            | FrameOwner::BootInfo
            | FrameOwner::Heap
            | FrameOwner::KernelStack
            | FrameOwner::IstStack
            | FrameOwner::Ramdisk => Rule::InPlace,
            FrameOwner::User => Rule::Shared,
        }
    }
}

impl fmt::Display for FrameOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// How frames of an owner should be found in the page tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Not at all: nobody who runs has them.
    Nowhere,
    /// As a table, named by one entry of one tree, or of all in the kernel's half.
    Table,
    /// Mapped once, where the layout has them.
    InPlace,
    /// The same, or more often: two segments may meet in a page of a file.
    InPlaces,
    /// Mapped by processes, as often as the books say.
    Shared,
}

/// What the kernel has at an address of its half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Nothing: it must not be mapped.
    Nothing,
    /// RAM at this address: all of it is mapped there in order.
    Physmap(PhysAddr),
    /// A device.
    Device,
    /// Memory of this owner; of either where an image is meant.
    Memory(FrameOwner),
    /// A stack of the kernel, or the unmapped page below it.
    Stack(StackPlace),
}

/// A page of one of the places for stacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StackPlace {
    /// Who runs on it.
    pub kind: StackKind,
    /// Which: kernel stacks count from 0, IST stacks from 1, as the CPU does.
    pub number: u64,
    /// It is the page below, which is never mapped.
    pub is_guard: bool,
    /// Whether somebody has the stack.
    pub state: StackState,
    /// The process whose stack it is, dead ones included.
    pub owner: Option<Pid>,
}

impl StackPlace {
    /// That of the IST stack which is first, second, ... counted from 0.
    pub fn ist(index: u64, is_guard: bool) -> StackPlace {
        StackPlace {
            kind: StackKind::Ist,
            number: index.saturating_add(1),
            is_guard,
            state: StackState::Live,
            owner: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_found_by_its_number() {
        for (number, owner) in (0_u8..).zip(FrameOwner::ALL) {
            assert_eq!(FrameOwner::from_number(number), Some(*owner));
            assert_eq!(*owner as u8, number);
        }
        let count = u8::try_from(FrameOwner::ALL.len()).expect("they are few");
        assert_eq!(FrameOwner::from_number(count), None);
    }
}
