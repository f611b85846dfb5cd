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

impl VirtError {
    /// What is said of the address, without the address: `is not mapped: PDPT entry not
    /// present`, and the like.
    pub fn predicate(&self) -> impl fmt::Display + '_ {
        Predicate(self)
    }
}

impl fmt::Display for VirtError {
    /// `0x0000_0080_0000_0000 is not mapped: PDPT entry not present`, and the like.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.at, self.predicate())
    }
}

struct Predicate<'a>(&'a VirtError);

impl fmt::Display for Predicate<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let VirtError { why, memory, .. } = self.0;
        if let Some(memory) = memory {
            return write!(f, "is mapped but cannot be read: {memory}");
        }
        match why {
            End::Mapped { .. } => write!(f, "is mapped"),
            End::Absent { .. } => write!(f, "is not mapped: {why}"),
            End::Reserved { .. } => write!(f, "is not usable: {why}"),
            End::Unreadable { .. } => write!(f, "is unknown: {why}"),
            End::NonCanonical => write!(f, "is not canonical"),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Level, PageSize, Simulated};
    use std::string::ToString;

    const BASE: VirtAddr = VirtAddr(0x40_0000);

    /// Two neighbouring pages that are not neighbours physically, the second the lower one.
    fn machine() -> Simulated {
        let mut machine = Simulated::new(Paging::four_level(40), PhysAddr(0x1000));
        machine.map(BASE, PhysAddr(0x9_0000), PageSize::Size4K, 0);
        machine.map(
            VirtAddr(BASE.0 + 0x1000),
            PhysAddr(0x8_0000),
            PageSize::Size4K,
            0,
        );
        machine.write(PhysAddr(0x9_0ffc), b"over");
        machine.write(PhysAddr(0x8_0000), b"flow");
        machine
    }

    fn read(machine: &mut Simulated, va: u64, buf: &mut [u8]) -> Result<(), VirtError> {
        let (paging, root) = (machine.paging, machine.root());
        read_virt(machine, &paging, root, VirtAddr(va), buf)
    }

    #[test]
    fn a_read_goes_on_where_the_next_page_is() {
        let mut bytes = [0; 8];
        assert_eq!(read(&mut machine(), BASE.0 + 0xffc, &mut bytes), Ok(()));
        assert_eq!(&bytes, b"overflow");
    }

    #[test]
    fn what_comes_before_the_bad_address_is_read() {
        let mut bytes = [0xee; 0x1008];
        let error = read(&mut machine(), BASE.0 + 0x1000, &mut bytes).unwrap_err();
        assert_eq!(
            error.to_string(),
            "0x0000_0000_0040_2000 is not mapped: PT entry not present"
        );
        assert_eq!(error.why, End::Absent { level: Level::Pt });
        assert_eq!(
            (&bytes[..4], bytes[0xfff], bytes[0x1000]),
            (&b"flow"[..], 0, 0xee)
        );
    }

    #[test]
    fn a_device_is_mapped_and_not_read() {
        let mut machine = machine();
        machine.add_device(PhysAddr(0x8_0000), 0x1000);
        let error = read(&mut machine, BASE.0 + 0xffe, &mut [0; 4]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "0x0000_0000_0040_1000 is mapped but cannot be read: \
             0x0000_0008_0000 is device memory; not read"
        );
        assert!(matches!(error.why, End::Mapped { .. }));
    }

    #[test]
    fn a_hole_in_a_large_page_is_found_at_its_frame() {
        let mut machine = Simulated::new(Paging::four_level(40), PhysAddr(0x1000));
        machine.map(VirtAddr(0), PhysAddr(0x20_0000), PageSize::Size2M, 0);
        machine.add_ram(PhysAddr(0x20_0000), 0x2000);
        let error = read(&mut machine, 0x800, &mut [0; 0x4000]).unwrap_err();
        assert_eq!(error.at, VirtAddr(0x2000));
        assert_eq!(
            error.memory,
            Some(ReadError::NoMemory {
                at: PhysAddr(0x20_2000)
            })
        );
    }

    #[test]
    fn unknown_is_not_unmapped() {
        let mut machine = Simulated::new(Paging::four_level(40), PhysAddr(0x1000));
        machine.write_u64(PhysAddr(0x1008), 0x9_9007);
        let error = read(&mut machine, 1 << 39, &mut [0]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "0x0000_0080_0000_0000 is unknown: PDPT entry unreadable, no memory at 0x0000_0009_9000"
        );
        let error = read(&mut machine, 1 << 47, &mut [0]).unwrap_err();
        assert_eq!(error.to_string(), "0x0000_8000_0000_0000 is not canonical");
    }

    #[test]
    fn after_the_last_address_comes_the_first() {
        let mut machine = machine();
        machine.map(
            VirtAddr(0xffff_ffff_ffff_f000),
            PhysAddr(0x9_0000),
            PageSize::Size4K,
            0,
        );
        machine.map(VirtAddr(0), PhysAddr(0x8_0000), PageSize::Size4K, 0);
        let mut bytes = [0; 8];
        assert_eq!(
            read(&mut machine, 0xffff_ffff_ffff_fffc, &mut bytes),
            Ok(())
        );
        assert_eq!(&bytes, b"overflow");
    }

    #[test]
    fn reading_nothing_asks_nothing() {
        let mut machine = machine();
        assert_eq!(read(&mut machine, 1 << 47, &mut []), Ok(()));
        assert_eq!(machine.reads, 0);
    }
}
