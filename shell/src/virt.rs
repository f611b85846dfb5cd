//! Reading virtual memory in small pieces, for the commands that decode structures.

use machine::{Paging, PhysAddr, PhysMemory, VirtAddr, VirtError, read_virt};

use crate::Target;

/// A way to read what one set of tables maps.
pub(crate) struct Virt<'a> {
    memory: &'a mut dyn PhysMemory,
    paging: Paging,
    root: PhysAddr,
}

impl<'a> Virt<'a> {
    pub(crate) fn new(target: &'a mut dyn Target, root: PhysAddr) -> Self {
        let paging = target.paging();
        let memory = target.memory();
        Virt {
            memory,
            paging,
            root,
        }
    }

    /// `N` bytes from an address on, which wraps around after the last one.
    pub(crate) fn bytes<const N: usize>(
        &mut self,
        base: u64,
        offset: u64,
    ) -> Result<[u8; N], VirtError> {
        let mut bytes = [0; N];
        let at = VirtAddr(base.wrapping_add(offset));
        read_virt(self.memory, &self.paging, self.root, at, &mut bytes)?;
        Ok(bytes)
    }

    /// Eight bytes, the lowest first.
    pub(crate) fn word(&mut self, base: u64, offset: u64) -> Result<u64, VirtError> {
        self.bytes(base, offset).map(u64::from_le_bytes)
    }
}
