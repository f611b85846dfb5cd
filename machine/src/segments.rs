//! The entries of the GDT.
//!
//! Intel SDM volume 3A, "Segment Descriptors", "System Descriptor Types" (the column for
//! IA-32e mode) and "TSS Descriptor in 64-bit Mode". Code and data descriptors are 8 bytes,
//! system descriptors 16.

use crate::{Selector, VirtAddr};

/// An entry of the GDT. Every value decodes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Segment {
    /// The first 8 bytes, as they were read.
    pub low: u64,
    /// The next 8 bytes, if the entry has [16](Self::bytes).
    pub high: Option<u64>,
    /// What it describes.
    pub kind: SegmentKind,
    /// The base address; of a code or data segment 32 bits wide, and in 64-bit mode ignored
    /// but for FS and GS. Of a call gate 0.
    pub base: u64,
    /// The offset of the last byte (of an expand-down segment: the last below it), with G
    /// applied. In 64-bit mode ignored for code and data. Of a call gate 0.
    pub limit: u32,
    /// The descriptor privilege level, 0..4.
    pub dpl: u8,
    /// P.
    pub present: bool,
    /// AVL, for the system to use.
    pub available: bool,
    /// L: 64-bit code.
    pub long: bool,
    /// D/B: 32-bit operands or stack.
    pub big: bool,
    /// G: the limit counts 4 KiB units.
    pub granular: bool,
}

/// What an entry of the GDT describes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum SegmentKind {
    /// All of it is zero.
    Null,
    /// Code.
    Code {
        /// It may be jumped to from less privileged code.
        conforming: bool,
        /// It may be read as data.
        readable: bool,
        /// The CPU has loaded it.
        accessed: bool,
    },
    /// Data, or a stack.
    Data {
        /// Its limit is a lower bound.
        expand_down: bool,
        /// It may be written.
        writable: bool,
        /// The CPU has loaded it.
        accessed: bool,
    },
    /// A local descriptor table.
    Ldt,
    /// A 64-bit task state segment.
    Tss {
        /// A task register holds it, or held it.
        busy: bool,
    },
    /// A 64-bit call gate.
    CallGate {
        /// The code segment it leads to.
        selector: Selector,
        /// Where in that segment.
        offset: VirtAddr,
    },
    /// A system type that may not stand in a GDT in long mode.
    Reserved {
        /// The type, 0..16.
        kind: u8,
    },
}

impl Segment {
    /// Decodes the entry that begins with `low`. `high` is the word after it, of which
    /// entries of 8 bytes take no notice; at the end of a table it may be 0.
    pub const fn decode(low: u64, high: u64) -> Segment {
        let kind = SegmentKind::decode(low, high);
        let long_form = kind.bytes() == 16;
        let granular = low >> 55 & 1 != 0;
        let base = low >> 16 & 0x00ff_ffff | low >> 32 & 0xff00_0000;
        let limit = (low & 0xffff | low >> 32 & 0x000f_0000) as u32;
        let is_gate = matches!(kind, SegmentKind::CallGate { .. });
        Segment {
            low,
            high: if long_form { Some(high) } else { None },
            kind,
            base: match (is_gate, long_form) {
                (true, _) => 0,
                (false, true) => base | high << 32,
                (false, false) => base,
            },
            limit: match (is_gate, granular) {
                (true, _) => 0,
                (false, true) => limit << 12 | 0xfff,
                (false, false) => limit,
            },
            dpl: (low >> 45 & 0b11) as u8,
            present: low >> 47 & 1 != 0,
            available: !is_gate && low >> 52 & 1 != 0,
            long: !is_gate && low >> 53 & 1 != 0,
            big: !is_gate && low >> 54 & 1 != 0,
            granular: !is_gate && granular,
        }
    }

    /// How much of the table the entry takes: 8 or 16 bytes.
    pub const fn bytes(&self) -> usize {
        self.kind.bytes()
    }

    /// The bits of the upper half that must be zero and are not: bits 12:8 of its second
    /// doubleword, the place of a type. Loading such an entry raises #GP.
    pub const fn reserved(&self) -> u64 {
        match self.high {
            Some(high) => high & 0x1f << 40,
            None => 0,
        }
    }
}

