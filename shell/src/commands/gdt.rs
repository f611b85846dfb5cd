//! `gdt`: the global descriptor table, decoded.

use core::fmt::{self, Write};

use machine::{Segment, SegmentKind, VirtAddr};

use crate::Error;
use crate::command::{Args, Command, Context, Group};
use crate::output::Output;
use crate::record::{Row, flag, hex, number, text};
use crate::render::Count;
use crate::virt::Virt;

pub(super) const COMMAND: Command = Command {
    name: "gdt",
    group: Group::Processor,
    usage: "",
    summary: "show the segment descriptors",
    help: "Reads the table that GDTR names, through the page tables of CR3. Each line has the selector, the raw words, and what they mean; null descriptors in a row are one line. The last line says where the table is and which descriptors are in use.",
    examples: &[("gdt", "all descriptors")],
    rows: &[
        Row {
            name: "descriptor",
            about: "a descriptor; null ones in a row are one",
            fields: &[
                hex("selector", "the offset in the table"),
                hex("low", "the raw word"),
                hex("high", "the second one, of a descriptor of 16 bytes").or_null(),
                text("kind", "code, data, LDT, 64-bit TSS (busy), null, ..."),
                text("meaning", "what it says, in words").or_null(),
                number("dpl", "the privilege level").or_null(),
                hex("base", "the base address").or_null(),
                hex("limit", "the offset of the last byte").or_null(),
                flag("present", "whether it is present").or_null(),
                number(
                    "count",
                    "how many there are; more than one of null ones only",
                ),
            ],
        },
        Row {
            name: "summary",
            about: "where the table is, and what of it is in use",
            fields: &[
                number("descriptors", "how many there are that are not null"),
                hex("base", "where the table is"),
                hex("limit", "its limit"),
                hex("cs", "the selector in use"),
                hex("ss", "the same"),
                hex("tr", "the same"),
            ],
        },
    ],
    args: &[],
    run,
};

fn run(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    args.done()?;
    let regs = context.registers()?;
    let root = context.cr3()?;
    let Context { target, out, .. } = context;
    let mut virt = Virt::new(*target, root);
    let (base, limit) = (regs.gdtr.base, u64::from(regs.gdtr.limit));

    let mut offset = 0;
    let mut count = 0_u64;
    let mut nulls = 0_u64;
    // A descriptor counts if its last byte is within the limit.
    while offset + 7 <= limit {
        let low = virt.word(base, offset)?;
        let high = match offset + 15 <= limit {
            true => virt.word(base, offset + 8)?,
            false => 0,
        };
        let segment = Segment::decode(low, high);
        if segment.kind == SegmentKind::Null {
            nulls += 1;
        } else {
            null_line(out, offset, nulls)?;
            nulls = 0;
            count += 1;
            match out.is_json() {
                true => record(out, offset, &segment)?,
                false => writeln!(out, "{:#06x} {}", offset, SegmentLine(&segment))?,
            }
        }
        if out.interrupted() {
            return Err(Error::Interrupted);
        }
        offset += segment.bytes() as u64;
    }
    null_line(out, offset, nulls)?;
    if out.is_json() {
        let record = out
            .record("summary")
            .number("descriptors", count)
            .hex("base", base)
            .hex("limit", limit)
            .hex("cs", regs.cs)
            .hex("ss", regs.ss)
            .hex("tr", regs.tr);
        return Ok(record.end()?);
    }
    let entries = Count(count, "descriptor");
    writeln!(
        out,
        "{entries} at {} limit {limit:#x}; cs {:#x} ss {:#x} tr {:#x}",
        VirtAddr(base),
        regs.cs,
        regs.ss,
        regs.tr
    )?;
    Ok(())
}

/// Says that `count` null descriptors end at `offset`.
fn null_line(out: &mut Output<'_>, offset: u64, count: u64) -> fmt::Result {
    let first = offset.saturating_sub(count.saturating_mul(8));
    if out.is_json() && count > 0 {
        return out
            .record("descriptor")
            .hex("selector", first)
            .hex("low", 0_u64)
            .hex("high", None::<u64>)
            .text("kind", SegmentKind::Null.name())
            .maybe_text("meaning", None::<&str>)
            .number("dpl", None::<u64>)
            .hex("base", None::<u64>)
            .hex("limit", None::<u64>)
            .flag("present", None)
            .number("count", count)
            .end();
    }
    match count {
        0 => Ok(()),
        1 => writeln!(out, "{first:#06x} {:016x} null", 0),
        _ => writeln!(out, "{first:#06x} {:016x} null, and {} more", 0, count - 1),
    }
}

fn record(out: &mut Output<'_>, offset: u64, segment: &Segment) -> fmt::Result {
    out.record("descriptor")
        .hex("selector", offset)
        .hex("low", segment.low)
        .hex("high", segment.high)
        .text("kind", segment.kind.name())
        .text("meaning", Meaning(segment))
        .number("dpl", segment.dpl)
        .hex("base", segment.base)
        .hex("limit", segment.limit)
        .flag("present", segment.present)
        .number("count", 1_u64)
        .end()
}

/// A descriptor: its raw words, and what they mean.
pub(crate) struct SegmentLine<'a>(pub(crate) &'a Segment);

impl fmt::Display for SegmentLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Segment { low, high, .. } = *self.0;
        write!(f, "{low:016x} ")?;
        if let Some(high) = high {
            write!(f, "{high:016x} ")?;
        }
        write!(f, "{}", Meaning(self.0))
    }
}

/// What a descriptor says, in words.
struct Meaning<'a>(&'a Segment);

impl fmt::Display for Meaning<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Segment {
            kind,
            base,
            limit,
            dpl,
            ..
        } = *self.0;
        let name = match kind {
            SegmentKind::Code { .. } if self.0.long => "64-bit code",
            SegmentKind::Code { .. } if self.0.big => "32-bit code",
            SegmentKind::Code { .. } => "16-bit code",
            _ => kind.name(),
        };
        write!(f, "{name} dpl {dpl}")?;
        match kind {
            SegmentKind::Code {
                conforming,
                readable,
                ..
            } => {
                f.write_str(if readable {
                    " readable"
                } else {
                    " execute-only"
                })?;
                f.write_str(if conforming { " conforming" } else { "" })?;
                // The CPU refuses L and D together.
                f.write_str(if self.0.long && self.0.big {
                    " with D set: invalid"
                } else {
                    ""
                })?;
            }
            SegmentKind::Data {
                expand_down,
                writable,
                ..
            } => {
                f.write_str(if writable { " writable" } else { " read-only" })?;
                f.write_str(if expand_down { " expand-down" } else { "" })?;
            }
            SegmentKind::CallGate { selector, offset } => {
                write!(f, " to {:#x}:{offset}", selector.0)?;
            }
            SegmentKind::Ldt | SegmentKind::Tss { .. } => {
                write!(f, " base {} limit {limit:#x}", VirtAddr(base))?;
            }
            SegmentKind::Null | SegmentKind::Reserved { .. } => {}
        }
        if self.0.reserved() != 0 {
            write!(f, ", reserved bits {:#x} are set", self.0.reserved())?;
        }
        f.write_str(if self.0.present { "" } else { ", not present" })
    }
}
