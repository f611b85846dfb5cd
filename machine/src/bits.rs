//! The names of the bits in control registers, flags and error codes.
//!
//! [`CR0`] and its like are tables; `CR0.names(value)` prints what is set.

use core::fmt;

mod tables;

pub use tables::{CR0, CR3, CR3_PCID, CR4, EFER, PAGE_FAULT, RFLAGS};

/// A bit, or a few bits together, that have a name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BitField {
    /// The place of the lowest bit, 0..64.
    pub shift: u8,
    /// How many bits there are, mostly 1.
    pub width: u8,
    /// The name in the manual, in upper case.
    pub name: &'static str,
    /// What it does when set, or what the number says.
    pub meaning: &'static str,
}

impl BitField {
    /// All its bits, in their places.
    pub const fn mask(&self) -> u64 {
        let ones = match 1u64.checked_shl(self.width as u32) {
            Some(limit) => limit - 1,
            None => u64::MAX,
        };
        match ones.checked_shl(self.shift as u32) {
            Some(mask) => mask,
            None => 0,
        }
    }

    /// The number it holds in `value`: 0 or 1 where it is one bit wide.
    pub const fn of(&self, value: u64) -> u64 {
        match (value & self.mask()).checked_shr(self.shift as u32) {
            Some(number) => number,
            None => 0,
        }
    }
}

/// The named bits of one register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BitTable {
    /// The name of the register, in lower case.
    pub register: &'static str,
    /// The named bits, the lowest first.
    pub fields: &'static [BitField],
    /// Bits that say nothing: always set, or part of something else. They are not shown.
    pub silent: u64,
}

impl BitTable {
    /// The field with this name, in upper or lower case.
    pub fn find(&self, name: &str) -> Option<&'static BitField> {
        self.fields
            .iter()
            .find(|field| field.name.eq_ignore_ascii_case(name))
    }

    /// `value` as the names of what is set in it.
    pub const fn names(&self, value: u64) -> BitNames {
        BitNames {
            table: *self,
            value,
        }
    }
}

/// A value, shown as the names of its set bits, the lowest first: `PE MP ET NE WP AM PG`.
/// Wider fields show their number, `IOPL=3`, unless it is 0. Set bits that have no name come
/// last, as one hexadecimal number. With nothing to show it is empty.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BitNames {
    /// What names the bits.
    pub table: BitTable,
    /// The value of the register.
    pub value: u64,
}

impl BitNames {
    /// The set bits that have no name.
    pub fn unknown(&self) -> u64 {
        let named = self
            .table
            .fields
            .iter()
            .fold(0, |mask, field| mask | field.mask());
        self.value & !named & !self.table.silent
    }
}

impl fmt::Display for BitNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut gap = "";
        for field in self.table.fields {
            match (field.of(self.value), field.width) {
                (0, _) => continue,
                (_, 1) => write!(f, "{gap}{}", field.name)?,
                (number, _) => write!(f, "{gap}{}={number}", field.name)?,
            }
            gap = " ";
        }
        match self.unknown() {
            0 => Ok(()),
            bits => write!(f, "{gap}{bits:#x}"),
        }
    }
}

/// The table of the register with this name, in lower case: `cr0`, `cr3`, `cr4`, `efer` or
/// `rflags`.
pub fn table(register: &str) -> Option<&'static BitTable> {
    [&CR0, &CR3, &CR4, &EFER, &RFLAGS]
        .into_iter()
        .find(|table| table.register == register)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn set_bits_are_named_the_lowest_first() {
        assert_eq!(CR0.names(0x8005_0033).to_string(), "PE MP ET NE WP AM PG");
        assert_eq!(EFER.names(0xd01).to_string(), "SCE LME LMA NXE");
        // CR4 of a kernel with SSE, UMIP, SMEP and SMAP.
        let names = CR4.names(0x30_0e68 | 1 << 7).to_string();
        assert_eq!(names, "DE PAE MCE PGE OSFXSR OSXMMEXCPT UMIP SMEP SMAP");
    }

    // SDM volume 3A, "Page-Fault Error Code": a user-mode write to a page that is present.
    #[test]
    fn a_page_fault_says_what_was_tried() {
        assert_eq!(PAGE_FAULT.names(0b111).to_string(), "P W/R U/S");
        assert_eq!(PAGE_FAULT.names(0b1_1001).to_string(), "P RSVD I/D");
        assert_eq!(PAGE_FAULT.names(0).to_string(), "");
    }

    #[test]
    fn a_wider_field_shows_its_number() {
        assert_eq!(RFLAGS.names(0x3246).to_string(), "PF ZF IF IOPL=3");
        assert_eq!(RFLAGS.names(0x0002).to_string(), "", "bit 1 is always set");
        assert_eq!(CR3_PCID.names(0x1234_5fff).to_string(), "PCID=4095");
    }

    #[test]
    fn unknown_bits_are_shown_and_not_dropped() {
        assert_eq!(
            EFER.names(1 << 63 | 1 << 9 | 1).to_string(),
            "SCE 0x8000000000000200"
        );
        assert_eq!(CR0.names(1 << 6).to_string(), "0x40");
        assert_eq!(CR3.names(0x1018).to_string(), "PWT PCD");
    }

    #[test]
    fn a_bit_can_be_asked_for_by_name() {
        let smap = CR4.find("smap").unwrap();
        assert_eq!((smap.of(1 << 21), smap.of(!(1 << 21))), (1, 0));
        let iopl = RFLAGS.find("IOPL").unwrap();
        assert_eq!((iopl.of(0x3000), iopl.mask()), (3, 0x3000));
        assert_eq!(CR4.find("sma"), None);
        assert_eq!(table("cr0"), Some(&CR0));
        assert_eq!(table("cr1"), None);
    }

    #[test]
    fn no_two_names_share_a_bit_and_none_is_given_twice() {
        for table in [CR0, CR3, CR3_PCID, CR4, EFER, RFLAGS, PAGE_FAULT] {
            let mut seen = table.silent;
            for field in table.fields {
                assert_eq!(seen & field.mask(), 0, "{} {}", table.register, field.name);
                assert!(
                    field.mask() > seen & !table.silent,
                    "in order: {}",
                    field.name
                );
                assert_eq!(table.find(field.name), Some(field));
                seen |= field.mask();
            }
        }
    }

    #[test]
    fn a_field_past_the_end_is_empty() {
        let odd = BitField {
            shift: 64,
            width: 200,
            name: "",
            meaning: "",
        };
        assert_eq!((odd.mask(), odd.of(u64::MAX)), (0, 0));
    }
}
