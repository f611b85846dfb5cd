//! As much of an instruction as the cause of a fault takes: prefixes and opcode.
//!
//! This is no disassembler. It knows the instructions that ring 3 may not run, software
//! interrupts, and prefixes; Intel SDM volume 2, "Instruction Format" and appendix A.

/// The longest instruction, in bytes.
const LONGEST: usize = 15;

/// The bytes at RIP, as many as could be read: the instruction there and a few that follow.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Code {
    bytes: [u8; Code::BYTES],
    length: u8,
}

/// An instruction that only ring 0 may run, or only some of its forms.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Special(pub &'static str);

impl Code {
    /// How many are kept.
    pub const BYTES: usize = 32;

    /// The first of these.
    pub fn new(bytes: &[u8]) -> Code {
        let mut code = Code::default();
        for (to, from) in code.bytes.iter_mut().zip(bytes) {
            *to = *from;
            code.length += 1;
        }
        code
    }

    /// Those that could be read.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or(&[])
    }

    /// Those that the first instruction can have.
    pub fn instruction(&self) -> &[u8] {
        let bytes = self.bytes();
        bytes.get(..LONGEST).unwrap_or(bytes)
    }

    /// Prefixes, and what follows them.
    fn parts(&self) -> (&[u8], &[u8]) {
        let bytes = self.instruction();
        let is_prefix = |byte: &u8| {
            matches!(
                byte,
                0x26 | 0x2e | 0x36 | 0x3e | 0x64..=0x67 | 0xf0 | 0xf2 | 0xf3 | 0x40..=0x4f
            )
        };
        let count = bytes.iter().take_while(|byte| is_prefix(byte)).count();
        bytes.split_at_checked(count).unwrap_or((&[], bytes))
    }

    /// Whether memory is reached through GS.
    pub fn is_through_gs(&self) -> bool {
        self.parts().0.contains(&0x65)
    }

    /// The vector of `int n`.
    pub fn software_interrupt(&self) -> Option<u8> {
        match self.parts().1 {
            [0xcd, vector, ..] => Some(*vector),
            [0xcc, ..] => Some(3),
            _ => None,
        }
    }

    /// Whether it is `ud2`, which is there to fault.
    pub fn is_ud2(&self) -> bool {
        self.parts().1.starts_with(&[0x0f, 0x0b])
    }

    /// Whether it looks like an SSE instruction: two-byte opcodes 10-17, 28-2F, 50-7F, C2-C6 and
    /// D0-FF.
    pub(crate) fn is_sse(&self) -> bool {
        matches!(
            self.parts().1,
            [
                0x0f,
                0x10..=0x17 | 0x28..=0x2f | 0x50..=0x7f | 0xc2..=0xc6 | 0xd0..=0xff,
                ..,
            ]
        )
    }

    /// Whether it is one of the moves that take aligned operands only: MOVAPS, MOVAPD, MOVNTPS,
    /// MOVDQA, MOVNTDQ.
    pub(crate) fn is_aligned_sse(&self) -> bool {
        matches!(
            self.parts().1,
            [0x0f, 0x28 | 0x29 | 0x2b | 0x6f | 0x7f | 0xe7, ..]
        )
    }

    /// Whether no instruction has ended after 15 bytes, the most there may be.
    pub(crate) fn is_too_long(&self) -> bool {
        let (prefixes, rest) = self.parts();
        // An opcode in the last byte may need nothing more, but then there is no fault.
        prefixes.len() + rest.len() == LONGEST && rest.len() <= 1
    }

    /// The name of an instruction that ring 3 may not run.
    pub(crate) fn special(&self) -> Option<Special> {
        let name = match self.parts().1 {
            [0xf4, ..] => "hlt",
            [0xfa, ..] => "cli",
            [0xfb, ..] => "sti",
            [0x6c | 0x6d | 0xe4 | 0xe5 | 0xec | 0xed, ..] => "in",
            [0x6e | 0x6f | 0xe6 | 0xe7 | 0xee | 0xef, ..] => "out",
            [0x0f, 0x00, modrm, ..] => match modrm >> 3 & 7 {
                2 => "lldt",
                3 => "ltr",
                _ => return None,
            },
            // Register forms of group 7 have names of their own.
            [0x0f, 0x01, 0xf8, ..] => "swapgs",
            [0x0f, 0x01, 0xca, ..] => "clac",
            [0x0f, 0x01, 0xcb, ..] => "stac",
            [0x0f, 0x01, modrm, ..] => match (modrm >> 3 & 7, modrm >> 6 == 3) {
                (0, false) => "sgdt, which UMIP keeps for ring 0",
                (1, false) => "sidt, which UMIP keeps for ring 0",
                (2, false) => "lgdt",
                (3, false) => "lidt",
                (4, _) => "smsw, which UMIP keeps for ring 0",
                (6, _) => "lmsw",
                (7, false) => "invlpg",
                _ => return None,
            },
            [0x0f, 0x06, ..] => "clts",
            [0x0f, 0x08, ..] => "invd",
            [0x0f, 0x09, ..] => "wbinvd",
            [0x0f, 0x07, ..] => "sysret",
            [0x0f, 0x20 | 0x22, ..] => "mov to or from a control register",
            [0x0f, 0x21 | 0x23, ..] => "mov to or from a debug register",
            [0x0f, 0x30, ..] => "wrmsr",
            [0x0f, 0x32, ..] => "rdmsr",
            [0x0f, 0x31, ..] => "rdtsc, which CR4.TSD keeps for ring 0",
            _ => return None,
        };
        Some(Special(name))
    }
}
