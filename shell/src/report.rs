//! The report of a fault: the cause in a sentence, then everything that was known.
//!
//! It is the same for the kernel and for programs, and for a fault that has just come and one
//! that is shown again. Nothing in it allocates or waits; raw addresses come before their names.

mod code;
mod named;
mod origin;
mod pointers;

use core::fmt::{self, Write};
use core::hint::black_box;

use machine::{AccessKind, Cause, Level, VirtAddr, bits, vectors};

use self::origin::Origin;
use self::pointers::Registers;
use crate::backtrace::{Images, write_frames};
use crate::{FaultRecord, OnStack, Symbols, Target};

/// Writes the report of a fault, but for its first line's beginning (`fault: `, `fault 3: `), which
/// tells who reports.
///
/// # Errors
///
/// Only those of `out`.
pub fn report(record: &FaultRecord, target: &mut dyn Target, out: &mut dyn Write) -> fmt::Result {
    let cause = record.cause();
    write!(out, "{}", record.sentence())?;
    writeln!(out, "{}{}", Origin::of(record, &cause, target), Who(record))?;
    if record.panic.is_none() {
        what(record, out)?;
        named::write(record, &cause, out)?;
    }
    let pointing = Registers::of(record, target);
    let images = images(record, target);
    registers(record, &images, out)?;
    // Of a panic they are those of its handler, and say nothing.
    if record.panic.is_none() {
        code::write(record, &images, out)?;
        pointing.write(record, &images, out)?;
    }
    if let Some(guard) = &record.guard {
        write!(out, "CR2 is in the guard page of {guard}")?;
        writeln!(out, ", {} below its last byte", Below(record, guard))?;
    }
    walk(record, &cause, out)?;
    if let Some(stack) = &record.stack {
        let used = stack.top.0.saturating_sub(record.registers.rsp);
        let size = stack.top.0.saturating_sub(stack.bottom.0);
        writeln!(
            out,
            "RSP is on {stack}: {used:#x} of {size:#x} bytes in use"
        )?;
    }
    if !record.backtrace.calls.is_empty() {
        writeln!(out, "backtrace:")?;
        record.backtrace.write(&images, out)?;
    }
    next(record, &cause, out)
}

/// `; in hello (pid 3)`.
pub(crate) struct Who<'a>(pub(crate) &'a FaultRecord);

impl fmt::Display for Who<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FaultRecord { pid, name, .. } = self.0;
        let ring = self.0.registers.cs & 3;
        match (pid, ring) {
            (0, _) => write!(f, "; in the kernel"),
            (_, 0) => write!(f, "; in the kernel, for {name} (pid {pid})"),
            _ => write!(f, "; in {name} (pid {pid})"),
        }
    }
}

/// How far below the bottom of a stack CR2 is.
struct Below<'a>(&'a FaultRecord, &'a OnStack);

impl fmt::Display for Below<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let distance = self.1.bottom.0.wrapping_sub(self.0.registers.cr2);
        write!(f, "{distance:#x} bytes")
    }
}

impl fmt::Display for OnStack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)?;
        match self.number {
            Some(number) => write!(f, " {number}"),
            None => Ok(()),
        }
    }
}

const PAGE_FAULT: u8 = 14;
const DOUBLE_FAULT: u8 = 8;

/// Vector and error code, in words.
fn what(record: &FaultRecord, out: &mut dyn Write) -> fmt::Result {
    let FaultRecord { vector, error, .. } = *record;
    write!(out, "{}, vector {vector}", vectors::name(vector))?;
    if vectors::has_error_code(vector) {
        write!(out, ", error code {error:#x}")?;
    }
    writeln!(out)?;
    if vector == PAGE_FAULT {
        match error {
            0 => writeln!(out, "error code bits: none")?,
            error => writeln!(out, "error code bits: {}", bits::PAGE_FAULT.names(error))?,
        }
    }
    Ok(())
}

fn registers(record: &FaultRecord, images: &Images<'_>, out: &mut dyn Write) -> fmt::Result {
    let all = &record.registers;
    writeln!(
        out,
        "RIP {} CS {:#x} RFLAGS {:#x} RSP {} SS {:#x}",
        VirtAddr(all.rip),
        all.cs,
        all.rflags,
        VirtAddr(all.rsp),
        all.ss
    )?;
    if let Some(image) = images.at(VirtAddr(all.rip)) {
        write_frames(image.describe(VirtAddr(all.rip)), "    ", out)?;
    }
    write!(out, "CR2 {}", VirtAddr(all.cr2))?;
    // #DF may have come of a page fault.
    if all.cr2 != 0 && ![PAGE_FAULT, DOUBLE_FAULT].contains(&record.vector) {
        write!(out, " (of an earlier page fault)")?;
    }
    write!(out, " CR3 {:#x}", all.cr3)?;
    match (record.is_master, record.pid) {
        (true, _) => writeln!(out, " (master)")?,
        (false, 0) => writeln!(out, " (neither the master nor a process's)")?,
        (false, pid) => writeln!(out, " (pid {pid})")?,
    }
    for row in general(record).chunks(3) {
        for (index, (name, value)) in row.iter().enumerate() {
            let gap = if index == 0 { "" } else { " " };
            write!(out, "{gap}{name:<3} {}", VirtAddr(*value))?;
        }
        writeln!(out)?;
    }
    Ok(())
}

