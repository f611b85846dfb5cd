//! The frame allocator: one byte for each frame of RAM, which says who owns it.
//!
//! A byte instead of a bit costs 0.02 % of memory and answers "whose is this frame?" for all
//! of them, at any time, from anywhere. Two more count who shares it, and two are there for an
//! audit to count in, so that it needs no memory of its own.

use bootloader_api::info::{MemoryRegionKind, MemoryRegions};
use machine::PhysAddr;
use shell::FrameInfo;
use spin::Once;

use super::layout::PAGE;
use super::physmap;
use crate::arch::cpu;
use crate::lock::Lock;

/// Who owns a frame; one definition for the books and for whoever asks about them.
pub(crate) use shell::FrameOwner as Owner;

struct Books {
    /// The owner of frame number i.
    owners: &'static mut [u8],
    /// How many have frame number i beside the first, low byte and high byte.
    shares: &'static mut [u8],
    /// What an audit has counted for frame number i, low byte and high byte.
    tallies: &'static mut [u8],
    /// How often any of the above has changed but the tallies.
    changes: u64,
    /// Requests until one is refused on purpose.
    fail_after: Option<u64>,
    /// Where the next search begins.
    next: usize,
    /// Frames by owner, kept current.
    counts: [u64; Owner::ALL.len()],
}

static BOOKS: Once<Lock<Books>> = Once::new();

/// Makes the books from the memory map. The books take the first usable frames above 1 MiB
/// that hold them; says why if there are none.
pub(crate) fn init(regions: &MemoryRegions) -> Result<(), &'static str> {
    let ranges = physmap::ranges().ok_or("the memory map has not been read")?;
    let end = ranges.ram.iter().map(|range| range.end).max().unwrap_or(0);
    let count = end / PAGE;
    // One byte for the owner, two for the number of sharers and two for the tally.
    let bytes = count * 5;
    let start = regions
        .iter()
        .filter(|region| region.kind == MemoryRegionKind::Usable)
        .map(|region| (region.start.max(1 << 20).next_multiple_of(PAGE), region.end))
        .find(|(start, end)| {
            start
                .checked_add(bytes)
                .is_some_and(|needed| needed <= *end)
        })
        .map(|(start, _)| start)
        .ok_or("no usable memory for the frame books")?;
    let owners = physmap::take_for_ever(PhysAddr(start), bytes).ok_or("frame books are not RAM")?;
    let frames = usize::try_from(count).unwrap_or(0);
    let (owners, words) = owners.split_at_mut(frames);
    let (shares, tallies) = words.split_at_mut(frames * 2);
    let mut books = Books {
        owners,
        shares,
        tallies,
        changes: 0,
        fail_after: None,
        next: 0,
        counts: [0; Owner::ALL.len()],
    };
    books.owners.fill(Owner::Hole as u8);
    books.shares.fill(0);
    books.tallies.fill(0);
    books.counts[Owner::Hole as usize] = count;
    for range in &ranges.ram {
        books.mark(range.start, range.end, Owner::Firmware);
    }
    for region in regions.iter() {
        let owner = match region.kind {
            MemoryRegionKind::Usable => Owner::Free,
            MemoryRegionKind::Bootloader => Owner::Bootloader,
            _ => continue,
        };
        // A frame that is only partly usable stays the firmware's.
        books.mark(
            region.start.next_multiple_of(PAGE),
            region.end & !(PAGE - 1),
            owner,
        );
    }
    for range in &ranges.ram {
        books.mark(range.start, range.end.min(1 << 20), Owner::LowMemory);
    }
    books.mark(
        start,
        start + bytes.next_multiple_of(PAGE),
        Owner::FrameBooks,
    );
    BOOKS.call_once(|| Lock::new("the frame books", books));
    Ok(())
}

