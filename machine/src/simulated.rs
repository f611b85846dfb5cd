//! A machine made of maps, for tests: RAM where it was put, devices, unreadable words, and
//! page tables built on request. It panics on misuse by the test that builds it, never on
//! what is read.
//!
//! Uses `std`; compiled for tests and with the feature `simulated` only.

use std::boxed::Box;
use std::collections::{BTreeMap, BTreeSet};
use std::vec::Vec;

use crate::{Entry, Kind, PageSize, Paging, PhysAddr, PhysMemory, ReadError, VirtAddr};

const FRAME_BYTES: u64 = 0x1000;

/// The simulated machine. Memory is what [`add_ram`](Self::add_ram), the writing functions
/// and [`map`](Self::map) have put there, in frames of 4 KiB; the rest is not there.
#[derive(Clone, Debug)]
pub struct Simulated {
    /// How the machine's CPU reads its tables.
    pub paging: Paging,
    /// How many times memory has been read, whatever came of it.
    pub reads: u64,
    frames: BTreeMap<u64, Box<[u8; FRAME_BYTES as usize]>>,
    devices: Vec<(u64, u64)>,
    poisoned: BTreeSet<u64>,
    lost: bool,
    root: PhysAddr,
    next_table: u64,
}

impl Simulated {
    /// A machine with one empty top table, at `root`. Tables that [`map`](Self::map) needs
    /// take the frames after it, in order, unless those have memory already.
    ///
    /// # Panics
    ///
    /// If `root` is not 4 KiB aligned.
    pub fn new(paging: Paging, root: PhysAddr) -> Simulated {
        assert_eq!(root.0 % FRAME_BYTES, 0, "a table is 4 KiB aligned");
        let mut machine = Simulated {
            paging,
            reads: 0,
            frames: BTreeMap::new(),
            devices: Vec::new(),
            poisoned: BTreeSet::new(),
            lost: false,
            root,
            next_table: root.0 + FRAME_BYTES,
        };
        machine.add_ram(root, FRAME_BYTES);
        machine
    }

    /// The top table.
    pub fn root(&self) -> PhysAddr {
        self.root
    }

    /// From where on frames are taken for tables.
    pub fn set_next_table(&mut self, at: PhysAddr) {
        self.next_table = at.0 & !(FRAME_BYTES - 1);
    }

    /// Puts zeroed memory at every frame that `at..at+bytes` touches and that has none.
    pub fn add_ram(&mut self, at: PhysAddr, bytes: u64) {
        for number in at.0 / FRAME_BYTES..at.0.saturating_add(bytes).div_ceil(FRAME_BYTES) {
            self.frames
                .entry(number)
                .or_insert_with(|| Box::new([0; FRAME_BYTES as usize]));
        }
    }

    /// Takes the frame at `at` away again.
    pub fn remove_frame(&mut self, at: PhysAddr) {
        self.frames.remove(&(at.0 / FRAME_BYTES));
    }

    /// Makes `at..at+bytes` a device, whether or not there is memory: it is not read.
    pub fn add_device(&mut self, at: PhysAddr, bytes: u64) {
        self.devices.push((at.0, at.0.saturating_add(bytes)));
    }

    /// Makes the one byte at `at` unreadable, and so each read that includes it.
    pub fn poison(&mut self, at: PhysAddr) {
        self.poisoned.insert(at.0);
    }

    /// Breaks the connection: from now on every read answers [`ReadError::Lost`].
    pub fn lose(&mut self) {
        self.lost = true;
    }

    /// Writes bytes, putting memory there first where there is none.
    pub fn write(&mut self, at: PhysAddr, bytes: &[u8]) {
        self.add_ram(at, bytes.len() as u64);
        for (address, byte) in (at.0..).zip(bytes) {
            if let Some(frame) = self.frames.get_mut(&(address / FRAME_BYTES)) {
                frame[(address % FRAME_BYTES) as usize] = *byte;
            }
        }
    }

    /// Writes a little-endian number, putting memory there first where there is none.
    pub fn write_u64(&mut self, at: PhysAddr, value: u64) {
        self.write(at, &value.to_le_bytes());
    }

    /// Maps one page in the tables of [`root`](Self::root); see [`map_in`](Self::map_in).
    pub fn map(&mut self, va: VirtAddr, pa: PhysAddr, size: PageSize, flags: u64) {
        self.map_in(self.root, va, pa, size, flags);
    }

    /// Maps the page of `va` to the page of `pa` in the tables at `root`. `flags` are those
    /// of the last entry ([`Entry::WRITABLE`] and so on; PRESENT and the size bit are
    /// added). Tables that are missing are made, with PRESENT, WRITABLE and USER.
    ///
    /// # Panics
    ///
    /// If an entry on the way is a page or malformed, or has no memory.
    pub fn map_in(
        &mut self,
        root: PhysAddr,
        va: VirtAddr,
        pa: PhysAddr,
        size: PageSize,
        flags: u64,
    ) {
        let mut table = root;
        let mut level = self.paging.top();
        while level != size.level() {
            let at = PhysAddr(table.0 + level.index(va) as u64 * 8);
            let raw = self.table_entry(at);
            table = match self.paging.decode(raw, level).kind {
                Kind::Table { at } => at,
                Kind::Absent => {
                    let new = self.new_table();
                    self.write_u64(at, new.0 | Entry::PRESENT | Entry::WRITABLE | Entry::USER);
                    new
                }
                other => panic!("{level} entry of {va} is in the way: {other:x?}"),
            };
            level = level.next().expect("a page is mapped below the top");
        }
        let large = if size == PageSize::Size4K {
            0
        } else {
            Entry::HUGE
        };
        let page = pa.0 & !(size.bytes() - 1);
        let at = PhysAddr(table.0 + level.index(va) as u64 * 8);
        self.write_u64(at, page | flags | large | Entry::PRESENT);
    }

