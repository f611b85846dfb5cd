//! The descriptor that an error code names, as it stood in its table when the exception came.

use super::{SelectorError, SelectorTable};
use crate::{Paging, PhysAddr, PhysMemory, Registers, VirtAddr, read_virt};

/// What stood where an error code points.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Named {
    /// These words. The second one belongs to it only if it has 16 bytes, as gates and system segments do.
    Words {
        /// The first eight bytes.
        low: u64,
        /// Those behind; 0 if they are beyond the table, or cannot be read.
        high: u64,
    },
    /// The table ends before it.
    Beyond {
        /// The offset of the last byte that the table has.
        limit: u16,
    },
    /// LDTR is null: there is no table.
    NoTable,
}

impl Named {
    /// Reads it through the tables at `root`; nothing where it cannot be read.
    pub fn read(
        memory: &mut dyn PhysMemory,
        paging: &Paging,
        root: PhysAddr,
        registers: &Registers,
        error: &SelectorError,
    ) -> Option<Named> {
        let (table, bytes) = match error.table {
            SelectorTable::Gdt => (registers.gdtr, 8),
            SelectorTable::Idt => (registers.idtr, 16),
            // Where another one is would be in the GDT; nobody here has one.
            SelectorTable::Ldt => return (registers.ldtr & !3 == 0).then_some(Named::NoTable),
        };
        let offset = u64::from(error.index) * bytes;
        let limit = u64::from(table.limit);
        if offset + bytes - 1 > limit {
            return Some(Named::Beyond { limit: table.limit });
        }
        let mut word = |offset: u64| {
            let mut bytes = [0; 8];
            let at = VirtAddr(table.base.wrapping_add(offset));
            read_virt(memory, paging, root, at, &mut bytes).ok()?;
            Some(u64::from_le_bytes(bytes))
        };
        let low = word(offset)?;
        let high = (offset + 15 <= limit).then(|| word(offset + 8)).flatten();
        Some(Named::Words {
            low,
            high: high.unwrap_or(0),
        })
    }
}
