//! An address space for accesses made on purpose, with entries that may be anything.
//!
//! It is loaded for the moment of one access, with interrupts off (see `arch::attempt`).
//!
//! ```text
//!   slot 1       the row: one entry a level, set anew for each row, and one page
//!   slot 2       a page of code for ring 3
//!   slot 256 on  what the master maps, by tables of its own that have no bit 63 anywhere
//! ```
//!
//! The upper half is a copy for the sake of EFER.NXE = 0: the master's entries with bit 63
//! would be malformed then. So while it is in use nothing keeps the kernel from running its
//! data. It is as the master was when it was made: kernel stacks that came later are missing,
//! those that went are still there, and neither is touched in an attempt.

use machine::{
    Entry, Kind, Level, Mapping, PageSize, Paging, PhysAddr, PhysMemory, Rights, VirtAddr,
};
use shell::{AttemptError, Chain};

use super::frames::{self, Owner};
use super::layout::PAGE;
use super::master;
use super::physmap::{self, LiveMemory};
use super::tables::Tables;
use crate::arch::attempt;
use crate::target;

/// Where the row's slot begins, and the page of code.
const ROW: u64 = Level::Pml4.span();
const CODE: u64 = 2 * Level::Pml4.span();
/// The levels of a row, top to bottom.
const LEVELS: [Level; 4] = [Level::Pml4, Level::Pdpt, Level::Pd, Level::Pt];
const ENTRIES: u64 = 512;

/// The space. It must be given up with [`Scratch::destroy`].
pub(crate) struct Scratch {
    tables: Tables,
    paging: Paging,
    /// The tables of the row, top to bottom; the first is the root.
    row: [PhysAddr; 4],
    /// The page of the row, and the one with code for ring 3.
    pages: [PhysAddr; 2],
}

impl Scratch {
    /// Makes it of frames of its own. If there are too few, those are given back.
    pub(crate) fn new() -> Result<Scratch, AttemptError> {
        let master = master::root().ok_or(AttemptError::Refused("there is no master table"))?;
        let paging = target::paging();
        if paging.top() != Level::Pml4 {
            return Err(AttemptError::Refused("it takes four levels of paging"));
        }
        let row = take(Owner::PageTable)?;
        let pages = match take(Owner::User) {
            Ok(pages) => pages,
            Err(why) => {
                row.into_iter().for_each(free_table);
                return Err(why);
            }
        };
        let mut scratch = Scratch {
            tables: Tables::at(row[0], paging),
            paging,
            row,
            pages,
        };
        match scratch.build(master) {
            Ok(()) => Ok(scratch),
            Err(why) => {
                scratch.destroy();
                Err(why)
            }
        }
    }

    fn build(&mut self, master: PhysAddr) -> Result<(), AttemptError> {
        let mapping = Mapping {
            at: self.pages[1],
            size: PageSize::Size4K,
            rights: Rights {
                user: true,
                write: false,
                execute: true,
            },
            pat_index: 0,
        };
        self.tables
            .map(VirtAddr(CODE), mapping)
            .map(drop)
            .map_err(|_| AttemptError::NoMemory)?;
        physmap::write_user_frame(self.pages[1], 0, attempt::code());
        let offset = (self.va().0 % PAGE) as usize;
        physmap::write_user_frame(self.pages[0], offset, attempt::code_to_fetch());
        self.copy(Level::Pml4, master, self.row[0], ENTRIES / 2)
    }

    /// Copies a table from this entry on, without bit 63, and with tables of its own below.
    fn copy(
        &mut self,
        level: Level,
        from: PhysAddr,
        to: PhysAddr,
        first: u64,
    ) -> Result<(), AttemptError> {
        const FLAGS: u64 = 0xfff;
        for index in first..ENTRIES {
            let raw = read(from, index);
            match (self.paging.decode(raw, level).kind, level.next()) {
                (Kind::Page { .. }, _) => self.set(to, index, raw & !Entry::NO_EXECUTE)?,
                (Kind::Table { at }, Some(below)) => {
                    let table = frames::take(Owner::PageTable).ok_or(AttemptError::NoMemory)?;
                    // Named first, so that whatever happens `destroy` finds it.
                    self.set(to, index, raw & FLAGS | table.0)?;
                    self.copy(below, at, table, 0)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn set(&mut self, table: PhysAddr, index: u64, raw: u64) -> Result<(), AttemptError> {
        self.tables
            .fill_slot(PhysAddr(table.0 + index * 8), raw)
            .map_err(|_| AttemptError::Refused("a table is not in RAM"))
    }

    /// The PML4.
    pub(crate) fn root(&self) -> PhysAddr {
        self.row[0]
    }

    /// The address that the row maps: within a page of any size it is in the same frame, the
    /// row's own, so a large page need not be the row's own as a whole.
    pub(crate) fn va(&self) -> VirtAddr {
        VirtAddr(ROW + self.pages[0].0 % PageSize::Size1G.bytes())
    }

    /// Where ring 3 finds the code of an attempt.
    pub(crate) fn user_code(&self) -> VirtAddr {
        VirtAddr(CODE)
    }

    /// Sets the row's entries; each leads to the next, the one of the page's level to the page.
    pub(crate) fn place(&mut self, chain: &Chain) -> Result<(), AttemptError> {
        let va = self.va();
        let leaf = chain.size().level();
        let below = self.row.into_iter().skip(1).chain([PhysAddr(0)]);
        let rows = LEVELS.into_iter().zip(self.row).zip(below);
        for (&bits, ((level, table), next)) in chain.entries().iter().zip(rows) {
            let address = match level == leaf {
                true => self.pages[0].0 & !(chain.size().bytes() - 1),
                false => next.0,
            };
            self.set(table, level.index(va) as u64, bits | address)?;
        }
        Ok(())
    }

    /// Gives every frame back. The space must not be in use.
    pub(crate) fn destroy(mut self) {
        let [root, below @ ..] = self.row;
        // Whatever the row's last entry was: nobody follows it.
        let _ = self.set(root, Level::Pml4.index(self.va()) as u64, 0);
        self.free(Level::Pml4, root);
        below.into_iter().for_each(free_table);
        self.pages.into_iter().for_each(frames::release_user);
    }

    /// Gives a table back, and before that those below: they are all its own.
    fn free(&self, level: Level, table: PhysAddr) {
        for index in 0..ENTRIES {
            let kind = self.paging.decode(read(table, index), level).kind;
            if let (Kind::Table { at }, Some(below)) = (kind, level.next()) {
                self.free(below, at);
            }
        }
        free_table(table);
    }
}

fn read(table: PhysAddr, index: u64) -> u64 {
    LiveMemory
        .read_u64(PhysAddr(table.0 + index * 8))
        .unwrap_or(0)
}

/// Takes so many frames, or none.
fn take<const COUNT: usize>(owner: Owner) -> Result<[PhysAddr; COUNT], AttemptError> {
    let mut all = [PhysAddr(0); COUNT];
    for taken in 0..COUNT {
        let Some(frame) = frames::take(owner) else {
            for frame in all.into_iter().take(taken) {
                let was_ours = frames::give_back(frame, owner);
                debug_assert!(was_ours, "it was taken a moment ago");
            }
            return Err(AttemptError::NoMemory);
        };
        all[taken] = frame;
    }
    Ok(all)
}

fn free_table(at: PhysAddr) {
    let was_table = frames::give_back(at, Owner::PageTable);
    debug_assert!(was_table, "only tables are freed as tables");
}