impl SegmentKind {
    const fn decode(low: u64, high: u64) -> SegmentKind {
        if low == 0 {
            return SegmentKind::Null;
        }
        let kind = (low >> 40 & 0xf) as u8;
        let (first, second, accessed) = (kind & 0b100 != 0, kind & 0b10 != 0, kind & 1 != 0);
        let is_system = low >> 44 & 1 == 0;
        match (is_system, kind) {
            (false, 0b1000..) => SegmentKind::Code {
                conforming: first,
                readable: second,
                accessed,
            },
            (false, _) => SegmentKind::Data {
                expand_down: first,
                writable: second,
                accessed,
            },
            (true, 2) => SegmentKind::Ldt,
            (true, 9) => SegmentKind::Tss { busy: false },
            (true, 11) => SegmentKind::Tss { busy: true },
            (true, 12) => SegmentKind::CallGate {
                selector: Selector((low >> 16) as u16),
                offset: VirtAddr(low & 0xffff | low >> 32 & 0xffff_0000 | high << 32),
            },
            (true, _) => SegmentKind::Reserved { kind },
        }
    }

    const fn bytes(&self) -> usize {
        match self {
            SegmentKind::Ldt | SegmentKind::Tss { .. } | SegmentKind::CallGate { .. } => 16,
            _ => 8,
        }
    }

    /// What it is, in a word or two: `code`, `data`, `64-bit TSS (busy)`.
    pub const fn name(&self) -> &'static str {
        match self {
            SegmentKind::Null => "null",
            SegmentKind::Code { .. } => "code",
            SegmentKind::Data { .. } => "data",
            SegmentKind::Ldt => "LDT",
            SegmentKind::Tss { busy: false } => "64-bit TSS (available)",
            SegmentKind::Tss { busy: true } => "64-bit TSS (busy)",
            SegmentKind::CallGate { .. } => "64-bit call gate",
            SegmentKind::Reserved { .. } => "reserved type",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The flat segments of every tutorial: base 0, limit 4 GiB - 1.
    #[test]
    fn the_usual_code_and_data_segments() {
        let code = Segment::decode(0x00af_9b00_0000_ffff, !0);
        let kind = SegmentKind::Code {
            conforming: false,
            readable: true,
            accessed: true,
        };
        assert_eq!((code.kind, code.bytes(), code.high), (kind, 8, None));
        assert_eq!((code.base, code.limit), (0, 0xffff_ffff));
        assert!(code.present && code.long && !code.big && code.granular && code.dpl == 0);

        let user_data = Segment::decode(0x00cf_f300_0000_ffff, 0);
        let kind = SegmentKind::Data {
            expand_down: false,
            writable: true,
            accessed: true,
        };
        assert_eq!((user_data.kind, user_data.dpl), (kind, 3));
        assert!(user_data.big && !user_data.long && !user_data.available);
    }

    // SDM volume 3A, "TSS Descriptor in 64-bit Mode": base 31:24 in bits 63:56, base 23:0 in
    // 39:16, base 63:32 in the second word; limit 0x67 for 104 bytes.
    #[test]
    fn a_tss_has_its_base_in_four_pieces() {
        let tss = Segment::decode(0x7800_8b56_1234_0067, 0x0000_0000_ffff_ff80);
        assert_eq!(tss.kind, SegmentKind::Tss { busy: true });
        assert_eq!((tss.base, tss.limit), (0xffff_ff80_7856_1234, 0x67));
        assert_eq!((tss.bytes(), tss.reserved(), tss.present), (16, 0, true));
        let available = Segment::decode(0x0000_8900_0000_0067, 1 << 40);
        assert_eq!(available.kind, SegmentKind::Tss { busy: false });
        assert_eq!(available.reserved(), 1 << 40);
    }

    #[test]
    fn a_call_gate_leads_somewhere() {
        let gate = Segment::decode(0x9abc_ec00_0008_def0, 0x1234_5678);
        let kind = SegmentKind::CallGate {
            selector: Selector(8),
            offset: VirtAddr(0x1234_5678_9abc_def0),
        };
        assert_eq!(
            (gate.kind, gate.dpl, gate.base, gate.limit),
            (kind, 3, 0, 0)
        );
    }

    #[test]
    fn zero_is_null_and_nothing_else_is() {
        assert_eq!(Segment::decode(0, 7).kind, SegmentKind::Null);
        assert_eq!(
            Segment::decode(1, 0).kind,
            SegmentKind::Reserved { kind: 0 }
        );
        assert_eq!(Segment::decode(1, 0).bytes(), 8);
    }

    // SDM volume 3A, "System-Segment and Gate-Descriptor Types", IA-32e mode.
    #[test]
    fn each_type_has_one_meaning() {
        let kinds: [SegmentKind; 16] =
            core::array::from_fn(|kind| Segment::decode((kind as u64) << 40 | 1, 0).kind);
        for (kind, meaning) in kinds.into_iter().enumerate() {
            let name = match kind {
                2 => "LDT",
                9 => "64-bit TSS (available)",
                11 => "64-bit TSS (busy)",
                12 => "64-bit call gate",
                _ => "reserved type",
            };
            assert_eq!(meaning.name(), name, "type {kind}");
        }
    }
}
