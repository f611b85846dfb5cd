//! Addresses, virtual and physical, that cannot be mixed up.
//!
//! Any number is allowed in either: what a broken table holds is often no valid address,
//! and it must still be possible to carry it around and print it. Whether a virtual address
//! is canonical is a question for [`Paging::is_canonical`](crate::Paging::is_canonical).

use core::fmt;

/// A virtual (linear) address, in bytes. Any number, canonical or not.
///
/// Displayed with all sixteen hexadecimal digits, in fours: `0x0000_0000_0040_0123`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct VirtAddr(pub u64);

/// A physical address, in bytes. Any number, whatever the width of the machine.
///
/// Displayed with twelve hexadecimal digits, in fours: `0x0000_0007_3123`; with sixteen
/// where twelve are not enough.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct PhysAddr(pub u64);

impl VirtAddr {
    /// The address `bytes` further up, or `None` past the end of the 64-bit space.
    pub const fn checked_add(self, bytes: u64) -> Option<Self> {
        match self.0.checked_add(bytes) {
            Some(sum) => Some(Self(sum)),
            None => None,
        }
    }
}

impl PhysAddr {
    /// The address `bytes` further up, or `None` past the end of the 64-bit space.
    pub const fn checked_add(self, bytes: u64) -> Option<Self> {
        match self.0.checked_add(bytes) {
            Some(sum) => Some(Self(sum)),
            None => None,
        }
    }
}

/// The 16-bit groups of `number`, the highest first.
const fn fours(number: u64) -> [u64; 4] {
    [
        number >> 48,
        number >> 32 & 0xffff,
        number >> 16 & 0xffff,
        number & 0xffff,
    ]
}

impl fmt::Display for VirtAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d] = fours(self.0);
        write!(f, "0x{a:04x}_{b:04x}_{c:04x}_{d:04x}")
    }
}

impl fmt::Display for PhysAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d] = fours(self.0);
        if a != 0 {
            return write!(f, "0x{a:04x}_{b:04x}_{c:04x}_{d:04x}");
        }
        write!(f, "0x{b:04x}_{c:04x}_{d:04x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn virtual_addresses_have_sixteen_digits() {
        assert_eq!(VirtAddr(0x40_0123).to_string(), "0x0000_0000_0040_0123");
        assert_eq!(VirtAddr(u64::MAX).to_string(), "0xffff_ffff_ffff_ffff");
    }

    #[test]
    fn physical_addresses_have_twelve_digits_until_they_need_more() {
        assert_eq!(PhysAddr(0x7_3123).to_string(), "0x0000_0007_3123");
        assert_eq!(PhysAddr((1 << 48) - 1).to_string(), "0xffff_ffff_ffff");
        assert_eq!(PhysAddr(1 << 48).to_string(), "0x0001_0000_0000_0000");
    }

    #[test]
    fn adding_past_the_end_is_no_address() {
        assert_eq!(VirtAddr(u64::MAX).checked_add(1), None);
        assert_eq!(
            PhysAddr(u64::MAX - 1).checked_add(1),
            Some(PhysAddr(u64::MAX))
        );
    }
}
