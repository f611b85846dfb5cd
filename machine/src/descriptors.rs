//! Selectors, the gates of the IDT, and the 64-bit task state segment.
//!
//! Intel SDM volume 3A, "Segment Selectors", "64-Bit Mode IDT" and "Task Management in
//! 64-bit Mode". The entries of the GDT are in `segments.rs`.

use core::fmt;

use crate::VirtAddr;

/// What a segment register, or a gate, names a segment by.
///
/// Displayed with what it means: `0x0008 gdt[1] rpl 0`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Selector(pub u16);

impl Selector {
    /// Which entry of the table, counted in 8 bytes; 0..8192.
    pub const fn index(self) -> u16 {
        self.0 >> 3
    }

    /// The requested privilege level, 0..4.
    pub const fn rpl(self) -> u8 {
        (self.0 & 0b11) as u8
    }

    /// Whether it is the LDT that is meant (TI), not the GDT.
    pub const fn is_local(self) -> bool {
        self.0 & 0b100 != 0
    }

    /// Whether it names no segment: entry 0 of the GDT, with any RPL.
    pub const fn is_null(self) -> bool {
        self.0 & !0b11 == 0
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let table = if self.is_local() { "ldt" } else { "gdt" };
        write!(
            f,
            "0x{:04x} {table}[{}] rpl {}",
            self.0,
            self.index(),
            self.rpl()
        )
    }
}

/// An entry of the IDT, 16 bytes. Every value decodes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Gate {
    /// The first 8 bytes, as they were read.
    pub low: u64,
    /// The other 8 bytes.
    pub high: u64,
    /// Where the handler is.
    pub offset: VirtAddr,
    /// The code segment it runs in.
    pub selector: Selector,
    /// Which stack of the TSS it gets, 1..8; 0 for none in particular.
    pub ist: u8,
    /// What it is.
    pub kind: GateKind,
    /// The least privilege INT may use it with, 0..4.
    pub dpl: u8,
    /// P.
    pub present: bool,
}

/// What a gate of the IDT is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum GateKind {
    /// IF is cleared on the way in.
    Interrupt,
    /// IF stays as it is.
    Trap,
    /// Nothing an IDT may hold in long mode.
    Reserved {
        /// The S bit and the type, 0..32.
        kind: u8,
    },
}

impl GateKind {
    /// What it is, in a word or two.
    pub const fn name(&self) -> &'static str {
        match self {
            GateKind::Interrupt => "interrupt",
            GateKind::Trap => "trap",
            GateKind::Reserved { .. } => "reserved type",
        }
    }
}

impl Gate {
    /// The size of an entry.
    pub const BYTES: usize = 16;

    /// Decodes the entry of the two little-endian words `low` and `high`.
    pub const fn decode(low: u64, high: u64) -> Gate {
        Gate {
            low,
            high,
            offset: VirtAddr(low & 0xffff | low >> 32 & 0xffff_0000 | high << 32),
            selector: Selector((low >> 16) as u16),
            ist: (low >> 32 & 0b111) as u8,
            kind: match (low >> 40 & 0x1f) as u8 {
                0xe => GateKind::Interrupt,
                0xf => GateKind::Trap,
                kind => GateKind::Reserved { kind },
            },
            dpl: (low >> 45 & 0b11) as u8,
            present: low >> 47 & 1 != 0,
        }
    }
}

/// The 64-bit task state segment: the stacks the CPU switches to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Tss64 {
    /// RSP0, RSP1, RSP2: the stack for an entry to that privilege level.
    pub rsp: [VirtAddr; 3],
    /// IST1 to IST7, the first at 0: the stacks a gate can ask for.
    pub ist: [VirtAddr; 7],
    /// Where the I/O permission bitmap begins, in bytes from the start of the TSS. At or past
    /// the limit there is none, and user code does no I/O.
    pub iomap_base: u16,
}

impl Tss64 {
    /// The size without an I/O permission bitmap.
    pub const BYTES: usize = 104;

    /// Decodes the 104 bytes as they lie in memory. The reserved ones are not looked at.
    pub fn decode(bytes: &[u8; Self::BYTES]) -> Tss64 {
        let word = |at: usize| {
            let bytes = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>());
            VirtAddr(bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes)))
        };
        let [.., low, high] = *bytes;
        Tss64 {
            rsp: core::array::from_fn(|number| word(0x04 + 8 * number)),
            ist: core::array::from_fn(|number| word(0x24 + 8 * number)),
            iomap_base: u16::from_le_bytes([low, high]),
        }
    }

    /// The stack of a gate with this IST field, or `None` for 0 (and above 7).
    pub fn stack(&self, ist: u8) -> Option<VirtAddr> {
        self.ist.get(usize::from(ist).checked_sub(1)?).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn a_selector_is_an_index_a_table_and_a_level() {
        assert_eq!(Selector(0x08).to_string(), "0x0008 gdt[1] rpl 0");
        assert_eq!(Selector(0x1b).to_string(), "0x001b gdt[3] rpl 3");
        assert_eq!(Selector(0xffff).to_string(), "0xffff ldt[8191] rpl 3");
        assert!(Selector(3).is_null() && !Selector(4).is_null() && !Selector(8).is_null());
    }

    // SDM volume 3A, "64-Bit IDT Gate Descriptors": offset 15:0 in bits 15:0, 31:16 in 63:48,
    // 63:32 in the second word; IST in 34:32.
    #[test]
    fn a_gate_has_its_offset_in_three_pieces() {
        let gate = Gate::decode(0x8020_8e02_0008_3210, 0xffff_ffff);
        assert_eq!(gate.offset, VirtAddr(0xffff_ffff_8020_3210));
        assert_eq!((gate.selector, gate.ist, gate.dpl), (Selector(8), 2, 0));
        assert_eq!((gate.kind, gate.present), (GateKind::Interrupt, true));
    }

    #[test]
    fn a_breakpoint_gate_is_open_to_user_code() {
        let gate = Gate::decode(0x0000_ef00_0008_0000, 0);
        assert_eq!((gate.kind, gate.dpl, gate.ist), (GateKind::Trap, 3, 0));
    }

    #[test]
    fn only_two_types_may_stand_in_an_idt() {
        for kind in 0..32u8 {
            let expected = match kind {
                14 => "interrupt",
                15 => "trap",
                _ => "reserved type",
            };
            assert_eq!(
                Gate::decode(u64::from(kind) << 40, 0).kind.name(),
                expected,
                "{kind}"
            );
        }
        assert!(!Gate::decode(0, 0).present);
    }

    // SDM volume 3A, "64-Bit TSS Format".
    #[test]
    fn the_stacks_of_a_tss_are_where_the_manual_has_them() {
        let mut bytes = [0u8; Tss64::BYTES];
        for (number, offset) in [0x04, 0x0c, 0x14, 0x24, 0x2c, 0x34, 0x3c, 0x44, 0x4c, 0x54]
            .into_iter()
            .enumerate()
        {
            bytes[offset] = number as u8 + 1;
            bytes[offset + 7] = 0xff;
        }
        bytes[0x66] = 0x68;
        let tss = Tss64::decode(&bytes);
        let stack = |number: u64| VirtAddr(0xff << 56 | number);
        assert_eq!(tss.rsp, [1, 2, 3].map(stack));
        assert_eq!(tss.ist, [4, 5, 6, 7, 8, 9, 10].map(stack));
        assert_eq!(tss.iomap_base, 104);
        assert_eq!(
            (tss.stack(0), tss.stack(1), tss.stack(7)),
            (None, Some(stack(4)), Some(stack(10)))
        );
        assert_eq!(tss.stack(8), None);
    }
}
