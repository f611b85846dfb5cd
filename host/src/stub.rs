//! A dump behind GDB's remote protocol, so that GDB shows it like a machine that stands still.
//!
//! GDB reads cores by virtual address, and a dump has physical memory. So this answers for it: memory
//! through CR3 as the dump has it, or physical while `Qqemu.PhyMemMode` is set, registers, and the
//! few lines of QEMU's monitor that `scripts/gdb` asks for. Nothing can be written, and nothing runs.
//!
//! The protocol: `$TEXT#SUM`, answered by `+`; GDB's manual, "Remote Protocol".

use std::fmt::Write as _;
use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};

use machine::{PhysAddr, Registers, VirtAddr};

use crate::conversation::{bytes, hex};
use crate::dump::Dump;
use crate::find;
use crate::memory::Memory;
use crate::source::Source as _;

/// No packet of GDB's that is understood here is longer.
const LONGEST: usize = 1 << 16;
/// How much GDB may ask for at once.
const MOST: usize = 0x4000;

/// Answers until GDB leaves.
///
/// # Errors
///
/// When it is no dump, or GDB cannot be answered any more.
pub(crate) fn serve(
    path: &Path,
    input: impl BufRead,
    mut output: impl Write,
) -> anyhow::Result<()> {
    let mut dump = Dump::open(path)?;
    let mut stub = Stub {
        registers: dump.registers()?,
        tr_base: dump.tr_base(),
        path: std::path::absolute(path)?,
        memory: Memory::new(Box::new(dump)),
        is_physical: false,
    };
    let mut input = input.bytes();
    let mut next = || input.next().transpose();
    while let Some(byte) = next()? {
        // Its acknowledgements; nothing is lost on a pipe. Ctrl-C: nothing runs that it could stop.
        if byte != b'$' {
            continue;
        }
        let mut text = Vec::new();
        while let Some(byte) = next()?.filter(|byte| *byte != b'#') {
            if text.len() < LONGEST {
                text.push(byte);
            }
        }
        // The sum.
        next()?;
        next()?;
        let text = String::from_utf8_lossy(&text);
        let answer = stub.answer(&text);
        let sum = answer.bytes().fold(0u8, u8::wrapping_add);
        write!(output, "+${answer}#{sum:02x}")?;
        output.flush()?;
        if text.starts_with('D') || text.starts_with('k') {
            break;
        }
    }
    Ok(())
}

struct Stub {
    registers: Registers,
    tr_base: u64,
    path: PathBuf,
    memory: Memory,
    is_physical: bool,
}

/// What cannot be done; GDB shows the number.
const REFUSED: &str = "E01";
/// GDB takes this one for memory that is not there.
const NO_MEMORY: &str = "E14";

impl Stub {
    fn answer(&mut self, text: &str) -> String {
        if let Some(rest) = text.strip_prefix("qXfer:features:read:target.xml:") {
            return piece(&description(), rest);
        }
        if let Some(line) = text.strip_prefix("qRcmd,") {
            return self.monitor(line);
        }
        if let Some(rest) = text.strip_prefix('m') {
            return self.read(rest).unwrap_or_else(|| NO_MEMORY.to_owned());
        }
        if let Some(number) = text.strip_prefix('p') {
            let number = usize::from_str_radix(number, 16).ok();
            let found = number.and_then(|number| self.values().nth(number));
            return found.unwrap_or_else(|| REFUSED.to_owned());
        }
        if let Some(on) = text.strip_prefix("Qqemu.PhyMemMode:") {
            self.is_physical = on == "1";
            return "OK".to_owned();
        }
        match text {
            "g" => return self.values().collect(),
            "qfThreadInfo" => return "m1".to_owned(),
            "qsThreadInfo" => return "l".to_owned(),
            "qAttached" => return "1".to_owned(),
            _ => {}
        }
        if text.starts_with("qSupported") {
            return format!("PacketSize={MOST:x};qXfer:features:read+");
        }
        match text.as_bytes().first() {
            // It stands where it stood, whatever it is told to do.
            Some(b'?' | b'c' | b's' | b'C' | b'S') => "S05".to_owned(),
            Some(b'H' | b'T' | b'D') => "OK".to_owned(),
            Some(b'M' | b'G' | b'P' | b'Z' | b'z') => REFUSED.to_owned(),
            _ => String::new(),
        }
    }

