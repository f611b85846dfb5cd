//! Edits: single entries of page tables, written by hand and taken back.

use core::fmt;

use machine::{Level, PhysAddr, ReadError, VirtAddr};

use crate::Region;

/// Access to entries of page tables, and the memory of what was in them.
pub trait Edits {
    /// The edit with this index, from 0 on, the oldest first; `None` past the last one. Those
    /// that were undone are not among them.
    fn edit(&mut self, index: usize) -> Option<Edit>;

    /// Writes one entry of a page table, drops what the processor may have cached of the old
    /// one, and remembers it. Answers with the number of the edit.
    ///
    /// # Errors
    ///
    /// Why the entry was not written.
    fn poke(&mut self, poke: &Poke) -> Result<u64, EditError>;

    /// Takes the last edit back.
    ///
    /// # Errors
    ///
    /// Why the entry was left as it is. The edit is forgotten all the same, so that those
    /// before it can be taken back.
    fn undo(&mut self) -> Result<Edit, UndoError>;

    /// A range of addresses that this target cannot go on without, in the master table and in
    /// whichever is in use; `None` past the last one.
    fn vital(&mut self, index: usize) -> Option<Region>;
}

/// What to write, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Poke {
    /// The physical address of the entry.
    pub at: PhysAddr,
    /// The level of the table it is in.
    pub level: Level,
    /// The first address that it stands for.
    pub va: VirtAddr,
    /// What is there, but for bits that the processor writes.
    pub old: u64,
    /// What shall be there.
    pub new: u64,
}

impl Poke {
    /// What has to be dropped when the entry is written. The entry of a page table concerns one
    /// page; the processor may have cached any page below another.
    pub const fn flush(&self) -> Flush {
        match self.level {
            Level::Pt => Flush::Page(self.va),
            _ => Flush::All,
        }
    }
}

/// What is dropped of what the processor has cached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flush {
    /// One page.
    Page(VirtAddr),
    /// Everything, global pages included.
    All,
}

/// An entry that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edit {
    /// Its number, counted from 1.
    pub number: u64,
    /// What was written.
    pub poke: Poke,
    /// What has become of it.
    pub state: EditState,
}

/// What has become of an edit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EditState {
    /// It stands.
    Standing,
    /// The kernel took it back, before it changed or freed tables itself that it must find as
    /// it made them.
    Settled,
    /// The frame is no page table any more.
    Gone,
}

impl EditState {
    /// One word for it.
    pub fn name(self) -> &'static str {
        match self {
            EditState::Standing => "standing",
            EditState::Settled => "settled",
            EditState::Gone => "gone",
        }
    }
}

/// Why an entry was not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EditError {
    /// The frame is not a page table's.
    NotATable(PhysAddr),
    /// Something else is in the entry than was shown.
    Changed(u64),
    /// The entry cannot be read.
    Unreadable(ReadError),
    /// There are as many edits as can be remembered.
    Full(usize),
}

impl fmt::Display for EditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EditError::NotATable(at) => write!(f, "{at} is not in a frame of page tables"),
            EditError::Changed(now) => write!(f, "the entry has just become {now:016x}"),
            EditError::Unreadable(why) => write!(f, "the entry cannot be read: {why}"),
            EditError::Full(most) => {
                write!(f, "{most} edits are remembered, and no more; `undo` some")
            }
        }
    }
}

/// Why an edit was not taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UndoError {
    /// There is none.
    Nothing,
    /// The table of this edit has been freed.
    Gone(Edit),
    /// The kernel was faster.
    Settled(Edit),
    /// This is in the entry now, which is not what was written.
    Changed(Edit, u64),
    /// The entry cannot be read.
    Unreadable(Edit, ReadError),
}

