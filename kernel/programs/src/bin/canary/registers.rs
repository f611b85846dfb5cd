//! A process's registers as a value: made up, compared, named.

use core::fmt;

use crate::pattern::Random;

/// What FXSAVE stores; the assembly and the fields below agree on the order.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub(crate) struct Registers {
    pub(crate) fx: [u8; 512],
    pub(crate) general: [u64; 16],
    pub(crate) flags: u64,
    pub(crate) fs: u64,
    pub(crate) gs: u64,
}

const NAMES: [&str; 16] = [
    "RAX", "RBX", "RCX", "RDX", "RSI", "RDI", "RBP", "RSP", "R8", "R9", "R10", "R11", "R12", "R13",
    "R14", "R15",
];
pub(crate) const RAX: usize = 0;
pub(crate) const RCX: usize = 2;
pub(crate) const RDI: usize = 5;
pub(crate) const R11: usize = 11;

/// CF, PF, AF, ZF, SF, DF, OF, AC, ID: those a program may set and that change nothing for `mov`.
const FLAGS: u64 = 0x8d5 | 1 << 10 | 1 << 18 | 1 << 21;
/// IF, and the bit that is always set.
const FIXED_FLAGS: u64 = 0x202;
/// Below 2^47, as bases must be in every mode of paging.
const LOWER_HALF: u64 = (1 << 47) - 1;

/// The parts of an FXSAVE image that a program put there: name, first byte, bytes, how many of
/// them, and from one to the next.
const PARTS: [(&str, usize, usize, usize, usize); 6] = [
    ("FCW", 0, 2, 1, 0),
    ("FSW", 2, 2, 1, 0),
    ("FTW", 4, 1, 1, 0),
    ("MXCSR", 24, 4, 1, 0),
    ("ST", 32, 10, 8, 16),
    ("XMM", 160, 16, 16, 16),
];

impl Registers {
    pub(crate) const ZERO: Self = Self {
        fx: [0; 512],
        general: [0; 16],
        flags: FIXED_FLAGS,
        fs: 0,
        gs: 0,
    };

    pub(crate) fn patterned(random: &mut Random, has_bases: bool) -> Self {
        let mut all = Self::ZERO;
        for slot in &mut all.general {
            *slot = random.next();
        }
        all.flags = FIXED_FLAGS | random.next() & FLAGS;
        if has_bases {
            all.fs = random.next() & LOWER_HALF;
            all.gs = random.next() & LOWER_HALF;
        }
        for slot in all.fx[32..416].chunks_exact_mut(8) {
            slot.copy_from_slice(&random.next().to_le_bytes());
        }
        // Control words: every exception masked, no bit that must not be set.
        let fcw = 0x7f | random.next() as u16 & 0x0f00;
        let fsw = random.next() as u16 & 0x7f00;
        let mxcsr = 0x1f80 | random.next() as u32 & 0xe03f;
        all.fx[0..2].copy_from_slice(&fcw.to_le_bytes());
        all.fx[2..4].copy_from_slice(&fsw.to_le_bytes());
        all.fx[4] = random.next() as u8;
        all.fx[24..28].copy_from_slice(&mxcsr.to_le_bytes());
        all
    }

    /// The first register that is not the same in `after`.
    pub(crate) fn difference(&self, after: &Self, has_bases: bool) -> Option<Difference> {
        let named = NAMES.iter().zip(self.general).zip(after.general);
        for ((name, was), is) in named {
            if was != is {
                return Some(Difference::new(name, was, is));
            }
        }
        if self.flags != after.flags {
            return Some(Difference::new("RFLAGS", self.flags, after.flags));
        }
        if has_bases && self.fs != after.fs {
            return Some(Difference::new("FS base", self.fs, after.fs));
        }
        if has_bases && self.gs != after.gs {
            return Some(Difference::new("GS base", self.gs, after.gs));
        }
        self.difference_in_fx(after)
    }

    fn difference_in_fx(&self, after: &Self) -> Option<Difference> {
        for (name, first, bytes, count, stride) in PARTS {
            for number in 0..count {
                let from = first + number * stride;
                let (was, is) = (&self.fx[from..from + bytes], &after.fx[from..from + bytes]);
                if was != is {
                    // The eight bytes with the difference in them.
                    let offset = was.iter().zip(is).position(|(was, is)| was != is)? & !7;
                    return Some(Difference {
                        name,
                        number: (count > 1).then_some(number),
                        was: little_endian(&was[offset..]),
                        is: little_endian(&is[offset..]),
                    });
                }
            }
        }
        None
    }
}

fn little_endian(bytes: &[u8]) -> u64 {
    let low = bytes.iter().take(8).rev();
    low.fold(0, |value, byte| value << 8 | u64::from(*byte))
}

/// A register that changed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Difference {
    name: &'static str,
    number: Option<usize>,
    was: u64,
    is: u64,
}

impl Difference {
    fn new(name: &'static str, was: u64, is: u64) -> Self {
        Self {
            name,
            number: None,
            was,
            is,
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)?;
        if let Some(number) = self.number {
            write!(f, "{number}")?;
        }
        write!(f, " was {:#018x}, is {:#018x}", self.was, self.is)
    }
}
