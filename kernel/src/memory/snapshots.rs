//! Page tables kept as they were, each table frame copied into a frame of its own.
//!
//! The lists of what was copied are in the heap, the copies in frames that belong to
//! "snapshots", so that the frame books account for them. The tables in use stay as they are.

use alloc::vec::Vec;

use machine::{Captured, Met, PhysAddr, PhysMemory, capture};
use shell::{SnapshotError, SnapshotInfo, SnapshotName, Snapshots, Subject};

use super::frames::{self, Owner};
use super::physmap::{self, LiveMemory};
use crate::devices::timer;
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
    tables: Vec<Captured>,
}

impl Snapshots for LiveSnapshots {
    fn snapshot(&mut self, index: usize) -> Option<SnapshotInfo> {
        self.kept.get(index).map(|kept| kept.info.clone())
    }

    fn copy_of(&mut self, index: usize, frame: PhysAddr) -> Option<PhysAddr> {
        Captured::copy_of(&self.kept.get(index)?.tables, frame)
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
        let count = match copy(&mut tables) {
            Ok(count) => count,
            Err(why) => {
                give_back(&tables);
                return Err(why);
            }
        };
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
        Ok(info)
    }

    fn drop(&mut self, name: &str) -> bool {
        let Some(index) = self.kept.iter().position(|kept| kept.info.name == name) else {
            return false;
        };
        give_back(&self.kept.remove(index).tables);
        true
    }
}

/// Which frames there are to copy.
fn list(root: PhysAddr) -> Result<Vec<Captured>, SnapshotError> {
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
    Ok(tables)
}

/// Copies them, and says how many there are copies of: what is no RAM has none, and a look at
/// it finds that out again.
fn copy(tables: &mut [Captured]) -> Result<u64, SnapshotError> {
    let mut count = 0;
    for table in tables {
        if !physmap::is_all_ram(table.frame, 4096) {
            continue;
        }
        let copy = frames::take(Owner::Snapshot).ok_or(SnapshotError::NoMemory)?;
        table.copy = Some(copy);
        let copied = physmap::copy_table(table.frame, copy);
        debug_assert!(copied, "both are RAM");
        count += 1;
    }
    Ok(count)
}

fn give_back(tables: &[Captured]) {
    for copy in tables.iter().filter_map(|table| table.copy) {
        let was_ours = frames::give_back(copy, Owner::Snapshot);
        debug_assert!(was_ours, "a copy belongs to its snapshot");
    }
}
