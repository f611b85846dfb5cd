//! Snapshots of page tables.

use machine::PhysAddr;
use shell::{SnapshotInfo, SnapshotName, Subject};

use crate::record::records;
use crate::{List, Name};

records! {
    /// A snapshot; one without a name is none.
    Snapshot {
        /// Its name.
        name: Name,
        /// The root that was captured.
        root: u64,
        /// 0: of the master, 1: of the root, 2: of a process.
        of: u64,
        /// Its pid.
        pid: u64,
        /// How many tables there are copies of.
        copies: u64,
        /// Whether the next word is a time.
        has_time: u64,
        /// When it was taken, in nanoseconds since boot.
        nanoseconds: u64,
        /// [`SnapshotTable`]s, sorted by frame.
        tables: List,
    }

    /// A table that was met.
    SnapshotTable {
        /// Where it is.
        frame: u64,
        /// Where its copy is; 0 if it could not be copied.
        copy: u64,
    }
}

impl Snapshot {
    /// A snapshot, and where the list of its tables is.
    pub fn new(info: &SnapshotInfo, tables: List) -> Snapshot {
        let (of, pid) = match info.subject {
            Subject::Master => (0, 0),
            Subject::Root(_) => (1, 0),
            Subject::Process(pid) => (2, pid.into()),
        };
        Snapshot {
            name: Name::new(&info.name),
            root: info.root.0,
            of,
            pid,
            copies: info.tables,
            has_time: info.nanoseconds.is_some().into(),
            nanoseconds: info.nanoseconds.unwrap_or(0),
            tables,
        }
    }

    /// What the shell knows of it; `None` if it is none.
    pub fn info(&self) -> Option<SnapshotInfo> {
        let name = SnapshotName::try_from(self.name.text()).ok()?;
        let root = PhysAddr(self.root);
        let info = SnapshotInfo {
            root,
            subject: match self.of {
                0 => Subject::Master,
                1 => Subject::Root(root),
                _ => Subject::Process((self.pid & 0xffff_ffff) as u32),
            },
            tables: self.copies,
            frames: self.copies,
            nanoseconds: (self.has_time != 0).then_some(self.nanoseconds),
            name,
        };
        (!info.name.is_empty()).then_some(info)
    }
}

impl SnapshotTable {
    /// Where the copy of a frame is, by a sorted list.
    pub fn copy_of(list: &[SnapshotTable], frame: PhysAddr) -> Option<PhysAddr> {
        let index = list.binary_search_by_key(&frame.0, |table| table.frame);
        let copy = list.get(index.ok()?)?.copy;
        (copy != 0).then_some(PhysAddr(copy))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Record;

    #[test]
    fn a_snapshot_is_told_as_it_was() {
        for (subject, nanoseconds) in [
            (Subject::Master, None),
            (Subject::Root(PhysAddr(0x5000)), Some(0)),
            (Subject::Process(7), Some(9)),
        ] {
            let info = SnapshotInfo {
                name: SnapshotName::try_from("before").expect("it is short"),
                root: PhysAddr(0x5000),
                subject,
                tables: 3,
                frames: 3,
                nanoseconds,
            };
            assert_eq!(Snapshot::new(&info, List::ZERO).info(), Some(info));
        }
        assert_eq!(Snapshot::ZERO.info(), None);
    }
}
