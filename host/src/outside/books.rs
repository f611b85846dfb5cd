//! The frame books, from outside.

use machine::{PhysAddr, PhysMemory as _, VirtAddr};
use shell::{FrameInfo, FrameOwner, FrameTotals, Frames, Place};

use super::Outside;

const PAGE: u64 = 4096;

impl Outside {
    /// Whether there are books that make sense.
    pub(super) fn has_books(&self) -> bool {
        self.found.header.frames.count > 0
    }

    /// The owners of all frames.
    fn owners(&mut self) -> &[u8] {
        if self.owners.is_none() {
            let books = self.found.header.frames;
            let mut bytes = vec![FrameOwner::Hole as u8; books.count as usize];
            let memory = self.memory.get_mut();
            if memory.read(PhysAddr(books.at), &mut bytes).is_err() {
                let at = PhysAddr(books.at);
                bytes.clear();
                self.note(format!("the frame books at {at} cannot be read"));
            }
            self.owners = Some(bytes);
        }
        self.owners.as_deref().unwrap_or_default()
    }

    fn count(&mut self, owner: FrameOwner) -> u64 {
        let owners = self.owners().iter();
        owners.filter(|byte| **byte == owner as u8).count() as u64
    }
}

impl Frames for Outside {
    fn totals(&mut self) -> FrameTotals {
        let all = self.owners().len() as u64;
        let total = all - self.count(FrameOwner::Hole);
        let free = self.count(FrameOwner::Free);
        FrameTotals {
            total,
            free,
            used: total.saturating_sub(free),
        }
    }

    fn owner(&mut self, index: usize) -> Option<(&'static str, u64)> {
        let mut used = FrameOwner::ALL.iter().filter(|owner| owner.is_used());
        let owner = *used.nth(index)?;
        Some((owner.name(), self.count(owner)))
    }

    fn end(&mut self) -> PhysAddr {
        PhysAddr(self.owners().len() as u64 * PAGE)
    }

    fn frame(&mut self, at: PhysAddr) -> Option<FrameInfo> {
        let number = at.0 / PAGE;
        let owner = *self.owners().get(usize::try_from(number).ok()?)?;
        let books = self.found.header.frames;
        let shares = books.at.checked_add(books.count)?.checked_add(number * 2)?;
        let mut bytes = [0; 2];
        let memory = self.memory.get_mut();
        memory.read(PhysAddr(shares), &mut bytes).ok()?;
        Some(FrameInfo {
            owner: FrameOwner::from_number(owner)?,
            shares: u16::from_le_bytes(bytes),
            tally: self.tallies.get(&number).copied().unwrap_or(0),
        })
    }

    fn clear_tallies(&mut self) {
        self.tallies.clear();
    }

    fn tally(&mut self, at: PhysAddr) {
        let tally = self.tallies.entry(at.0 / PAGE).or_insert(0);
        *tally = tally.saturating_add(1);
    }

    fn place(&mut self, va: VirtAddr) -> Place {
        self.place_of(va)
    }
}
