//! What a stage is about to do, as values, and what it has done.

use core::fmt::{self, Write};

use heapless::{String, Vec};
use machine::{PhysAddr, Registers, VirtAddr};

use super::Staging;
use super::rows::{CHANGE, OBSERVED, WORD};
use super::stage::Stage;
use crate::command::Context;
use crate::foretold::frame_at;
use crate::going;
use crate::output::Output;
use crate::stop::{next, root_name};
use crate::virt::Virt;
use crate::{Error, Stop, StopReason};

/// Values by their names.
pub(super) type Values = Vec<(&'static str, u64), 5>;

/// What of the state that matters on the way is not as it was.
pub(super) fn changes(
    context: &mut Context<'_>,
    last: &Staging,
    after: &Registers,
    rsp0_after: Option<u64>,
) -> Result<(), Error> {
    let (before, rsp0_before) = (&last.registers, last.rsp0);
    for name in ["cs", "ss", "cr3", "rsp", "rflags"] {
        let (old, new) = (before.by_name(name), after.by_name(name));
        change(&mut context.out, name, old, new)?;
    }
    Ok(change(&mut context.out, "rsp0", rsp0_before, rsp0_after)?)
}

/// One value, if it is not as it was.
fn change(out: &mut Output<'_>, name: &str, old: Option<u64>, new: Option<u64>) -> fmt::Result {
    let (Some(old), Some(new)) = (old, new) else {
        return Ok(());
    };
    if old == new {
        return Ok(());
    }
    if out.is_json() {
        let record = out.record(CHANGE.name).text("name", name);
        return record.hex("before", old).hex("after", new).end();
    }
    let (old, new) = (VirtAddr(old), VirtAddr(new));
    writeln!(out, "  {name:<6} {old} -> {new}")
}

/// Whether what was foretold at the last stage is so.
pub(super) fn observe(
    context: &mut Context<'_>,
    last: &Staging,
    registers: &Registers,
    rsp0: Option<u64>,
) -> Result<(), Error> {
    let is_now = |name: &str| match name {
        "rsp0" => rsp0,
        name => registers.by_name(name),
    };
    if context.out.is_json() {
        for (name, value) in &last.foretold {
            let is = is_now(name);
            context
                .out
                .record(OBSERVED.name)
                .text("name", name)
                .hex("foretold", *value)
                .hex("is", is)
                .flag("holds", is == Some(*value))
                .end()?;
        }
        return Ok(());
    }
    let mut wrong = 0_u32;
    for (name, value) in &last.foretold {
        let is = is_now(name);
        if is != Some(*value) {
            wrong = wrong.saturating_add(1);
            let (value, is) = (VirtAddr(*value), VirtAddr(is.unwrap_or(0)));
            writeln!(
                context.out,
                "  NOT as foretold: {name} was to be {value} and is {is}"
            )?;
        }
    }
    if wrong == 0 && !last.foretold.is_empty() {
        write!(context.out, "  as foretold:")?;
        for (name, value) in &last.foretold {
            write!(context.out, " {name} {value:#x}")?;
        }
        writeln!(context.out)?;
    }
    Ok(())
}

/// What is about to happen, as values.
pub(super) fn values(
    context: &mut Context<'_>,
    staging: &Staging,
    stop: &Stop,
) -> Result<Values, Error> {
    let mut values = Values::new();
    let mut told = |name, value| {
        // There is room for five.
        let _ = values.push((name, value));
    };
    match (staging.stage, stop.reason) {
        (Stage::LoadCr3, _) => told("cr3", source_of_cr3(context, stop).unwrap_or(0)),
        (Stage::SetRsp0, StopReason::Moment { a, .. }) => told("rsp0", a),
        // See `arch::switch`: the stack that is left is saved where RDI says, RSI is the other.
        (Stage::SwitchStack, _) => told("rsp", stop.registers.rsi),
        (Stage::Iretq, _) => {
            let frame = frame_at(context, stop)?;
            told("rip", frame.rip);
            told("cs", frame.cs & 0xffff);
            told("rflags", frame.rflags);
            told("rsp", frame.rsp);
            told("ss", frame.ss & 0xffff);
        }
        _ => {}
    }
    Ok(values)
}

/// The same in words.
pub(super) fn foretell(
    context: &mut Context<'_>,
    staging: &Staging,
    stop: &Stop,
) -> Result<String<192>, Error> {
    // The longest of these lines has some 130 bytes.
    let mut about = String::new();
    let registers = &stop.registers;
    let first = staging.foretold.first().map_or(0, |(_, value)| *value);
    match staging.stage {
        Stage::SaveContext => {
            write!(about, "about to leave the thread of pid {}", stop.pid)?;
        }
        Stage::LoadCr3 => {
            let old = root_name(context.target, registers.cr3);
            let new = root_name(context.target, first);
            write!(about, "about to load CR3: {old} -> {new}")?;
        }
        Stage::SetRsp0 => {
            let (old, new) = (VirtAddr(staging.rsp0.unwrap_or(0)), VirtAddr(first));
            write!(about, "about to set TSS.RSP0: {old} -> {new}")?;
        }
        Stage::SwitchStack => {
            let (old, new) = (VirtAddr(registers.rsp), VirtAddr(first));
            write!(about, "about to load RSP: {old} -> {new}")?;
        }
        Stage::BuildIretFrame => {
            let at = match stop.reason {
                StopReason::Moment { a, .. } => VirtAddr(a),
                _ => VirtAddr(0),
            };
            write!(about, "about to finish the frame at {at}")?;
        }
        Stage::Iretq => {
            let frame = frame_at(context, stop)?;
            let (rip, rsp) = (VirtAddr(frame.rip), VirtAddr(frame.rsp));
            write!(
                about,
                "about to take RIP {rip} CS {:#x} RFLAGS {:#x} RSP {rsp} SS {:#x}",
                frame.cs, frame.rflags, frame.ss
            )?;
        }
        Stage::FirstUserInstruction => {
            let rsp0 = VirtAddr(staging.rsp0.unwrap_or(0));
            write!(
                about,
                "in ring {}; a trap will come back on the stack below {rsp0}",
                registers.cs & 3
            )?;
        }
        Stage::FirstTrapBack => {
            write!(about, "{}", TrapBack(stop, staging.rsp0))?;
        }
    }
    Ok(about)
}

/// How ring 3 was left.
struct TrapBack<'a>(&'a Stop, Option<u64>);