impl fmt::Display for UndoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (edit, why) = match self {
            UndoError::Nothing => return f.write_str("there is nothing to take back"),
            UndoError::Gone(edit) => (edit, "its table has been given back since"),
            UndoError::Settled(edit) => (
                edit,
                "the kernel took it back before it changed those tables itself",
            ),
            UndoError::Changed(edit, _) => (edit, "the entry has changed since"),
            UndoError::Unreadable(edit, _) => (edit, "the entry cannot be read"),
        };
        write!(f, "edit {} of {}: {why}", edit.number, edit.poke.at)?;
        match self {
            UndoError::Changed(edit, now) => {
                write!(f, ", from {:016x} to {now:016x}", edit.poke.new)?;
            }
            UndoError::Unreadable(_, error) => write!(f, ", {error}")?,
            _ => {}
        }
        f.write_str("; it is off the list")
    }
}

/// The edits there are, for targets to keep: they differ only in how an entry is written.
#[derive(Clone, Debug, Default)]
pub struct EditList {
    edits: heapless::Vec<Edit, { EditList::MOST }>,
    last: u64,
}

impl EditList {
    /// How many are remembered.
    pub const MOST: usize = 32;

    /// No edits.
    pub const fn new() -> EditList {
        EditList {
            edits: heapless::Vec::new(),
            last: 0,
        }
    }

    /// The edit with this index.
    pub fn get(&self, index: usize) -> Option<Edit> {
        self.edits.get(index).copied()
    }

    /// All of them, the oldest first.
    pub fn all(&self) -> &[Edit] {
        &self.edits
    }

    /// Remembers one that is about to be written; `now` is what is in the entry. Answers with
    /// its number.
    ///
    /// # Errors
    ///
    /// It must not be written.
    pub fn add(&mut self, poke: &Poke, now: Result<u64, ReadError>) -> Result<u64, EditError> {
        let now = now.map_err(EditError::Unreadable)?;
        if !is_like(now, poke.old) {
            return Err(EditError::Changed(now));
        }
        let number = self.last.wrapping_add(1);
        let edit = Edit {
            number,
            // What the processor has written meanwhile is part of what was there.
            poke: Poke { old: now, ..*poke },
            state: EditState::Standing,
        };
        let pushed = self.edits.push(edit);
        pushed.map_err(|_| EditError::Full(Self::MOST))?;
        self.last = number;
        Ok(number)
    }

    /// Forgets the last one. `now` reads its entry; if the answer is good, what was there
    /// before must be written back.
    ///
    /// # Errors
    ///
    /// It must not.
    pub fn take(
        &mut self,
        now: impl FnOnce(PhysAddr) -> Result<u64, ReadError>,
    ) -> Result<Edit, UndoError> {
        let edit = self.edits.pop().ok_or(UndoError::Nothing)?;
        match edit.state {
            EditState::Gone => return Err(UndoError::Gone(edit)),
            EditState::Settled => return Err(UndoError::Settled(edit)),
            EditState::Standing => {}
        }
        match now(edit.poke.at) {
            Ok(now) if is_like(now, edit.poke.new) => Ok(edit),
            Ok(now) => Err(UndoError::Changed(edit, now)),
            Err(why) => Err(UndoError::Unreadable(edit, why)),
        }
    }

    /// Of those that stand, the last one that is meant, or that was made on top of one that is
    /// meant, is marked as settled: what was there before must be written back, if the entry
    /// still holds what was written. To be called until there are no more.
    pub fn settle(&mut self, is_meant: impl Fn(&Poke) -> bool) -> Option<Poke> {
        let stands = |edit: &Edit| edit.state == EditState::Standing;
        let mut standing = self.edits.iter().filter(|edit| stands(edit));
        let at = standing.find(|edit| is_meant(&edit.poke))?.poke.at;
        let mut latest = self.edits.iter_mut().rev();
        let edit = latest.find(|edit| stands(edit) && edit.poke.at == at)?;
        edit.state = EditState::Settled;
        Some(edit.poke)
    }

    /// The table in this frame has been freed: its edits cannot be taken back.
    pub fn forget_table(&mut self, frame: PhysAddr) {
        let is_there = |edit: &&mut Edit| edit.poke.at.0 & !0xfff == frame.0;
        for edit in self.edits.iter_mut().filter(is_there) {
            if edit.state == EditState::Standing {
                edit.state = EditState::Gone;
            }
        }
    }
}

