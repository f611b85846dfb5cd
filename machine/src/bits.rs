//! The names of the bits in control registers, flags and error codes.
//!
//! Names are the manual's: Intel SDM volume 3A, "Control Registers", "Extended Feature Enable
//! Register", "System Flags and Fields in the EFLAGS Register" and "Interrupt 14 - Page-Fault
//! Exception (#PF)"; those only AMD has, from APM volume 2, say so.

use core::fmt;

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

const fn bit(shift: u8, name: &'static str, meaning: &'static str) -> BitField {
    BitField {
        shift,
        width: 1,
        name,
        meaning,
    }
}

const fn field(shift: u8, width: u8, name: &'static str, meaning: &'static str) -> BitField {
    BitField {
        shift,
        width,
        name,
        meaning,
    }
}

/// The table of the register with this name, in lower case: `cr0`, `cr3`, `cr4`, `efer` or
/// `rflags`.
pub fn table(register: &str) -> Option<&'static BitTable> {
    [&CR0, &CR3, &CR4, &EFER, &RFLAGS]
        .into_iter()
        .find(|table| table.register == register)
}

/// Control register 0.
pub static CR0: BitTable = BitTable {
    register: "cr0",
    silent: 0,
    fields: &[
        bit(0, "PE", "protected mode"),
        bit(1, "MP", "WAIT traps when TS is set"),
        bit(2, "EM", "x87 instructions trap"),
        bit(3, "TS", "the next x87 or SSE instruction traps"),
        bit(4, "ET", "always set"),
        bit(5, "NE", "x87 errors raise #MF"),
        bit(16, "WP", "the supervisor may not write read-only pages"),
        bit(18, "AM", "alignment checks for user code with RFLAGS.AC"),
        bit(29, "NW", "not write-through"),
        bit(30, "CD", "caching is off"),
        bit(31, "PG", "paging"),
    ],
};

/// The flags in control register 3, with CR4.PCIDE clear. The address in it is not shown.
pub static CR3: BitTable = BitTable {
    register: "cr3",
    silent: ((1 << 52) - 1) & !0xfff,
    fields: &[
        bit(3, "PWT", "the lowest PAT index bit for the top table"),
        bit(4, "PCD", "the middle PAT index bit for the top table"),
        bit(61, "LAM_U57", "bits 62:57 of user addresses are ignored"),
        bit(62, "LAM_U48", "bits 62:48 of user addresses are ignored"),
    ],
};

/// The low twelve bits and flags of control register 3, with CR4.PCIDE set.
pub static CR3_PCID: BitTable = BitTable {
    register: "cr3",
    silent: ((1 << 52) - 1) & !0xfff,
    fields: &[
        field(0, 12, "PCID", "the process-context identifier"),
        bit(61, "LAM_U57", "bits 62:57 of user addresses are ignored"),
        bit(62, "LAM_U48", "bits 62:48 of user addresses are ignored"),
    ],
};

/// Control register 4.
pub static CR4: BitTable = BitTable {
    register: "cr4",
    silent: 0,
    fields: &[
        bit(0, "VME", "virtual-8086 mode extensions"),
        bit(1, "PVI", "protected-mode virtual interrupts"),
        bit(2, "TSD", "RDTSC is for the supervisor only"),
        bit(3, "DE", "debugging extensions"),
        bit(4, "PSE", "large pages with 32-bit paging"),
        bit(5, "PAE", "64-bit entries; needed for long mode"),
        bit(6, "MCE", "machine checks raise #MC"),
        bit(7, "PGE", "global pages"),
        bit(8, "PCE", "RDPMC at any privilege level"),
        bit(9, "OSFXSR", "SSE is in use"),
        bit(10, "OSXMMEXCPT", "SSE errors raise #XM"),
        bit(
            11,
            "UMIP",
            "user code may not run SGDT, SIDT, SLDT, SMSW or STR",
        ),
        bit(12, "LA57", "five levels of paging"),
        bit(13, "VMXE", "VMX"),
        bit(14, "SMXE", "SMX"),
        bit(
            16,
            "FSGSBASE",
            "RDFSBASE and its like at any privilege level",
        ),
        bit(17, "PCIDE", "process-context identifiers"),
        bit(18, "OSXSAVE", "XSAVE and XCR0 are in use"),
        bit(19, "KL", "key locker"),
        bit(20, "SMEP", "the supervisor may not run code in user pages"),
        bit(
            21,
            "SMAP",
            "the supervisor may not touch user pages while RFLAGS.AC is clear",
        ),
        bit(22, "PKE", "protection keys for user pages"),
        bit(23, "CET", "control-flow enforcement"),
        bit(24, "PKS", "protection keys for supervisor pages"),
        bit(25, "UINTR", "user interrupts"),
        bit(
            27,
            "LASS",
            "user and supervisor may not touch each other's half",
        ),
        bit(
            28,
            "LAM_SUP",
            "upper bits of supervisor addresses are ignored",
        ),
        bit(32, "FRED", "flexible return and event delivery"),
    ],
};

