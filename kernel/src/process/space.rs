//! A process's address space: 256 slots of its own below, the master's 256 above.
//!
//! The upper slots name the *same* PDPTs as the master's: shared, never copied, so a kernel
//! stack that is mapped later is there at once. Everything below belongs to the process: its
//! tables and its pages, each page perhaps shared with relatives until one of them writes.

use machine::{
    End, Entry, Kind, Level, Mapping, PageSize, Paging, PhysAddr, PhysMemory, Range, Rights,
    VirtAddr,
};

use crate::memory::edits;
use crate::memory::frames::{self, Owner};
use crate::memory::layout::PAGE;
use crate::memory::master;
use crate::memory::physmap::{self, LiveMemory};
use crate::memory::tables::Tables;
use crate::target;

/// The end of what a process may map: the last page below the non-canonical gap stays empty,
/// so that no instruction there can fall through into it.
pub(crate) const USER_END: u64 = (1 << 47) - PAGE;

/// Set in the leaf of a page that is writable once it has been copied; the CPU ignores it.
pub(crate) const COPY_ON_WRITE: u64 = 1 << 9;

/// Why an address space could not be changed. Nothing half-done stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SpaceError {
    /// No frame is free.
    NoMemory,
    /// The address is not one a process may use, or is in use.
    BadAddress,
}

/// An address space. It must be given up with [`Space::destroy`].
pub(crate) struct Space {
    tables: Tables,
    paging: Paging,
    /// Its pages and its own tables; kept, since counting takes a look at every entry.
    frames: u64,
}

impl Space {
    /// An empty lower half below the master's upper half.
    pub(crate) fn new() -> Result<Space, SpaceError> {
        let master = master::root().ok_or(SpaceError::NoMemory)?;
        let root = frames::take(Owner::PageTable).ok_or(SpaceError::NoMemory)?;
        let paging = target::paging();
        let mut space = Space {
            tables: Tables::at(root, paging),
            paging,
            frames: 1,
        };
        for slot in 256..512u64 {
            let raw = LiveMemory
                .read_u64(PhysAddr(master.0 + slot * 8))
                .unwrap_or(0);
            if raw != 0
                && space
                    .tables
                    .fill_slot(PhysAddr(root.0 + slot * 8), raw)
                    .is_err()
            {
                space.destroy();
                return Err(SpaceError::NoMemory);
            }
        }
        Ok(space)
    }

    /// The PML4.
    pub(crate) fn root(&self) -> PhysAddr {
        self.tables.root()
    }

    /// Maps a fresh page of zeros at `va`, and says which frame it is.
    pub(crate) fn add_page(
        &mut self,
        va: u64,
        write: bool,
        execute: bool,
    ) -> Result<PhysAddr, SpaceError> {
        if va >= USER_END || !va.is_multiple_of(PAGE) {
            return Err(SpaceError::BadAddress);
        }
        let frame = frames::take(Owner::User).ok_or(SpaceError::NoMemory)?;
        match self.map(va, frame, write, execute) {
            Ok(()) => Ok(frame),
            Err(why) => {
                frames::release_user(frame);
                Err(why)
            }
        }
    }

    fn map(&mut self, va: u64, at: PhysAddr, write: bool, execute: bool) -> Result<(), SpaceError> {
        use crate::memory::tables::MapError;
        use machine::PlanError;
        let rights = Rights {
            user: true,
            write,
            execute,
        };
        let mapping = Mapping {
            at,
            size: PageSize::Size4K,
            rights,
            pat_index: 0,
        };
        edits::settle_path(self.root(), VirtAddr(va));
        let mapped = self.tables.map(VirtAddr(va), mapping);
        let made = mapped.map_err(|why| match why {
            MapError::Plan(PlanError::NoFrame) => SpaceError::NoMemory,
            _ => SpaceError::BadAddress,
        })?;
        self.frames += 1 + made;
        Ok(())
    }

    /// Unmaps the page at `va`; whoever shares its frame keeps it. False if there is none.
    pub(crate) fn remove_page(&mut self, va: u64) -> bool {
        edits::settle_path(self.root(), VirtAddr(va));
        let Some((frame, _)) = self.user_leaf(va) else {
            return false;
        };
        if self.tables.replace(VirtAddr(va), 0).is_err() {
            return false;
        }
        frames::release_user(frame);
        self.frames -= 1;
        true
    }

    /// The frame of the user page that holds `va`, and its leaf entry.
    pub(crate) fn user_leaf(&self, va: u64) -> Option<(PhysAddr, Entry)> {
        if va >= USER_END {
            return None;
        }
        let walk = self.tables.walk(VirtAddr(va));
        match walk.end() {
            End::Mapped {
                at,
                size: PageSize::Size4K,
                rights,
                ..
            } if rights.user => {
                let entry = walk.steps().last()?.entry;
                Some((PhysAddr(at.0 & !(PAGE - 1)), entry))
            }
            _ => None,
        }
    }

