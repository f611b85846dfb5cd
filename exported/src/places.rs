//! Places for stacks: where each is, and which one an address is in.

use crate::{Places, Stack};

const PAGE: u64 = 4096;

impl Places {
    /// The stack in the place with this number; `None` from the end of the region on.
    pub fn stack(&self, number: u64) -> Option<Stack> {
        if number >= self.count {
            return None;
        }
        let start = self.base.checked_add(number.checked_mul(self.stride)?)?;
        let bottom = start.checked_add(PAGE)?;
        let top = bottom.checked_add(self.bytes)?;
        Some(Stack { bottom, top })
    }

    /// The number of the place that an address is in, and whether it is in the page below the stack.
    pub fn find(&self, address: u64) -> Option<(u64, bool)> {
        let offset = address.checked_sub(self.base)?;
        let number = offset.checked_div(self.stride)?;
        let inside = offset.checked_rem(self.stride)?;
        (number < self.count).then_some((number, inside < PAGE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_is_above_its_guard_page() {
        let places = Places {
            base: 0x10_0000,
            stride: 0x3000,
            bytes: 0x2000,
            count: 2,
        };
        let second = Stack {
            bottom: 0x10_4000,
            top: 0x10_6000,
        };
        assert_eq!(places.stack(1), Some(second));
        assert_eq!(places.stack(2), None);
        for (address, found) in [
            (0xf_ffff, None),
            (0x10_0000, Some((0, true))),
            (0x10_0fff, Some((0, true))),
            (0x10_1000, Some((0, false))),
            (0x10_5fff, Some((1, false))),
            (0x10_6000, None),
        ] {
            assert_eq!(places.find(address), found, "{address:#x}");
        }
        let none = Places {
            stride: 0,
            ..places
        };
        assert_eq!(none.find(0x10_0000), None);
    }
}