fn general(record: &FaultRecord) -> [(&'static str, u64); 15] {
    let all = &record.registers;
    [
        ("RAX", all.rax),
        ("RBX", all.rbx),
        ("RCX", all.rcx),
        ("RDX", all.rdx),
        ("RSI", all.rsi),
        ("RDI", all.rdi),
        ("RBP", all.rbp),
        ("R8", all.r8),
        ("R9", all.r9),
        ("R10", all.r10),
        ("R11", all.r11),
        ("R12", all.r12),
        ("R13", all.r13),
        ("R14", all.r14),
        ("R15", all.r15),
    ]
}

/// The walk of CR2 as it was, with a mark at the entry that decided.
fn walk(record: &FaultRecord, cause: &Cause, out: &mut dyn Write) -> fmt::Result {
    let Some(walk) = &record.walk else {
        return Ok(());
    };
    let decided: Option<Level> = match cause {
        Cause::Refused(refused) => Some(refused.level),
        _ => None,
    };
    for step in walk.steps() {
        write!(
            out,
            "{:4} {} [{:3}] {:016x} ",
            step.entry.level.name(),
            step.table,
            step.index,
            step.entry.raw,
        )?;
        match step.entry.is_present() {
            true => write!(out, "{}", step.entry.rights())?,
            false => write!(out, "absent")?,
        }
        match decided == Some(step.entry.level) {
            true => writeln!(out, "  <- decided")?,
            false => writeln!(out)?,
        }
    }
    Ok(())
}

/// The images that its addresses may belong to.
pub(crate) fn images<'t>(record: &FaultRecord, target: &'t mut dyn Target) -> Images<'t> {
    let Some(symbols) = target.symbols() else {
        return Images::default();
    };
    let symbols: &'t dyn Symbols = symbols;
    let program = (!record.name.is_empty()).then(|| symbols.named(&record.name).ok());
    Images {
        kernel: symbols.kernel().ok(),
        program: program.flatten(),
    }
}

/// Finds every name that a report has, and says how many calls there are. Nothing is written: this is
/// what a report costs besides.
pub(crate) fn look_up(record: &FaultRecord, target: &mut dyn Target) -> u64 {
    let pointing = Registers::of(record, target);
    let images = images(record, target);
    black_box(pointing.pointees(record, &images));
    for line in code::lines(record) {
        black_box(line.leads_to().and_then(|to| images.symbol(to)));
    }
    let rip = VirtAddr(record.registers.rip);
    black_box(images.at(rip).and_then(|image| image.describe(rip)));
    let mut calls = 0_u64;
    for call in &record.backtrace.calls {
        let found = images.describe(call);
        for frame in found.into_iter().flat_map(|found| found.frames) {
            black_box(frame);
        }
        calls = calls.saturating_add(1);
    }
    calls
}

/// The tables that were in use, as commands take them.
struct Root<'a>(&'a FaultRecord);

impl fmt::Display for Root<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.is_master, self.0.pid) {
            (true, _) => f.write_str("master"),
            (false, 0) => write!(f, "{}", self.0.root()),
            (false, pid) => write!(f, "{pid}"),
        }
    }
}

/// What to type next. The tables of a program that has died of its fault are gone: it is asked of events.
fn next(record: &FaultRecord, cause: &Cause, out: &mut dyn Write) -> fmt::Result {
    write!(out, "next: ")?;
    if record.pid != 0 && record.registers.cs & 3 != 0 {
        return writeln!(out, "`events pid={} last=20`", record.pid);
    }
    let refused = match cause {
        Cause::Refused(refused) => Some((refused.access, refused.at)),
        Cause::Stale { access, at } => Some((*access, *at)),
        _ => None,
    };
    match (refused, cause) {
        (Some((access, at)), _) => {
            let letter = match access.kind {
                AccessKind::Read => "r",
                AccessKind::Write => "w",
                AccessKind::Execute => "x",
            };
            let who = if access.user { "user" } else { "kernel" };
            let root = Root(record);
            writeln!(out, "`can {letter} {who} {at} {root}`, `walk {at} {root}`")
        }
        (None, Cause::StackUsedUp { .. } | Cause::Double { .. }) => {
            writeln!(out, "`stacks`, `events last=20`")
        }
        (None, Cause::Selector(_) | Cause::Gate { .. }) => writeln!(out, "`gdt`, `idt`, `tss`"),
        _ => writeln!(out, "`events last=20`"),
    }
}