/// IA32_EFER. From SVME on, AMD's.
pub static EFER: BitTable = BitTable {
    register: "efer",
    silent: 0,
    fields: &[
        bit(0, "SCE", "SYSCALL and SYSRET"),
        bit(8, "LME", "long mode once paging is on"),
        bit(10, "LMA", "long mode is active"),
        bit(11, "NXE", "bit 63 of an entry forbids instruction fetches"),
        bit(12, "SVME", "SVM"),
        bit(13, "LMSLE", "segment limits in long mode"),
        bit(14, "FFXSR", "fast FXSAVE and FXRSTOR"),
        bit(15, "TCE", "INVLPG keeps unrelated upper-level translations"),
        bit(17, "MCOMMIT", "the MCOMMIT instruction"),
        bit(18, "INTWB", "WBINVD can be interrupted"),
        bit(20, "UAIE", "upper address bits are ignored"),
        bit(21, "AIBRSE", "automatic IBRS"),
    ],
};

/// The flags register. Bit 1 is always set and not shown.
pub static RFLAGS: BitTable = BitTable {
    register: "rflags",
    silent: 1 << 1,
    fields: &[
        bit(0, "CF", "carry"),
        bit(2, "PF", "parity"),
        bit(4, "AF", "auxiliary carry"),
        bit(6, "ZF", "zero"),
        bit(7, "SF", "sign"),
        bit(8, "TF", "trap after each instruction"),
        bit(9, "IF", "interrupts are enabled"),
        bit(10, "DF", "string instructions go down"),
        bit(11, "OF", "overflow"),
        field(12, 2, "IOPL", "the least privilege that may do I/O"),
        bit(14, "NT", "nested task; IRETQ raises #GP"),
        bit(
            16,
            "RF",
            "no instruction breakpoint on the next instruction",
        ),
        bit(17, "VM", "virtual-8086 mode"),
        bit(
            18,
            "AC",
            "alignment checks; for the supervisor, SMAP is suspended",
        ),
        bit(19, "VIF", "virtual interrupt flag"),
        bit(20, "VIP", "a virtual interrupt is pending"),
        bit(21, "ID", "CPUID can be tested for"),
    ],
};

/// The error code of a page fault. RMP is AMD's.
pub static PAGE_FAULT: BitTable = BitTable {
    register: "error code",
    silent: 0,
    fields: &[
        bit(0, "P", "the page was present; clear: it was not"),
        bit(1, "W/R", "it was a write; clear: a read or a fetch"),
        bit(
            2,
            "U/S",
            "it was a user-mode access; clear: the supervisor's",
        ),
        bit(3, "RSVD", "an entry has reserved bits set"),
        bit(4, "I/D", "it was an instruction fetch"),
        bit(5, "PK", "a protection key forbids it"),
        bit(6, "SS", "it was a shadow-stack access"),
        bit(7, "HLAT", "HLAT paging found no translation"),
        bit(15, "SGX", "SGX forbids it"),
        bit(31, "RMP", "the reverse map table forbids it"),
    ],
};

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
