//! The instruction at RIP and those that follow, out of the bytes that were written down when the
//! exception came: what stands there now does not matter.

use core::fmt::{self, Write};

use machine::VirtAddr;

use crate::FaultRecord;
use crate::backtrace::Images;
use crate::disassembly::Line;

/// How many may follow the one at RIP.
const MORE: usize = 2;

/// The lines that can be shown: the instruction at RIP, and those behind it that are there whole.
pub(super) fn lines(record: &FaultRecord) -> impl Iterator<Item = Line> + '_ {
    let mut at = VirtAddr(record.registers.rip);
    let mut rest = record.code.bytes();
    (0..=MORE).map_while(move |_| {
        let line = Line::of(at, rest);
        let length = usize::try_from(line.length()).ok()?;
        rest = rest.get(length..).unwrap_or_default();
        at = line.next();
        line.is_instruction().then_some(line)
    })
}

/// A line for each; the bytes alone where they are no instruction, or not all of one.
pub(super) fn write(record: &FaultRecord, images: &Images<'_>, out: &mut dyn Write) -> fmt::Result {
    let mut mark = "=>";
    for line in lines(record) {
        write!(out, "{mark} {line}")?;
        match line.leads_to().and_then(|to| images.symbol(to)) {
            Some(symbol) => writeln!(out, "  <{symbol}>")?,
            None => writeln!(out)?,
        }
        mark = "  ";
    }
    let bytes = record.code.instruction();
    if mark == "=>" && !bytes.is_empty() {
        write!(out, "code at RIP:")?;
        for byte in bytes {
            write!(out, " {byte:02x}")?;
        }
        writeln!(out)?;
    }
    Ok(())
}
