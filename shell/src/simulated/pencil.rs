//! Edits of a simulated machine's tables.

use std::vec::Vec;

use machine::{PhysAddr, PhysMemory, Simulated};

use crate::{Edit, EditError, EditList, Flush, Poke, Region, UndoError};

/// What was written by hand, and what was flushed for it.
#[derive(Clone, Debug, Default)]
pub struct Pencil {
    /// The edits there are.
    pub list: EditList,
    /// Everything that was flushed, in order.
    pub flushed: Vec<Flush>,
    /// What the machine could not go on without.
    pub vital: Vec<Region>,
}

impl Pencil {
    /// A machine that needs these.
    #[must_use]
    pub fn new(vital: &[Region]) -> Pencil {
        Pencil {
            vital: vital.to_vec(),
            ..Pencil::default()
        }
    }

    /// See [`Edits::poke`](crate::Edits::poke).
    ///
    /// # Errors
    ///
    /// The same.
    pub fn poke(&mut self, memory: &mut Simulated, poke: &Poke) -> Result<u64, EditError> {
        if !poke.at.0.is_multiple_of(8) {
            return Err(EditError::NotATable(poke.at));
        }
        let number = self.list.add(poke, memory.read_u64(poke.at))?;
        self.write(memory, poke.at, poke.new, poke.flush());
        Ok(number)
    }

    /// See [`Edits::undo`](crate::Edits::undo).
    ///
    /// # Errors
    ///
    /// The same.
    pub fn undo(&mut self, memory: &mut Simulated) -> Result<Edit, UndoError> {
        let edit = self.list.take(|at| memory.read_u64(at))?;
        self.write(memory, edit.poke.at, edit.poke.old, edit.poke.flush());
        Ok(edit)
    }

    fn write(&mut self, memory: &mut Simulated, at: PhysAddr, value: u64, flush: Flush) {
        memory.write_u64(at, value);
        self.flushed.push(flush);
    }
}
