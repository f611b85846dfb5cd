//! The frames that a copy of some tables has to hold: every one that a walk could read, once.
//!
//! Come here to keep tables as they are. Tables may share tables, and broken ones may lead back
//! to themselves or meet one frame at several levels; there are still only so many frames.

use crate::{Level, Paging, PhysAddr, PhysMemory, Progress, TableItem, Tables};

/// Calls `note` with each table frame that the tables at `root` lead to, and the level it is met
/// at. A frame that is met again comes up again; the answer says whether to look below it.
///
/// Whoever keeps a list answers `true` for a frame that is new, or that has been met only
/// further down: what an entry references is the same at every level that has tables below it,
/// and a walk goes further from a higher level. That bounds the work to one look into each
/// frame for each level. The frames are those that entries name; not all of them need be memory.
///
/// # Errors
///
/// Those of `note`, which end it.
pub fn capture<E>(
    memory: &mut dyn PhysMemory,
    paging: Paging,
    root: PhysAddr,
    mut note: impl FnMut(PhysAddr, Level) -> Result<bool, E>,
) -> Result<(), E> {
    let mut tables = Tables::new(paging, root);
    loop {
        match tables.advance(memory) {
            // A loop is no exception: the frame it leads back to was met higher up.
            Progress::Working | Progress::Row(TableItem::Hole(_)) => {}
            Progress::Row(TableItem::Table(table)) => {
                if !note(table.at, table.level)? {
                    tables.skip();
                }
            }
            Progress::Done => return Ok(()),
        }
    }
}

/// The frames of one [`capture`], sorted: a list that answers for whoever keeps it.
///
/// It stores nothing itself. Between two calls the caller keeps what it is given in the order
/// of the frames, in an array that need not be this crate's.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Captured {
    /// The frame.
    pub frame: PhysAddr,
    /// The highest level it has been met at.
    pub level: Level,
    /// Where its copy is, once there is one.
    pub copy: Option<PhysAddr>,
}

/// What to do about a frame that has been met.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Met {
    /// It is new: insert it at this index, and look below it.
    New(usize),
    /// It is known from further down. The list has been told; look below it again.
    Higher,
    /// It is known. Nothing more to do.
    Known,
}

impl Captured {
    /// Looks a frame up in a sorted list.
    pub fn meet(list: &mut [Captured], frame: PhysAddr, level: Level) -> Met {
        match list.binary_search_by_key(&frame, |known| known.frame) {
            Err(index) => Met::New(index),
            Ok(index) => match list.get_mut(index) {
                Some(known) if level < known.level => {
                    known.level = level;
                    Met::Higher
                }
                _ => Met::Known,
            },
        }
    }

    /// Where the copy of a frame is.
    pub fn copy_of(list: &[Captured], frame: PhysAddr) -> Option<PhysAddr> {
        let index = list.binary_search_by_key(&frame, |known| known.frame);
        list.get(index.ok()?)?.copy
    }
}
