//! Snapshots of a simulated machine's tables.

use std::vec::Vec;

use machine::{Captured, Met, PhysAddr, PhysMemory, Simulated, capture};

use crate::{SnapshotError, SnapshotInfo, SnapshotName, Subject};

/// Snapshots of a simulated machine. The copies are in its memory, far above everything else.
#[derive(Clone, Debug)]
pub struct Album {
    kept: Vec<(SnapshotInfo, Vec<Captured>)>,
    next: u64,
    /// How many snapshots there may be.
    pub most: usize,
    /// How many tables each may have.
    pub most_tables: usize,
}

/// Where the first copy is.
const COPIES: u64 = 0x40_0000_0000;

impl Default for Album {
    fn default() -> Self {
        Album {
            kept: Vec::new(),
            next: COPIES,
            most: 4,
            most_tables: 64,
        }
    }
}

impl Album {
    /// See [`Snapshots::snapshot`](crate::Snapshots::snapshot).
    pub fn snapshot(&self, index: usize) -> Option<SnapshotInfo> {
        self.kept.get(index).map(|(info, _)| info.clone())
    }

    /// See [`Snapshots::copy_of`](crate::Snapshots::copy_of).
    pub fn copy_of(&self, index: usize, frame: PhysAddr) -> Option<PhysAddr> {
        let (_, tables) = self.kept.get(index)?;
        Captured::copy_of(tables, frame)
    }

    /// See [`Snapshots::take`](crate::Snapshots::take).
    ///
    /// # Errors
    ///
    /// The same.
    pub fn take(
        &mut self,
        memory: &mut Simulated,
        name: &SnapshotName,
        root: PhysAddr,
        subject: Subject,
        nanoseconds: Option<u64>,
    ) -> Result<SnapshotInfo, SnapshotError> {
        if self.kept.iter().any(|(info, _)| info.name == *name) {
            return Err(SnapshotError::Exists);
        }
        if self.kept.len() >= self.most {
            return Err(SnapshotError::TooMany(self.most));
        }
        let paging = memory.paging;
        let root = paging.root(root);
        memory.read_u64(root).map_err(SnapshotError::Unreadable)?;
        let (mut tables, most) = (Vec::new(), self.most_tables);
        capture(memory, paging, root, |frame, level| {
            Ok(match Captured::meet(&mut tables, frame, level) {
                Met::New(_) if tables.len() >= most => {
                    return Err(SnapshotError::TooLarge(most as u64));
                }
                Met::New(index) => {
                    let copy = None;
                    tables.insert(index, Captured { frame, level, copy });
                    true
                }
                Met::Higher => true,
                Met::Known => false,
            })
        })?;
        let mut count = 0;
        for table in &mut tables {
            let mut content = [0; 4096];
            // Of what cannot be read there is no copy, and a look at it finds out why.
            if memory.read(table.frame, &mut content).is_ok() {
                memory.write(PhysAddr(self.next), &content);
                table.copy = Some(PhysAddr(self.next));
                self.next += 4096;
                count += 1;
            }
        }
        let info = SnapshotInfo {
            name: name.clone(),
            root,
            subject,
            tables: count,
            frames: count,
            nanoseconds,
        };
        self.kept.push((info.clone(), tables));
        Ok(info)
    }

    /// See [`Snapshots::drop`](crate::Snapshots::drop).
    pub fn drop(&mut self, memory: &mut Simulated, name: &str) -> bool {
        let Some(index) = self.kept.iter().position(|(info, _)| info.name == name) else {
            return false;
        };
        let (_, tables) = self.kept.remove(index);
        let copies = tables.iter().filter_map(|table| table.copy);
        copies.for_each(|copy| memory.remove_frame(copy));
        true
    }
}
