//! Page tables kept as they were, each table frame copied into a frame of its own.
//!
//! The lists of what was copied are in the heap, the copies in frames that belong to
//! "snapshots", so that the frame books account for them. The tables in use stay as they are.

use alloc::vec::Vec;

use exported::{List, Record as _, Snapshot, SnapshotTable};
use machine::{Captured, Met, PhysAddr, PhysMemory, capture};
use shell::{SnapshotError, SnapshotInfo, SnapshotName, Snapshots, Subject};

use super::frames::{self, Owner};
use super::physmap::{self, LiveMemory};
use crate::devices::timer;
use crate::lock::Lock;
use crate::target;

/// How many snapshots there may be.
const MOST: usize = 8;
/// How many tables each may have: those of 4 GiB in small pages are 2,053.
const MOST_TABLES: usize = 4096;

/// The snapshots of this kernel.
#[derive(Debug, Default)]
pub(crate) struct LiveSnapshots {
    kept: heapless::Vec<Kept, MOST>,
}

#[derive(Debug)]
struct Kept {
    info: SnapshotInfo,
    tables: Vec<SnapshotTable>,
}

/// What there is, for whoever looks from outside.
static EXPORTED: Lock<[Snapshot; MOST]> =
    Lock::new("the list of snapshots", [Snapshot::ZERO; MOST]);

/// Where that is.
pub(crate) fn exported() -> List {
    let exported = EXPORTED.lock();
    List {
        at: exported.as_ptr() as u64,
        count: MOST as u64,
    }
}

impl LiveSnapshots {
    fn export(&self) {
        let kept = self.kept.iter().map(|kept| {
            let tables = List {
                at: kept.tables.as_ptr() as u64,
                count: kept.tables.len() as u64,
            };
            Snapshot::new(&kept.info, tables)
        });
        let all = kept.chain(core::iter::repeat(Snapshot::ZERO));
        for (place, snapshot) in EXPORTED.lock().iter_mut().zip(all) {
            *place = snapshot;
        }
    }
}

impl Snapshots for LiveSnapshots {
    fn snapshot(&mut self, index: usize) -> Option<SnapshotInfo> {
        self.kept.get(index).map(|kept| kept.info.clone())
    }

    fn copy_of(&mut self, index: usize, frame: PhysAddr) -> Option<PhysAddr> {
        SnapshotTable::copy_of(&self.kept.get(index)?.tables, frame)
    }

    fn take(
        &mut self,
        name: &SnapshotName,
        root: PhysAddr,
        subject: Subject,
    ) -> Result<SnapshotInfo, SnapshotError> {
        if self.kept.iter().any(|kept| kept.info.name == *name) {
            return Err(SnapshotError::Exists);
        }
        if self.kept.is_full() {
            return Err(SnapshotError::TooMany(MOST));
        }
        let paging = target::paging();
        let root = paging.root(root);
        LiveMemory
            .read_u64(root)
            .map_err(SnapshotError::Unreadable)?;
        let mut tables = list(root)?;
        if let Err(why) = copy(&mut tables) {
            give_back(&tables);
            return Err(why);
        }
        let count = tables.iter().filter(|table| table.copy != 0).count() as u64;
        let info = SnapshotInfo {
            name: name.clone(),
            root,
            subject,
            tables: count,
            frames: count,
            nanoseconds: timer::nanoseconds(),
        };
        let kept = Kept {
            info: info.clone(),
            tables,
        };
        if let Err(kept) = self.kept.push(kept) {
            give_back(&kept.tables);
            return Err(SnapshotError::TooMany(MOST));
        }
        self.export();
        Ok(info)
    }

    fn drop(&mut self, name: &str) -> bool {
        let Some(index) = self.kept.iter().position(|kept| kept.info.name == name) else {
            return false;
        };
        let kept = self.kept.remove(index);
        self.export();
        give_back(&kept.tables);
        true
    }
}

/// Which frames there are to copy.
fn list(root: PhysAddr) -> Result<Vec<SnapshotTable>, SnapshotError> {
    let mut tables = Vec::new();
    capture(&mut LiveMemory, target::paging(), root, |frame, level| {
        match Captured::meet(&mut tables, frame, level) {
            Met::New(_) if tables.len() >= MOST_TABLES => {
                return Err(SnapshotError::TooLarge(MOST_TABLES as u64));
            }
            Met::New(index) => {
                tables.try_reserve(1).map_err(|_| SnapshotError::NoMemory)?;
                let copy = None;
                tables.insert(index, Captured { frame, level, copy });
            }
            Met::Higher => {}
            Met::Known => return Ok(false),
        }
        Ok(true)
    })?;
    let mut list = Vec::new();
    list.try_reserve_exact(tables.len())
        .map_err(|_| SnapshotError::NoMemory)?;
    list.extend(tables.iter().map(|table: &Captured| SnapshotTable {
        frame: table.frame.0,
        copy: 0,
    }));
    Ok(list)
}

/// Copies them: what is no RAM has no copy, and a look at it finds that out again.
fn copy(tables: &mut [SnapshotTable]) -> Result<(), SnapshotError> {
    for table in tables {
        let frame = PhysAddr(table.frame);
        if !physmap::is_all_ram(frame, 4096) {
            continue;
        }
        let copy = frames::take(Owner::Snapshot).ok_or(SnapshotError::NoMemory)?;
        table.copy = copy.0;
        let copied = physmap::copy_table(frame, copy);
        debug_assert!(copied, "both are RAM");
    }
    Ok(())
}

fn give_back(tables: &[SnapshotTable]) {
    for table in tables.iter().filter(|table| table.copy != 0) {
        let was_ours = frames::give_back(PhysAddr(table.copy), Owner::Snapshot);
        debug_assert!(was_ours, "a copy belongs to its snapshot");
    }
}
