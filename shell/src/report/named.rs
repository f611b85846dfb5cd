//! The descriptor that an error code names: what stood there when the exception came.

use core::fmt::{self, Write};

use machine::{Cause, Gate, Named, Segment, SelectorTable};

use crate::FaultRecord;
use crate::commands::SegmentLine;

/// A line about it, if there is one.
pub(super) fn write(record: &FaultRecord, cause: &Cause, out: &mut dyn Write) -> fmt::Result {
    let (Cause::Selector(error), Some(named)) = (cause, record.named) else {
        return Ok(());
    };
    let index = error.index;
    match error.table {
        SelectorTable::Idt => write!(out, "IDT gate {index:#x}: ")?,
        SelectorTable::Gdt => write!(out, "GDT entry {index}: ")?,
        SelectorTable::Ldt => write!(out, "LDT entry {index}: ")?,
    }
    match named {
        Named::Words { low, high } if error.table == SelectorTable::Idt => {
            let gate = Gate::decode(low, high);
            let present = if gate.present { "" } else { ", not present" };
            writeln!(
                out,
                "{low:016x} {high:016x} {} gate dpl {}{present} -> {}",
                gate.kind.name(),
                gate.dpl,
                gate.offset
            )
        }
        Named::Words { low, high } => {
            writeln!(out, "{}", SegmentLine(&Segment::decode(low, high)))
        }
        Named::Beyond { limit } => writeln!(out, "the table ends before it, limit {limit:#x}"),
        Named::NoTable => writeln!(out, "there is no LDT, LDTR is null"),
    }
}