impl fmt::Display for TrapBack<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rsp = self.0.registers.rsp;
        let pushed = self.1.and_then(|rsp0| rsp0.checked_sub(rsp));
        match pushed {
            Some(bytes @ 40..=48) => {
                write!(f, "the CPU pushed {bytes} bytes below RSP0")
            }
            _ => f.write_str("nothing was pushed: by SYSCALL, still on the program's stack"),
        }
    }
}

/// The value of the register that `mov cr3` is about to load.
fn source_of_cr3(context: &mut Context<'_>, stop: &Stop) -> Option<u64> {
    let at = VirtAddr(stop.registers.rip);
    let line = next(context.target, going::root(stop), at);
    stop.registers.by_name(line.loads_cr3()?)
}

/// TSS.RSP0, by the descriptor that TR names.
pub(super) fn rsp0(context: &mut Context<'_>) -> Option<u64> {
    let registers = context.stop().ok()?.registers;
    let root = PhysAddr(registers.cr3);
    let mut virt = Virt::new(context.target, root);
    let at = u64::from(registers.tr & !7);
    let low = virt.word(registers.gdtr.base, at).ok()?;
    let high = virt.word(registers.gdtr.base, at + 8).ok()?;
    let base = (low >> 16 & 0xff_ffff) | (low >> 56 & 0xff) << 24 | high << 32;
    virt.word(base, 4).ok()
}

/// The top of the stack.
pub(super) fn stack(context: &mut Context<'_>, stop: &Stop) -> Result<(), Error> {
    let rsp = stop.registers.rsp;
    let mut words = [None; 4];
    for (offset, place) in (0..).step_by(8).zip(&mut words) {
        let mut virt = Virt::new(context.target, going::root(stop));
        *place = virt.word(rsp, offset).ok();
    }
    let out = &mut context.out;
    if out.is_json() {
        for (offset, word) in (0..).step_by(8).zip(words) {
            let record = out.record(WORD.name).hex("at", rsp.wrapping_add(offset));
            record.hex("value", word).end()?;
        }
        return Ok(());
    }
    write!(out, "  stack at {}:", VirtAddr(rsp))?;
    for word in words {
        match word {
            Some(word) => write!(out, " {word:#x}")?,
            None => write!(out, " ?")?,
        }
    }
    writeln!(out)?;
    Ok(())
}
