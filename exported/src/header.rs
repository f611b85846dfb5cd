//! Where everything is: a page that is found by itself, and what it leads to.

use crate::record::records;
use crate::{Name, TrapFrame};

/// What a [`Beacon`] begins with: `ringwalk exports`, as two little-endian words.
pub const MAGIC: [u64; 2] = [
    u64::from_le_bytes(*b"ringwalk"),
    u64::from_le_bytes(*b" exports"),
];

/// The version of everything in this crate. It changes with every change of a layout or of what a
/// field means; readers know one version only.
pub const VERSION: u64 = 4;

records! {
    /// What a debugger looks for: at the beginning of a page. The kernel writes the magic last, so
    /// what carries it is complete.
    Beacon {
        /// [`MAGIC`].
        magic: [u64; 2],
        /// [`VERSION`].
        version: u64,
        /// The address of the beacon itself.
        at: u64,
        /// The address of the [`Header`].
        header: u64,
        /// The size of the header.
        header_bytes: u64,
        /// The root of the kernel's own tables, which map all these addresses.
        master: u64,
        /// How many levels they have.
        levels: u64,
    }

    /// A list in memory.
    List {
        /// Its address.
        at: u64,
        /// How many elements it has.
        count: u64,
    }

    /// A physical range, `end` exclusive.
    PhysRange {
        /// The first byte.
        start: u64,
        /// The end.
        end: u64,
    }

    /// How the CPU reads tables: [`machine::Paging`].
    Paging {
        /// 4 or 5.
        levels: u64,
        /// MAXPHYADDR.
        phys_bits: u64,
        /// EFER.NXE.
        nxe: u64,
        /// 1 GiB pages.
        gib_pages: u64,
        /// IA32_PAT.
        pat: u64,
    }

    /// Places for stacks, one above the other, each above a page that is never mapped.
    Places {
        /// The first place.
        base: u64,
        /// From one place to the next.
        stride: u64,
        /// What a stack has.
        bytes: u64,
        /// How many places there may be.
        count: u64,
    }

    /// The frame books: bytes in physical memory, one after the other.
    FrameBooks {
        /// One byte for each frame: its [`shell::FrameOwner`]. Then two for each: the sharers. Then
        /// two for each: the tallies.
        at: u64,
        /// How many frames.
        count: u64,
    }

    /// The stop that the kernel's own debugger shows: its trap frame, and what belongs to it.
    Stop {
        /// Whether there is one.
        is_stopped: u64,
        /// The process.
        pid: u64,
        /// What the entry path pushed.
        frame: TrapFrame,
        /// CR2 then.
        cr2: u64,
        /// CR3 then.
        cr3: u64,
        /// DR6 then.
        dr6: u64,
    }

    /// Where everything is. Addresses are virtual, by the master table, unless they are called
    /// physical.
    Header {
        /// The first digits of the build id, in text.
        build: Name,
        /// Where the image begins.
        image: u64,
        /// Where physical address 0 would be.
        physmap: u64,
        /// How tables are read.
        paging: Paging,
        /// The mark of a leaf that is copied on write.
        copied_on_write: u64,
        /// [`PhysRange`]s of RAM, sorted.
        ram: List,
        /// [`PhysRange`]s that the firmware reserves.
        reserved: List,
        /// [`PhysRange`]s where a PC has devices, and the framebuffer.
        devices: [PhysRange; 2],
        /// [`Region`](crate::Region)s, sorted.
        regions: List,
        /// The frame books.
        frames: FrameBooks,
        /// Places for kernel stacks.
        kernel_stacks: Places,
        /// A byte for each place, see [`StackSlot`](crate::StackSlot); `count` is one more than the
        /// highest that was ever taken, when this was written.
        slots: List,
        /// The word that says how many places were ever taken.
        slots_end: u64,
        /// Places for IST stacks.
        ist_stacks: Places,
        /// What every byte of a kernel stack is before it is used.
        unused: u64,
        /// The stack of a program.
        user_stack: crate::Stack,
        /// Words, each the address of a [`Process`](crate::Process), or 0.
        processes: List,
        /// The pid that runs (4 bytes).
        current: u64,
        /// [`EventRecord`](crate::EventRecord)s, in a ring.
        events: List,
        /// The word with the sequence number of the next event.
        next_event: u64,
        /// The word with what recording one costs.
        event_cost: u64,
        /// [`Fault`](crate::Fault)s, in a ring.
        faults: List,
        /// The word with the number of the newest.
        newest_fault: u64,
        /// The archive of programs and names.
        ramdisk: List,
        /// The [`Stop`] of the kernel's debugger.
        stop: u64,
        /// [`Snapshot`](crate::Snapshot)s.
        snapshots: List,
        /// What a switch touches.
        switch: crate::Switch,
        /// The word with RSP of the kernel's own thread while it waits.
        world_rsp: u64,
    }
}
