//! Reading virtual memory by walking the tables: never a dereference, so an address that
//! leads nowhere, or into a device, is an answer and not a fault.

use core::fmt;

use crate::{End, Paging, PhysAddr, PhysMemory, ReadError, VirtAddr, walk};

/// Why virtual memory could not be read, and where.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct VirtError {
    /// The first address that could not be read. What lies before it has been.
    pub at: VirtAddr,
    /// Where the walk of that address ended: `Mapped` if the tables are in order and it is
    /// the memory they lead to that could not be read.
    pub why: End,
    /// Why that memory could not be read; `None` if the walk did not get that far.
    pub memory: Option<ReadError>,
}

impl fmt::Display for VirtError {
    /// `0x0000_0080_0000_0000 is not mapped: PDPT entry not present`, and the like.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let VirtError { at, why, .. } = self;
        if let Some(memory) = self.memory {
            return write!(f, "{at} is mapped but cannot be read: {memory}");
        }
        match why {
            End::Mapped { .. } => write!(f, "{at} is mapped"),
            End::Absent { .. } => write!(f, "{at} is not mapped: {why}"),
            End::Reserved { .. } => write!(f, "{at} is not usable: {why}"),
            End::Unreadable { .. } => write!(f, "{at} is unknown: {why}"),
            End::NonCanonical => write!(f, "{at} is not canonical"),
        }
    }
}

impl core::error::Error for VirtError {}

/// Fills `buf` with the bytes from `va` on, as the tables at `root` map them, page by page.
/// Rights are not considered: this is for looking. Like the CPU's, addresses wrap around
/// after the last one.
///
/// # Errors
///
/// The first address that is not mapped, or cannot be read, with the reason. All of `buf`
/// that lies before it has been filled.
pub fn read_virt(
    memory: &mut dyn PhysMemory,
    paging: &Paging,
    root: PhysAddr,
    va: VirtAddr,
    buf: &mut [u8],
) -> Result<(), VirtError> {
    let mut at = va;
    let mut rest = buf;
    while !rest.is_empty() {
        let why = walk(memory, paging, root, at).end();
        let End::Mapped {
            at: physical, size, ..
        } = why
        else {
            return Err(VirtError {
                at,
                why,
                memory: None,
            });
        };
        let left = size.bytes() - (at.0 & (size.bytes() - 1));
        let len = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
        let (now, later) = rest.split_at_mut(len);
        read_page(memory, physical, now).map_err(|(read, error)| VirtError {
            at: VirtAddr(at.0.wrapping_add(read)),
            why,
            memory: Some(error),
        })?;
        at = VirtAddr(at.0.wrapping_add(len as u64));
        rest = later;
    }
    Ok(())
}

/// Reads within one page, in pieces that do not cross a 4 KiB frame, so that the first byte
/// that cannot be read is known at least to its frame. The error says how far it came.
fn read_page(
    memory: &mut dyn PhysMemory,
    at: PhysAddr,
    buf: &mut [u8],
) -> Result<(), (u64, ReadError)> {
    let mut done = 0;
    while done < buf.len() {
        let from = PhysAddr(at.0.wrapping_add(done as u64));
        let left = 0x1000 - (from.0 & 0xfff) as usize;
        let end = buf.len().min(done.saturating_add(left));
        if let Some(piece) = buf.get_mut(done..end) {
            memory
                .read(from, piece)
                .map_err(|error| (done as u64, error))?;
        }
        done = end;
    }
    Ok(())
}