/// For whoever looks from outside.
pub(crate) fn exported() -> exported::FrameBooks {
    with(|books| exported::FrameBooks {
        at: (books.owners.as_ptr() as u64).wrapping_sub(physmap::offset()),
        count: books.owners.len() as u64,
    })
    .unwrap_or_default()
}

impl Books {
    fn set(&mut self, index: usize, owner: Owner) {
        if let Some(byte) = self.owners.get_mut(index) {
            let before = usize::from(*byte);
            *byte = owner as u8;
            self.changes += 1;
            if let Some(count) = self.counts.get_mut(before) {
                *count -= 1;
            }
            self.counts[owner as usize] += 1;
        }
    }

    fn mark(&mut self, start: u64, end: u64, owner: Owner) {
        for frame in start / PAGE..end.max(start) / PAGE {
            self.set(usize::try_from(frame).unwrap_or(usize::MAX), owner);
        }
    }

    /// The sharers of a frame beside its first owner.
    fn shares(&mut self, index: usize) -> Option<&mut [u8; 2]> {
        word(self.shares, index)
    }

    fn find_free(&self) -> Option<usize> {
        let is_free = |byte: &u8| *byte == Owner::Free as u8;
        let next = self.next.min(self.owners.len());
        let (before, after) = self.owners.split_at(next);
        after
            .iter()
            .position(is_free)
            .map(|found| next + found)
            .or_else(|| before.iter().position(is_free))
    }
}

/// The word of a frame in an array of words.
fn word(words: &mut [u8], index: usize) -> Option<&mut [u8; 2]> {
    let at = index.checked_mul(2)?;
    words.get_mut(at..at.checked_add(2)?)?.try_into().ok()
}

fn with<R>(body: impl FnOnce(&mut Books) -> R) -> Option<R> {
    let books = BOOKS.get()?;
    // Interrupt handlers never ask for frames, so with interrupts off nobody waits here.
    Some(cpu::without_interrupts(|| body(&mut books.lock())))
}

/// Runs `body` while the books are locked, as if it had been interrupted in the middle of a change.
pub(crate) fn while_locked(body: impl FnOnce()) {
    with(|_| body());
}

/// Takes a free frame, filled with zeros.
pub(crate) fn take(owner: Owner) -> Option<PhysAddr> {
    let frame = with(|books| {
        match &mut books.fail_after {
            Some(0) => return None,
            Some(left) => *left -= 1,
            None => {}
        }
        let found = books.find_free()?;
        books.set(found, owner);
        books.next = found + 1;
        Some(PhysAddr(found as u64 * PAGE))
    })??;
    physmap::zero_frame(frame).then_some(frame)
}

/// Gives a frame back. Says whether `owner` really had it; if not, nothing changes.
#[must_use]
pub(crate) fn give_back(frame: PhysAddr, owner: Owner) -> bool {
    with(|books| {
        let index = usize::try_from(frame.0 / PAGE).unwrap_or(usize::MAX);
        let held = books.owners.get(index) == Some(&(owner as u8));
        if held {
            books.set(index, Owner::Free);
            books.next = books.next.min(index);
        }
        held
    })
    .unwrap_or(false)
}

/// Another mapping of a user frame begins; false if there are too many, or it is no user frame.
#[must_use]
pub(crate) fn share(frame: PhysAddr) -> bool {
    with(|books| {
        let index = usize::try_from(frame.0 / PAGE).unwrap_or(usize::MAX);
        if books.owners.get(index) != Some(&(Owner::User as u8)) {
            return false;
        }
        let Some(shares) = books.shares(index) else {
            return false;
        };
        let count = u16::from_le_bytes(*shares);
        let Some(count) = count.checked_add(1) else {
            return false;
        };
        *shares = count.to_le_bytes();
        books.changes += 1;
        true
    })
    .unwrap_or(false)
}

/// How many have the frame beside the first.
pub(crate) fn sharers(frame: PhysAddr) -> u16 {
    with(|books| {
        let index = usize::try_from(frame.0 / PAGE).unwrap_or(usize::MAX);
        books
            .shares(index)
            .map_or(0, |shares| u16::from_le_bytes(*shares))
    })
    .unwrap_or(0)
}

