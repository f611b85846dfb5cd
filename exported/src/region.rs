//! Named regions of the kernel's half.

use machine::{PhysAddr, Rights, VirtAddr};
use shell::{FrameOwner, Place};

use crate::Name;
use crate::record::records;

records! {
    /// A named range: [`shell::Region`], and what there should be in it.
    Region {
        /// The first byte.
        first: u64,
        /// The last byte.
        last: u64,
        /// What it is for.
        name: Name,
        /// 1: its rights are known; 2: written, 4: executed, 8: for user code.
        rights: u64,
        /// 256: RAM in order, 257: a device; otherwise the number of a [`FrameOwner`].
        holds: u64,
    }
}

/// What there should be in a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// Frames of this owner.
    Memory(FrameOwner),
    /// All of RAM, in order.
    Physmap,
    /// A device.
    Device,
}

const PHYSMAP: u64 = 256;
const DEVICE: u64 = 257;

impl Holds {
    /// What there should be at an address of such a region.
    pub fn place(self, va: VirtAddr, physmap: u64) -> Place {
        match self {
            Holds::Memory(owner) => Place::Memory(owner),
            Holds::Physmap => Place::Physmap(PhysAddr(va.0.wrapping_sub(physmap))),
            Holds::Device => Place::Device,
        }
    }
}

impl Region {
    /// A region as it is kept.
    pub fn new(region: &shell::Region, holds: Holds) -> Region {
        let bit = |is_set: bool, bit: u64| if is_set { bit } else { 0 };
        Region {
            first: region.first.0,
            last: region.last.0,
            name: Name::new(region.name),
            rights: region.rights.map_or(0, |rights| {
                1 | bit(rights.write, 2) | bit(rights.execute, 4) | bit(rights.user, 8)
            }),
            holds: match holds {
                Holds::Memory(owner) => owner as u64,
                Holds::Physmap => PHYSMAP,
                Holds::Device => DEVICE,
            },
        }
    }

    /// The region, by a name that is kept elsewhere.
    pub fn get(&self, name: &'static str) -> shell::Region {
        shell::Region {
            first: VirtAddr(self.first),
            last: VirtAddr(self.last),
            name,
            rights: (self.rights & 1 != 0).then_some(Rights {
                user: self.rights & 8 != 0,
                write: self.rights & 2 != 0,
                execute: self.rights & 4 != 0,
            }),
        }
    }

    /// What there should be in it; `None` for a number that means nothing.
    pub fn holds(&self) -> Option<Holds> {
        match self.holds {
            PHYSMAP => Some(Holds::Physmap),
            DEVICE => Some(Holds::Device),
            number => {
                let owner = FrameOwner::from_number(u8::try_from(number).ok()?)?;
                Some(Holds::Memory(owner))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_comes_back_as_it_was() {
        let rights = [
            None,
            Some(Rights::NONE),
            Some(Rights {
                write: true,
                ..Rights::NONE
            }),
            Some(Rights {
                execute: true,
                ..Rights::NONE
            }),
        ];
        let holds = [
            Holds::Memory(FrameOwner::Heap),
            Holds::Physmap,
            Holds::Device,
        ];
        for (rights, holds) in rights.into_iter().zip(holds.into_iter().cycle()) {
            let region = shell::Region {
                first: VirtAddr(0x1000),
                last: VirtAddr(0x1fff),
                name: "heap",
                rights,
            };
            let kept = Region::new(&region, holds);
            assert_eq!(kept.get("heap"), region);
            assert_eq!(kept.name.text(), "heap");
            assert_eq!(kept.holds(), Some(holds));
        }
    }
}
