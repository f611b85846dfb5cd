//! Bytes into instructions.

use core::fmt::{self, Write as _};

use heapless::String;
use machine::VirtAddr;
use yaxpeax_arch::LengthedInstruction as _;
use yaxpeax_x86::long_mode::{InstDecoder, Instruction, Opcode, Operand, RegSpec};

use crate::record::{Field, Record, hex, text};
use crate::virt::Virt;

/// No instruction is longer.
pub(crate) const LONGEST: usize = 15;

/// The field for an instruction's bytes.
pub(crate) const BYTES: Field = text("bytes", "the instruction, as it stands in memory").or_null();
/// The field for its text.
pub(crate) const INSTRUCTION: Field = text(
    "instruction",
    "the same as text; none if it is no instruction",
)
.or_null();
/// The field for where it leads.
pub(crate) const LEADS_TO: Field = hex(
    "leads_to",
    "where it jumps, or what it means relative to RIP",
)
.or_null();

/// What stands at an address.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) at: VirtAddr,
    bytes: [u8; LONGEST],
    /// How many bytes there are to read, at most [`LONGEST`].
    readable: usize,
    instruction: Option<Instruction>,
}

impl Line {
    /// Reads and decodes.
    pub(crate) fn at(virt: &mut Virt<'_>, at: VirtAddr) -> Self {
        let mut bytes = [0; LONGEST];
        let mut readable = 0;
        for (offset, place) in (0..).zip(&mut bytes) {
            match virt.bytes(at.0, offset) {
                Ok([byte]) => *place = byte,
                Err(_) => break,
            }
            readable += 1;
        }
        Line::of(at, bytes.get(..readable).unwrap_or_default())
    }

    /// Decodes the first of these bytes.
    pub(crate) fn of(at: VirtAddr, found: &[u8]) -> Self {
        let found = found.get(..LONGEST).unwrap_or(found);
        let mut bytes = [0; LONGEST];
        for (place, byte) in bytes.iter_mut().zip(found) {
            *place = *byte;
        }
        Line {
            at,
            bytes,
            readable: found.len(),
            instruction: InstDecoder::default().decode_slice(found).ok(),
        }
    }

    /// Whether the bytes are an instruction.
    pub(crate) fn is_instruction(&self) -> bool {
        self.instruction.is_some()
    }

    /// Whether the address of something in memory is made with this register, in either case.
    pub(crate) fn addresses_with(&self, register: &str) -> bool {
        let Some(instruction) = self.instruction else {
            return false;
        };
        let is = |used: RegSpec| used.name().eq_ignore_ascii_case(register);
        (0..instruction.operand_count()).any(|index| match instruction.operand(index) {
            Operand::MemDeref { base } | Operand::Disp { base, .. } => is(base),
            Operand::MemIndexScale { index, .. } | Operand::MemIndexScaleDisp { index, .. } => {
                is(index)
            }
            Operand::MemBaseIndexScale { base, index, .. }
            | Operand::MemBaseIndexScaleDisp { base, index, .. } => is(base) || is(index),
            _ => false,
        })
    }

    /// Whether there is anything to read.
    pub(crate) fn is_readable(&self) -> bool {
        self.readable > 0
    }

    /// How many bytes it takes: 1 if it is no instruction.
    pub(crate) fn length(&self) -> u64 {
        self.instruction.map_or(1, |instruction| {
            instruction.len().to_const().clamp(1, LONGEST as u64)
        })
    }

    /// Where the next one is.
    pub(crate) fn next(&self) -> VirtAddr {
        VirtAddr(self.at.0.wrapping_add(self.length()))
    }

    fn is(&self, opcodes: &[Opcode]) -> bool {
        self.instruction
            .is_some_and(|instruction| opcodes.contains(&instruction.opcode()))
    }

    /// Whether it comes back to the next instruction after something that is not shown: a call, a
    /// system call, a repeated string instruction.
    pub(crate) fn comes_back(&self) -> bool {
        self.is(&[Opcode::CALL, Opcode::SYSCALL, Opcode::SYSENTER, Opcode::INT])
            || self
                .instruction
                .is_some_and(|instruction| instruction.prefixes.rep_any())
    }