    /// An entry of a table that is being built; that is no read of whoever uses the machine.
    fn table_entry(&self, at: PhysAddr) -> u64 {
        let bytes = core::array::from_fn(|offset| self.byte(at.0 + offset as u64));
        u64::from_le_bytes(bytes.map(|byte| byte.expect("a table has memory")))
    }

    /// A zeroed frame that had no memory before.
    pub fn new_table(&mut self) -> PhysAddr {
        while self.frames.contains_key(&(self.next_table / FRAME_BYTES)) {
            self.next_table += FRAME_BYTES;
        }
        let at = PhysAddr(self.next_table);
        self.add_ram(at, FRAME_BYTES);
        at
    }

    /// The bytes from `at` on, if they lie in one frame and nothing is odd about any of them.
    fn plain(&self, at: PhysAddr, len: usize) -> Option<&[u8]> {
        let end = at.checked_add(len as u64)?.0;
        let is_device = self
            .devices
            .iter()
            .any(|device| device.0 < end && at.0 < device.1);
        if is_device || self.poisoned.range(at.0..end).next().is_some() {
            return None;
        }
        let first = (at.0 % FRAME_BYTES) as usize;
        self.frames
            .get(&(at.0 / FRAME_BYTES))?
            .get(first..first.checked_add(len)?)
    }

    /// The byte at `at`.
    fn byte(&self, at: u64) -> Result<u8, ReadError> {
        let address = PhysAddr(at);
        if self
            .devices
            .iter()
            .any(|&(first, end)| (first..end).contains(&at))
        {
            return Err(ReadError::Device { at: address });
        }
        let frame = self
            .frames
            .get(&(at / FRAME_BYTES))
            .filter(|_| !self.poisoned.contains(&at));
        match frame {
            Some(frame) => Ok(frame[(at % FRAME_BYTES) as usize]),
            None => Err(ReadError::NoMemory { at: address }),
        }
    }
}

impl PhysMemory for Simulated {
    fn read(&mut self, at: PhysAddr, buf: &mut [u8]) -> Result<(), ReadError> {
        self.reads += 1;
        if self.lost {
            return Err(ReadError::Lost);
        }
        // Nearly all reads are of whole words in plain memory, and tests make millions.
        if let Some(bytes) = self.plain(at, buf.len()) {
            buf.copy_from_slice(bytes);
            return Ok(());
        }
        for (offset, byte) in (0u64..).zip(buf) {
            let address = at.checked_add(offset).ok_or(ReadError::NoMemory { at })?;
            *byte = self.byte(address.0)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: PhysAddr = PhysAddr(0x1000);

    fn machine() -> Simulated {
        Simulated::new(Paging::four_level(40), ROOT)
    }

    #[test]
    fn tables_take_the_frames_after_the_root() {
        let mut machine = machine();
        machine.map(
            VirtAddr(0x40_0000),
            PhysAddr(0x7_3000),
            PageSize::Size4K,
            Entry::USER,
        );
        let entries = [0x1000, 0x2000, 0x3010, 0x4000].map(|at| machine.read_u64(PhysAddr(at)));
        assert_eq!(entries, [Ok(0x2007), Ok(0x3007), Ok(0x4007), Ok(0x7_3005)]);
    }

    #[test]
    fn tables_are_shared_by_pages_that_are_close() {
        let mut machine = machine();
        machine.map(VirtAddr(0), PhysAddr(0), PageSize::Size4K, 0);
        machine.map(VirtAddr(0x1000), PhysAddr(0), PageSize::Size4K, 0);
        assert_eq!(machine.new_table(), PhysAddr(0x5000));
    }

    #[test]
    fn memory_is_where_it_was_put_and_nowhere_else() {
        let mut machine = machine();
        machine.write(PhysAddr(0x8ffe), b"abcd");
        let mut bytes = [0; 4];
        assert_eq!(machine.read(PhysAddr(0x8ffe), &mut bytes), Ok(()));
        assert_eq!(&bytes, b"abcd");
        let error = machine.read(PhysAddr(0x9ffe), &mut bytes);
        assert_eq!(
            error,
            Err(ReadError::NoMemory {
                at: PhysAddr(0xa000)
            })
        );
        let past = machine.read(PhysAddr(u64::MAX), &mut bytes);
        assert!(matches!(past, Err(ReadError::NoMemory { .. })));
    }

    #[test]
    fn devices_poison_and_loss_are_told_apart() {
        let mut machine = machine();
        machine.add_device(PhysAddr(0x1800), 8);
        machine.poison(PhysAddr(0x1900));
        assert_eq!(
            machine.read_u64(PhysAddr(0x1800)),
            Err(ReadError::Device {
                at: PhysAddr(0x1800)
            })
        );
        assert_eq!(
            machine.read_u64(PhysAddr(0x18fc)),
            Err(ReadError::NoMemory {
                at: PhysAddr(0x1900)
            })
        );
        assert_eq!(machine.read_u64(PhysAddr(0x1808)), Ok(0));
        machine.lose();
        assert_eq!(machine.read_u64(PhysAddr(0x1808)), Err(ReadError::Lost));
    }
}