/// One mapping of a user frame ends; the last one gives the frame back.
pub(crate) fn release_user(frame: PhysAddr) {
    let was_shared = with(|books| {
        let index = usize::try_from(frame.0 / PAGE).unwrap_or(usize::MAX);
        let Some(shares) = books.shares(index) else {
            return false;
        };
        let count = u16::from_le_bytes(*shares);
        *shares = count.saturating_sub(1).to_le_bytes();
        books.changes += 1;
        count > 0
    });
    if was_shared == Some(false) {
        let was_ours = give_back(frame, Owner::User);
        debug_assert!(was_ours, "only user frames are released");
    }
}

/// Refuses every request after the next `requests`, or none any more.
pub(crate) fn fail_after(requests: Option<u64>) {
    let _ = with(|books| books.fail_after = requests);
}

/// Whether the frame at `at` is `owner`'s.
pub(crate) fn is_owned_by(at: PhysAddr, owner: Owner) -> bool {
    with(|books| {
        let index = usize::try_from(at.0 / PAGE).unwrap_or(usize::MAX);
        books.owners.get(index) == Some(&(owner as u8))
    })
    .unwrap_or(false)
}

/// Writes down that the frame at `at`, so far under another name, is `owner`'s. Only for
/// frames that are in use: a hole or a free frame is left as it is.
pub(crate) fn reassign(at: PhysAddr, owner: Owner) {
    let _ = with(|books| {
        let index = usize::try_from(at.0 / PAGE).unwrap_or(usize::MAX);
        let now = books.owners.get(index).copied();
        if now.is_some_and(|now| now != Owner::Hole as u8 && now != Owner::Free as u8) {
            books.set(index, owner);
        }
    });
}

/// How many frames this owner has.
pub(crate) fn count(owner: Owner) -> u64 {
    with(|books| books.counts[owner as usize]).unwrap_or(0)
}

/// All frames of RAM.
pub(crate) fn total() -> u64 {
    with(|books| books.owners.len() as u64 - books.counts[Owner::Hole as usize]).unwrap_or(0)
}

/// The owner with this index and its frames, those without any included; `None` past the last.
pub(crate) fn owner(index: usize) -> Option<(&'static str, u64)> {
    let mut used = Owner::ALL.iter().filter(|owner| owner.is_used());
    let owner = used.nth(index)?;
    Some((owner.name(), count(*owner)))
}

/// The end of what the books cover.
pub(crate) fn end() -> PhysAddr {
    PhysAddr(with(|books| books.owners.len() as u64 * PAGE).unwrap_or(0))
}

/// Everything the books say about the frame that holds `at`.
pub(crate) fn info(at: PhysAddr) -> Option<FrameInfo> {
    with(|books| {
        let index = usize::try_from(at.0 / PAGE).ok()?;
        let owner = Owner::from_number(*books.owners.get(index)?)?;
        let shares = u16::from_le_bytes(*books.shares(index)?);
        let tally = u16::from_le_bytes(*word(books.tallies, index)?);
        Some(FrameInfo {
            owner,
            shares,
            tally,
        })
    })?
}

/// How often the books have changed.
pub(crate) fn changes() -> u64 {
    with(|books| books.changes).unwrap_or(0)
}

/// Sets every tally to 0.
pub(crate) fn clear_tallies() {
    let _ = with(|books| books.tallies.fill(0));
}

/// Counts once more for the frame that holds `at`.
pub(crate) fn tally(at: PhysAddr) {
    let _ = with(|books| {
        let index = usize::try_from(at.0 / PAGE).unwrap_or(usize::MAX);
        if let Some(tally) = word(books.tallies, index) {
            let more = u16::from_le_bytes(*tally).saturating_add(1);
            *tally = more.to_le_bytes();
        }
    });
}