    /// The register that it loads CR3 from, if that is what it does.
    pub(crate) fn loads_cr3(&self) -> Option<&'static str> {
        const LOW: [&str; 8] = ["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi"];
        const HIGH: [&str; 8] = ["r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"];
        // REX.B is the fourth bit of the register, REX.R would make it CR11.
        let (names, register) = match self.bytes {
            [0x0f, 0x22, register @ 0xd8..=0xdf, ..] => (LOW, register),
            [rex @ 0x40..=0x4f, 0x0f, 0x22, register @ 0xd8..=0xdf, ..] if rex & 4 == 0 => {
                (if rex & 1 == 0 { LOW } else { HIGH }, register)
            }
            _ => return None,
        };
        names.get(usize::from(register & 7)).copied()
    }

    /// Whether it is IRETQ.
    pub(crate) fn is_iretq(&self) -> bool {
        matches!(self.bytes, [0x48, 0xcf, ..])
    }

    /// Whether it loads RSP from another register.
    pub(crate) fn loads_rsp(&self) -> bool {
        // MOV r/m64, r64 with RSP as its target, but not from RSP or RBP (the end of a function).
        matches!(
            self.bytes,
            [0x48, 0x89, 0xc4 | 0xcc | 0xd4 | 0xdc | 0xf4 | 0xfc, ..]
        )
    }

    /// Where it leads, or what its operand relative to RIP means.
    pub(crate) fn leads_to(&self) -> Option<VirtAddr> {
        self.target().or_else(|| self.relative())
    }

    /// Adds the fields of an instruction to a record: `at`, and those of [`BYTES`], [`INSTRUCTION`]
    /// and [`LEADS_TO`].
    pub(crate) fn fields<'o>(&self, record: Record<'o>) -> Record<'o> {
        let bytes = self.is_readable().then(|| self.hex());
        record
            .hex("at", self.at)
            .maybe_text(BYTES.name, bytes)
            .maybe_text(INSTRUCTION.name, self.instruction.map(|_| Text(self)))
            .hex(LEADS_TO.name, self.leads_to())
    }

    /// Its bytes in hex, in the order in which they stand.
    fn hex(&self) -> String<32> {
        let length = usize::try_from(self.length()).unwrap_or(1);
        let mut hex = String::new();
        for byte in self.bytes.iter().take(length) {
            // Fifteen bytes fit.
            let _ = write!(hex, "{byte:02x}");
        }
        hex
    }

    /// Where a jump or a call with a displacement leads.
    fn target(&self) -> Option<VirtAddr> {
        let instruction = self.instruction?;
        let displacement = match instruction.operand(0) {
            Operand::ImmediateI8 { imm } => i64::from(imm),
            Operand::ImmediateI32 { imm } => i64::from(imm),
            _ => return None,
        };
        let first = self.bytes.first()?;
        let second = self.bytes.get(1)?;
        let is_relative = matches!(first, 0x70..=0x7f | 0xe0..=0xe3 | 0xe8 | 0xe9 | 0xeb)
            || (*first == 0x0f && matches!(second, 0x80..=0x8f));
        is_relative.then(|| VirtAddr(self.next().0.wrapping_add_signed(displacement)))
    }

    /// What an operand relative to RIP means.
    fn relative(&self) -> Option<VirtAddr> {
        let instruction = self.instruction?;
        (0..instruction.operand_count()).find_map(|index| match instruction.operand(index) {
            Operand::Disp {
                base: RegSpec::RIP,
                disp,
            } => Some(VirtAddr(self.next().0.wrapping_add_signed(disp.into()))),
            _ => None,
        })
    }
}

impl fmt::Display for Line {
    /// The bytes, then the instruction; where a jump leads, and what is relative to RIP.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.at)?;
        if self.instruction.is_some() {
            return write!(f, "{:<20} {}", self.hex(), Text(self));
        }
        match self.is_readable() {
            true => write!(f, "{} (no instruction)", self.hex()),
            false => f.write_str("(not to be read)"),
        }
    }
}

