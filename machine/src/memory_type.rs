//! Memory types as the page tables choose them, through the PAT.
//!
//! An entry's PWT, PCD and PAT bits choose one of eight fields of the IA32_PAT register, and
//! the field names the type: Intel SDM volume 3A, "Page Attribute Table (PAT)" and "Paging
//! and Memory Typing". The MTRRs and CR0.CD have a say too and are not considered here.

use core::fmt;

/// How the CPU may cache what is mapped.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum MemoryType {
    /// Strong uncacheable.
    UC,
    /// Write combining.
    WC,
    /// Write through.
    WT,
    /// Write protected.
    WP,
    /// Write back.
    WB,
    /// Uncacheable, unless an MTRR says write combining.
    UCMinus,
    /// The PAT field holds an encoding the manual reserves.
    Invalid,
}

impl MemoryType {
    /// The value of IA32_PAT after power-up or reset: WB, WT, UC-, UC, twice over.
    pub const POWER_ON_PAT: u64 = 0x0007_0406_0007_0406;

    /// The type that field `index` (0..8) of the IA32_PAT value `pat` names. An index past 7
    /// names nothing: `Invalid`.
    pub const fn from_pat(pat: u64, index: u8) -> MemoryType {
        if index > 7 {
            return MemoryType::Invalid;
        }
        // The encoding has three bits; the five above it in each field are reserved, too.
        match pat >> (8 * index as u32) & 0xff {
            0 => MemoryType::UC,
            1 => MemoryType::WC,
            4 => MemoryType::WT,
            5 => MemoryType::WP,
            6 => MemoryType::WB,
            7 => MemoryType::UCMinus,
            _ => MemoryType::Invalid,
        }
    }
}

impl fmt::Display for MemoryType {
    /// `UC`, `WC`, `WT`, `WP`, `WB`, `UC-`, or `??`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            MemoryType::UC => "UC",
            MemoryType::WC => "WC",
            MemoryType::WT => "WT",
            MemoryType::WP => "WP",
            MemoryType::WB => "WB",
            MemoryType::UCMinus => "UC-",
            MemoryType::Invalid => "??",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::MemoryType::*;
    use super::*;

    // SDM volume 3A, "Memory Type Setting of PAT Entries Following a Power-up or Reset".
    #[test]
    fn the_power_on_pat_repeats_the_types_from_before_there_was_one() {
        let types: [MemoryType; 8] = core::array::from_fn(|index| {
            MemoryType::from_pat(MemoryType::POWER_ON_PAT, index as u8)
        });
        assert_eq!(types, [WB, WT, UCMinus, UC, WB, WT, UCMinus, UC]);
    }

    // SDM volume 3A, "Memory Types That Can Be Encoded With PAT".
    #[test]
    fn reserved_encodings_are_no_type() {
        let expected = [UC, WC, Invalid, Invalid, WT, WP, WB, UCMinus];
        for field in 0..=255u64 {
            let expected = expected.get(field as usize).copied().unwrap_or(Invalid);
            assert_eq!(MemoryType::from_pat(field << 40, 5), expected, "{field:#x}");
        }
    }

    #[test]
    fn there_is_no_ninth_field() {
        assert_eq!(MemoryType::from_pat(0, 8), Invalid);
        assert_eq!(MemoryType::from_pat(0, 255), Invalid);
    }
}