    /// `ADDRESS,BYTES`; nothing if not all of it is there.
    fn read(&mut self, text: &str) -> Option<String> {
        let (at, count) = text.split_once(',')?;
        let at = u64::from_str_radix(at, 16).ok()?;
        let count = usize::from_str_radix(count, 16).ok()?.min(MOST / 2);
        let mut bytes = vec![0; count];
        if self.is_physical {
            self.memory.source().read(at, &mut bytes).ok()?;
        } else {
            let paging = find::in_use(&self.registers);
            let root = PhysAddr(self.registers.cr3);
            let va = VirtAddr(at);
            machine::read_virt(&mut self.memory, &paging, root, va, &mut bytes).ok()?;
        }
        Some(hex(&bytes))
    }

    /// Every register in the order of the description; `x` for what a dump does not hold.
    fn values(&self) -> impl Iterator<Item = String> + '_ {
        REGISTERS.iter().map(|(name, bits, _)| {
            let digits = bits / 4;
            let name = if *name == "eflags" { "rflags" } else { name };
            match self.registers.by_name(name) {
                Some(value) => hex(&value.to_le_bytes()).chars().take(digits).collect(),
                None => "x".repeat(digits),
            }
        })
    }

    /// A line of QEMU's monitor, in hexadecimal as its answer is.
    fn monitor(&mut self, line: &str) -> String {
        let line = bytes(line).unwrap_or_default();
        let line = String::from_utf8_lossy(&line);
        let said = match line.trim() {
            "info registers" => self.said(),
            "info status" => "VM status: paused (dump)\n".to_owned(),
            // For who can look at it without us in between.
            "info dump" => format!("{}\n", self.path.display()),
            "info memory_size_summary" => {
                let ram = self.memory.source().ram().unwrap_or_default();
                let end = ram.iter().map(|range| range.end).max();
                format!("base memory: {}\n", end.unwrap_or(0))
            }
            other => format!("there is no QEMU behind a dump that could be asked `{other}`\n"),
        };
        hex(said.as_bytes())
    }

    /// The registers as QEMU's monitor writes them. EFER is not in a dump.
    fn said(&self) -> String {
        let mut out = String::new();
        let mut add = |name: &str, value: u64| {
            let _ = writeln!(out, "{name}={value:016x}");
        };
        for name in Registers::NAMES.iter().copied() {
            let value = self.registers.by_name(name).unwrap_or(0);
            match name {
                "rflags" => add("RFL", value),
                "cs" | "ss" | "ds" | "es" | "tr" | "gdtr" | "idtr" | "fs" | "gs" | "ldtr" => {}
                _ => add(&name.to_uppercase(), value),
            }
        }
        let registers = &self.registers;
        for (name, selector, base) in [
            ("ES", registers.es, 0),
            ("CS", registers.cs, 0),
            ("SS", registers.ss, 0),
            ("DS", registers.ds, 0),
            ("FS", registers.fs, registers.fs_base),
            ("GS", registers.gs, registers.gs_base),
            ("LDT", registers.ldtr, 0),
            ("TR", registers.tr, self.tr_base),
        ] {
            let _ = writeln!(out, "{name:3}={selector:04x} {base:016x} 00000000 00000000");
        }
        for (name, table) in [("GDT", registers.gdtr), ("IDT", registers.idtr)] {
            let _ = writeln!(out, "{name}=     {:016x} {:08x}", table.base, table.limit);
        }
        out
    }
}