/// The instruction alone.
struct Text<'a>(&'a Line);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(instruction) = self.0.instruction else {
            return Ok(());
        };
        // The decoder takes PAUSE for the NOP that it was before it had a name.
        if matches!(self.0.bytes, [0xf3, 0x90, ..]) {
            return f.write_str("pause");
        }
        if let Some(target) = self.0.target() {
            let mut text = String::<96>::new();
            let _ = write!(text, "{instruction}");
            let name = text.split(' ').next().unwrap_or("");
            return write!(f, "{name} {target}");
        }
        write!(f, "{instruction}")?;
        match self.0.relative() {
            Some(at) => write!(f, " ; {at}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(at: u64, code: &[u8]) -> Line {
        Line::of(VirtAddr(at), code)
    }

    #[test]
    fn the_registers_of_an_operand_in_memory_are_known_and_others_are_none() {
        // MOV RAX, [RAX + 0x18].
        let field = line(0, &[0x48, 0x8b, 0x40, 0x18]);
        assert!(field.addresses_with("RAX") && !field.addresses_with("rbx"));
        // MOV RDX, [RBX + RCX * 8 + 0x10]; MOV RDX, RBX; CALL RAX.
        let element = line(0, &[0x48, 0x8b, 0x54, 0xcb, 0x10]);
        assert!(element.addresses_with("rbx") && element.addresses_with("rcx"));
        assert!(!element.addresses_with("rdx"));
        assert!(!line(0, &[0x48, 0x89, 0xda]).addresses_with("rbx"));
        assert!(!line(0, &[0xff, 0xd0]).addresses_with("rax"));
        // REP MOVSB; PUSH RAX has none that is spelled out.
        let copy = line(0, &[0xf3, 0xa4]);
        assert!(copy.addresses_with("rsi") && copy.addresses_with("rdi"));
        assert!(!line(0, &[0x50]).addresses_with("rax"));
        // Of half an instruction nothing is known.
        assert!(!line(0, &[0x48, 0x8b, 0x40]).addresses_with("rax"));
    }

    #[test]
    fn pause_has_its_name() {
        assert!(line(0, &[0xf3, 0x90]).to_string().ends_with(" pause"));
        assert!(line(0, &[0x90]).to_string().ends_with(" nop"));
    }

    #[test]
    fn the_instructions_of_a_switch_are_known_by_their_bytes() {
        assert_eq!(line(0, &[0x0f, 0x22, 0xd8]).loads_cr3(), Some("rax"));
        assert_eq!(line(0, &[0x41, 0x0f, 0x22, 0xdf]).loads_cr3(), Some("r15"));
        assert_eq!(
            line(0, &[0x0f, 0x22, 0xe0]).loads_cr3(),
            None,
            "that is CR4"
        );
        assert_eq!(
            line(0, &[0x0f, 0x20, 0xd8]).loads_cr3(),
            None,
            "that reads it"
        );
        assert!(line(0, &[0x48, 0xcf]).is_iretq());
        assert!(!line(0, &[0xcf]).is_iretq(), "that is IRETD");
        assert!(line(0, &[0x48, 0x89, 0xf4]).loads_rsp());
        assert!(!line(0, &[0x48, 0x89, 0xec]).loads_rsp(), "from RBP");
    }

    #[test]
    fn jumps_and_rip_relative_operands_say_where_they_lead() {
        let shown = |at, code: &[u8]| line(at, code).to_string();
        assert_eq!(
            shown(0x40_1000, &[0xe8, 0xfb, 0xff, 0xff, 0xff]),
            "0x0000_0000_0040_1000 e8fbffffff           call 0x0000_0000_0040_1000"
        );
        assert_eq!(
            shown(0x40_1000, &[0x74, 0x02]),
            "0x0000_0000_0040_1000 7402                 jz 0x0000_0000_0040_1004"
        );
        assert!(
            shown(0x40_1000, &[0x48, 0x8b, 0x05, 0xf9, 0x0f, 0, 0])
                .ends_with("; 0x0000_0000_0040_2000")
        );
        assert_eq!(
            shown(0, &[0x06]),
            "0x0000_0000_0000_0000 06 (no instruction)"
        );
    }

    #[test]
    fn no_bytes_at_all_do_any_harm() {
        let mut seed = 1_u64;
        for _ in 0..20_000 {
            let mut code = [0; LONGEST];
            for byte in &mut code {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                *byte = (seed >> 56) as u8;
            }
            let line = line(seed, &code);
            let text = line.to_string();
            assert!(!text.contains('\n') && line.length() >= 1);
        }
    }
}
