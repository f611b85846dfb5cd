//! Reading physical memory: the one thing everything else here is built on.

use core::fmt;

use crate::PhysAddr;

/// A machine whose physical memory can be read.
///
/// There is no way to write, so whoever holds one only looks.
pub trait PhysMemory {
    /// Fills `buf` with the bytes from `at` on.
    ///
    /// # Errors
    ///
    /// A read that cannot be done in full is an error that says why; it is never answered
    /// with zeros. What `buf` holds then is not defined. A range that runs past the end of
    /// the 64-bit space has no memory.
    fn read(&mut self, at: PhysAddr, buf: &mut [u8]) -> Result<(), ReadError>;

    /// The eight bytes at `at` as a little-endian number.
    ///
    /// # Errors
    ///
    /// Those of [`read`](Self::read).
    fn read_u64(&mut self, at: PhysAddr) -> Result<u64, ReadError> {
        let mut bytes = [0; 8];
        self.read(at, &mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }
}

/// Why physical memory could not be read. It says nothing about what is there.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ReadError {
    /// No memory is known at the address.
    NoMemory {
        /// The first address that could not be read.
        at: PhysAddr,
    },
    /// A device answers at the address, and reading it might do something.
    Device {
        /// The first address that was not read.
        at: PhysAddr,
    },
    /// The machine does not answer any more.
    Lost,
}

impl ReadError {
    /// Whether both failed in the same way, whatever the address.
    pub(crate) const fn is_like(self, other: ReadError) -> bool {
        matches!(
            (self, other),
            (ReadError::NoMemory { .. }, ReadError::NoMemory { .. })
                | (ReadError::Device { .. }, ReadError::Device { .. })
                | (ReadError::Lost, ReadError::Lost)
        )
    }
}

/// Whether the machine has stopped answering. Once lost is lost: asking thousands of times more
/// could take a time-out each.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lost(bool);

impl Lost {
    /// Reads, unless it is lost.
    pub(crate) fn or(
        &mut self,
        read: impl FnOnce() -> Result<u64, ReadError>,
    ) -> Result<u64, ReadError> {
        let read = if self.0 { Err(ReadError::Lost) } else { read() };
        self.0 = read == Err(ReadError::Lost);
        read
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::NoMemory { at } => write!(f, "no memory at {at}"),
            ReadError::Device { at } => write!(f, "{at} is device memory; not read"),
            ReadError::Lost => write!(f, "lost the connection to the machine"),
        }
    }
}

impl core::error::Error for ReadError {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    struct Counting;

    impl PhysMemory for Counting {
        fn read(&mut self, at: PhysAddr, buf: &mut [u8]) -> Result<(), ReadError> {
            if at.0 > 0xff {
                return Err(ReadError::NoMemory { at });
            }
            for (byte, value) in buf.iter_mut().zip(at.0 as u8..) {
                *byte = value;
            }
            Ok(())
        }
    }

    #[test]
    fn the_first_byte_is_the_lowest() {
        assert_eq!(Counting.read_u64(PhysAddr(0x10)), Ok(0x1716_1514_1312_1110));
    }

    #[test]
    fn an_error_names_the_address() {
        let error = Counting.read_u64(PhysAddr(0x9_9000)).unwrap_err();
        assert_eq!(error.to_string(), "no memory at 0x0000_0009_9000");
        let error = ReadError::Device {
            at: PhysAddr(0xfee0_0000),
        };
        assert_eq!(
            error.to_string(),
            "0x0000_fee0_0000 is device memory; not read"
        );
        assert_eq!(
            ReadError::Lost.to_string(),
            "lost the connection to the machine"
        );
    }
}