    /// Makes the page at `va` writable if it waits to be copied: copies it, or takes it over
    /// when nobody shares it any more. False if it is no such page; `NoMemory` if it cannot.
    pub(crate) fn copy_on_write(&mut self, va: u64) -> Result<bool, SpaceError> {
        let Some((_, entry)) = self.user_leaf(va) else {
            return Ok(false);
        };
        if entry.raw & COPY_ON_WRITE == 0 {
            return Ok(false);
        }
        edits::settle_path(self.root(), VirtAddr(va));
        let Some((frame, entry)) = self.user_leaf(va) else {
            return Ok(false);
        };
        if entry.raw & COPY_ON_WRITE == 0 {
            // It was an entry written by hand. What is there now may do.
            return Ok(entry.writable());
        }
        let writable = (entry.raw & !COPY_ON_WRITE) | Entry::WRITABLE;
        let page = VirtAddr(va & !(PAGE - 1));
        if frames::sharers(frame) == 0 {
            return Ok(self.tables.replace(page, writable).is_ok());
        }
        let copy = frames::take(Owner::User).ok_or(SpaceError::NoMemory)?;
        let new = (writable & !self.frame_mask()) | copy.0;
        if !physmap::copy_user_frame(frame, copy) || self.tables.replace(page, new).is_err() {
            frames::release_user(copy);
            return Ok(false);
        }
        frames::release_user(frame);
        Ok(true)
    }

    /// The bits of a leaf that hold the frame's address.
    fn frame_mask(&self) -> u64 {
        (1u64
            .checked_shl(u32::from(self.paging.phys_bits))
            .unwrap_or(0)
            .wrapping_sub(1))
            & !(PAGE - 1)
    }

    /// A copy that shares every page; a writable one becomes read-only on both sides until
    /// either writes.
    pub(crate) fn fork(&mut self) -> Result<Space, SpaceError> {
        edits::settle_lower_half(self.root());
        let mut child = Space::new()?;
        let (paging, root) = (self.paging, self.root());
        for item in machine::leaves(&mut LiveMemory, paging, root, Range::LOWER) {
            let machine::Item::Leaf(leaf) = item else {
                continue;
            };
            if let Err(why) = self.share_page(&mut child, &leaf) {
                child.destroy();
                return Err(why);
            }
        }
        Ok(child)
    }

    fn share_page(&mut self, child: &mut Space, leaf: &machine::Leaf) -> Result<(), SpaceError> {
        let raw = leaf.entry.raw;
        let waits = raw & COPY_ON_WRITE != 0 || raw & Entry::WRITABLE != 0;
        if !frames::share(leaf.at) {
            return Err(SpaceError::NoMemory);
        }
        let execute = leaf.rights.execute;
        if let Err(why) = child.map(leaf.va.0, leaf.at, false, execute) {
            frames::release_user(leaf.at);
            return Err(why);
        }
        if waits {
            let shared = (raw & !Entry::WRITABLE) | COPY_ON_WRITE;
            let theirs = shared & !(Entry::ACCESSED | Entry::DIRTY);
            let both = child
                .tables
                .replace(leaf.va, theirs)
                .and(self.tables.replace(leaf.va, shared));
            return both.map_err(|_| SpaceError::BadAddress);
        }
        Ok(())
    }

    /// User pages and private tables, in frames.
    pub(crate) fn frames(&self) -> u64 {
        self.frames
    }

    /// Gives every page and table of the lower half back, and the PML4. The space must not be
    /// the one in use.
    pub(crate) fn destroy(self) {
        edits::settle_lower_half(self.root());
        self.each_table(|level, _, entry| match entry.kind {
            Kind::Page { at, .. } if level == Level::Pt => frames::release_user(at),
            Kind::Table { at } => free_table(at),
            _ => {}
        });
        free_table(self.root());
    }

    /// Calls `visit` for every entry of the lower half's tables, those of a table before the
    /// entry that names it, so that the table may be freed by then. Bounded: four levels of
    /// 512 entries, in tables that only the kernel writes.
    fn each_table(&self, mut visit: impl FnMut(Level, PhysAddr, Entry)) {
        let entry = |table: PhysAddr, index: u64, level| {
            let at = PhysAddr(table.0 + index * 8);
            let raw = LiveMemory.read_u64(at).unwrap_or(0);
            (at, self.paging.decode(raw, level))
        };
        let table = |entry: Entry| match entry.kind {
            // By hand an entry may have been made to name anything.
            Kind::Table { at } if frames::is_owned_by(at, Owner::PageTable) => Some(at),
            _ => None,
        };
        for slot in 0..256 {
            let (at4, e4) = entry(self.root(), slot, Level::Pml4);
            let Some(pdpt) = table(e4) else { continue };
            for index in 0..512 {
                let (at3, e3) = entry(pdpt, index, Level::Pdpt);
                let Some(pd) = table(e3) else { continue };
                for index in 0..512 {
                    let (at2, e2) = entry(pd, index, Level::Pd);
                    let Some(pt) = table(e2) else { continue };
                    for index in 0..512 {
                        let (at1, e1) = entry(pt, index, Level::Pt);
                        if e1.is_present() {
                            visit(Level::Pt, at1, e1);
                        }
                    }
                    visit(Level::Pd, at2, e2);
                }
                visit(Level::Pdpt, at3, e3);
            }
            visit(Level::Pml4, at4, e4);
        }
    }
}

fn free_table(at: PhysAddr) {
    edits::table_freed(at);
    let was_table = frames::give_back(at, Owner::PageTable);
    debug_assert!(was_table, "only tables are freed as tables");
}