/// Name, bits and type in GDB's terms, in the order of GDB's manual, "i386 Features"; behind them those that
/// QEMU has beside.
const REGISTERS: &[(&str, usize, &str)] = &[
    ("rax", 64, "int64"),
    ("rbx", 64, "int64"),
    ("rcx", 64, "int64"),
    ("rdx", 64, "int64"),
    ("rsi", 64, "int64"),
    ("rdi", 64, "int64"),
    ("rbp", 64, "data_ptr"),
    ("rsp", 64, "data_ptr"),
    ("r8", 64, "int64"),
    ("r9", 64, "int64"),
    ("r10", 64, "int64"),
    ("r11", 64, "int64"),
    ("r12", 64, "int64"),
    ("r13", 64, "int64"),
    ("r14", 64, "int64"),
    ("r15", 64, "int64"),
    ("rip", 64, "code_ptr"),
    ("eflags", 32, "int32"),
    ("cs", 32, "int32"),
    ("ss", 32, "int32"),
    ("ds", 32, "int32"),
    ("es", 32, "int32"),
    ("fs", 32, "int32"),
    ("gs", 32, "int32"),
    ("st0", 80, "i387_ext"),
    ("st1", 80, "i387_ext"),
    ("st2", 80, "i387_ext"),
    ("st3", 80, "i387_ext"),
    ("st4", 80, "i387_ext"),
    ("st5", 80, "i387_ext"),
    ("st6", 80, "i387_ext"),
    ("st7", 80, "i387_ext"),
    ("fctrl", 32, "int"),
    ("fstat", 32, "int"),
    ("ftag", 32, "int"),
    ("fiseg", 32, "int"),
    ("fioff", 32, "int"),
    ("foseg", 32, "int"),
    ("fooff", 32, "int"),
    ("fop", 32, "int"),
    ("fs_base", 64, "int64"),
    ("gs_base", 64, "int64"),
    ("cr0", 64, "int64"),
    ("cr2", 64, "int64"),
    ("cr3", 64, "int64"),
    ("cr4", 64, "int64"),
];

/// What GDB asks for to know which registers there are.
fn description() -> String {
    let mut out = String::from(
        "<?xml version=\"1.0\"?><!DOCTYPE target SYSTEM \"gdb-target.dtd\"><target>\
         <architecture>i386:x86-64</architecture><feature name=\"org.gnu.gdb.i386.core\">",
    );
    for (name, bits, kind) in REGISTERS {
        let _ = write!(
            out,
            "<reg name=\"{name}\" bitsize=\"{bits}\" type=\"{kind}\"/>"
        );
    }
    out.push_str("</feature></target>");
    out
}

/// The part `OFFSET,LENGTH` of a text, marked as the last (`l`) or not (`m`).
fn piece(text: &str, wanted: &str) -> String {
    let mut numbers = wanted
        .split(',')
        .map(|word| usize::from_str_radix(word, 16));
    let mut next = || numbers.next().and_then(Result::ok);
    let (Some(offset), Some(length)) = (next(), next()) else {
        return REFUSED.to_owned();
    };
    let rest = text.get(offset..).unwrap_or_default();
    match rest.get(..length) {
        Some(part) if part.len() < rest.len() => format!("m{part}"),
        _ => format!("l{rest}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_given_in_pieces_and_the_last_is_marked() {
        assert_eq!(piece("abcdef", "0,4"), "mabcd");
        assert_eq!(piece("abcdef", "4,4"), "lef");
        assert_eq!(piece("abcdef", "6,4"), "l");
        assert_eq!(piece("abcdef", "ffff,4"), "l");
        assert_eq!(piece("abcdef", "x"), REFUSED);
    }

    #[test]
    fn its_registers_are_read_back_as_they_were() {
        let words = std::array::from_fn(|index| index as u64 + 0x100);
        let registers = Registers::from_words(&words);
        let stub = Stub {
            registers,
            tr_base: 0,
            path: PathBuf::new(),
            memory: Memory::new(Box::new(crate::damage::Bytes(Vec::new()))),
            is_physical: false,
        };
        let read = crate::monitor::registers(&stub.said()).expect("it is complete");
        // What neither a dump nor the monitor has.
        let only = |registers: Registers| Registers {
            cr8: 0,
            pat: 0,
            kernel_gs_base: 0,
            star: 0,
            lstar: 0,
            fmask: 0,
            ..registers
        };
        assert_eq!(only(read), only(registers));
    }
}