/// Whether two values of an entry are the same, but for Accessed and Dirty, which the processor
/// sets behind everybody's back.
pub fn is_like(one: u64, other: u64) -> bool {
    let written = machine::Entry::ACCESSED | machine::Entry::DIRTY;
    (one ^ other) & !written == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const POKE: Poke = Poke {
        at: PhysAddr(0x1008),
        level: Level::Pt,
        va: VirtAddr(0x1000),
        old: 0x7_3005,
        new: 0x7_3001,
    };

    #[test]
    fn edits_are_taken_back_last_first_and_only_if_they_stand() {
        let mut list = EditList::new();
        assert_eq!(list.take(|_| Ok(0)), Err(UndoError::Nothing));
        assert_eq!(list.add(&POKE, Ok(0x7_3005)), Ok(1));
        assert_eq!(
            list.add(&POKE, Ok(0x7_3004)),
            Err(EditError::Changed(0x7_3004))
        );
        // Accessed was set in between: that is not a change, and it is what was there.
        assert_eq!(list.add(&POKE, Ok(0x7_3025)), Ok(2));
        let edit = list.take(|_| Ok(0x7_3061)).expect("it stands");
        assert_eq!((edit.number, edit.poke.old), (2, 0x7_3025));
        let error = list
            .take(|_| Ok(0x7_3003))
            .expect_err("it was written over");
        assert_eq!(
            error.to_string(),
            "edit 1 of 0x0000_0000_1008: the entry has changed since, from 0000000000073001 to \
             0000000000073003; it is off the list"
        );
        assert_eq!(list.take(|_| Ok(0)), Err(UndoError::Nothing));
        assert_eq!(
            list.add(&POKE, Ok(0x7_3005)),
            Ok(3),
            "numbers are not used again"
        );
    }

    #[test]
    fn what_was_settled_or_freed_is_not_written_again() {
        let mut list = EditList::new();
        for _ in 0..3 {
            let _ = list.add(&POKE, Ok(POKE.old));
        }
        assert_eq!(list.settle(|_| false), None);
        assert_eq!(list.settle(|poke| poke.at == POKE.at), Some(POKE));
        assert_eq!(list.get(2).map(|edit| edit.state), Some(EditState::Settled));
        assert_eq!(
            list.get(1).map(|edit| edit.state),
            Some(EditState::Standing)
        );
        list.forget_table(PhysAddr(0x2000));
        assert_eq!(
            list.get(1).map(|edit| edit.state),
            Some(EditState::Standing)
        );
        list.forget_table(PhysAddr(0x1000));
        let never = |_| unreachable!("the entry is not read");
        assert!(matches!(list.take(never), Err(UndoError::Settled(_))));
        assert!(matches!(list.take(never), Err(UndoError::Gone(_))));
    }

    // Were the first one put back alone, its value would not be there any more, and what the
    // entry named would be lost.
    #[test]
    fn edits_on_top_of_one_that_is_settled_go_first() {
        let mut list = EditList::new();
        let chain = [0x7_3005, 0, 2, 6];
        for (old, new) in chain.into_iter().zip(chain.into_iter().skip(1)) {
            let _ = list.add(&Poke { old, new, ..POKE }, Ok(old));
        }
        let other = Poke {
            at: PhysAddr(0x1010),
            ..POKE
        };
        let _ = list.add(&other, Ok(other.old));
        let lost = |poke: &Poke| poke.old == 0x7_3005 && poke.new == 0;
        let settled = core::iter::from_fn(|| list.settle(lost));
        let olds: Vec<u64> = settled.map(|poke| poke.old).collect();
        assert_eq!(olds, [2, 0, 0x7_3005]);
        assert_eq!(
            list.get(3).map(|edit| edit.state),
            Some(EditState::Standing)
        );
    }

    #[test]
    fn there_is_an_end_to_them() {
        let mut list = EditList::new();
        for _ in 0..EditList::MOST {
            assert!(list.add(&POKE, Ok(POKE.old)).is_ok());
        }
        let error = list.add(&POKE, Ok(POKE.old)).expect_err("it is full");
        assert_eq!(error, EditError::Full(32));
        assert_eq!(list.all().len(), 32);
    }
}
