//! The way into ring 3 in its stages: what each is about to do, and whether it did.

use core::fmt::{self, Write};

use heapless::{String, Vec};
use machine::{PhysAddr, Registers, VirtAddr};

use crate::command::Context;
use crate::disassembly::Line;
use crate::going;
use crate::output::Output;
use crate::record::{Row, flag, hex, number, text};
use crate::render::Count;
use crate::stop::{next, root_name};
use crate::virt::Virt;
use crate::{Error, Moment, Pid, Stop, StopReason, Went};

macro_rules! stages {
    ($($(#[$doc:meta])* $stage:ident,)*) => {
        /// A stage, in the order they are gone through.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum Stage {
            $($(#[$doc])* $stage,)*
        }

        impl Stage {
            pub(crate) const ALL: &'static [Stage] = &[$(Stage::$stage,)*];
            pub(crate) const NAMES: &'static [&'static str] = &[$(stringify!($stage),)*];
        }
    };
}

stages! {
    /// The registers of the thread that goes are about to be saved.
    SaveContext,
    /// At `mov cr3`.
    LoadCr3,
    /// TSS.RSP0 is about to be set.
    SetRsp0,
    /// At the load of RSP.
    SwitchStack,
    /// The frame for IRETQ is about to be finished.
    BuildIretFrame,
    /// At IRETQ.
    Iretq,
    /// At the first instruction in ring 3.
    FirstUserInstruction,
    /// At the first instruction of the kernel after it.
    FirstTrapBack,
}

impl Stage {
    /// The stage with this name, whatever its case.
    pub(crate) fn from_name(name: &str) -> Option<Stage> {
        Stage::ALL
            .iter()
            .copied()
            .find(|stage| stage.name().eq_ignore_ascii_case(name))
    }

    /// Whether what it is about to do is done by the next instruction.
    fn is_one_instruction(self) -> bool {
        matches!(self, Stage::LoadCr3 | Stage::SwitchStack | Stage::Iretq)
    }

    pub(crate) fn name(self) -> &'static str {
        Stage::NAMES.get(self as usize).copied().unwrap_or("")
    }
}

/// What a record says of a stage; the three rows after it belong to it.
pub(crate) const STAGE: Row = Row {
    name: "stage",
    about: "a stage that was come to",
    fields: &[
        number("pid", "the process on its way"),
        text("stage", "the stage"),
        text("since", "the one before it").or_null(),
        number("instructions", "how many there were between the two").or_null(),
        text("about", "what is about to happen, in words"),
    ],
};

/// What it is about to do.
pub(crate) const FORETOLD: Row = Row {
    name: "foretold",
    about: "what the stage is about to do",
    fields: &[
        text("name", "what gets a value: a register, or RSP0"),
        hex("value", "the value"),
    ],
};

/// The top of the stack at it.
pub(crate) const WORD: Row = Row {
    name: "word",
    about: "a word of the stack, from RSP up",
    fields: &[
        hex("at", "its address"),
        hex("value", "its value").or_null(),
    ],
};

/// What was not the same at the stage before.
pub(crate) const CHANGE: Row = Row {
    name: "change",
    about: "what has changed since the stage before",
    fields: &[
        text("name", "a register, or RSP0"),
        hex("before", "its value there"),
        hex("after", "its value here"),
    ],
};

/// What the stage before was about to do.
pub(crate) const OBSERVED: Row = Row {
    name: "observed",
    about: "whether what was foretold at the stage before is so",
    fields: &[
        text("name", "what was to get a value"),
        hex("foretold", "which one"),
        hex("is", "which one it has").or_null(),
        flag("holds", "whether they are the same"),
    ],
};

/// Where a process is on its way, and what was foretold of the stage it is at.
#[derive(Clone, Debug)]
pub(crate) struct Staging {
    pub(crate) pid: Pid,
    /// Whether it was started for this, and ends if it is given up.
    pub(crate) is_new: bool,
    stage: Stage,
    registers: Registers,
    rsp0: Option<u64>,
    foretold: Vec<(&'static str, u64), 5>,
}

/// Instructions after which a stage is not waited for any more.
const MOST_INSTRUCTIONS: u64 = 1_000_000;

/// The moments of the kernel that tell stages apart.
const MOMENTS: [Moment; 2] = [Moment::Rsp0, Moment::Frame];

/// Begins: everything is stopped where the registers of whoever runs are about to be saved.
pub(crate) fn begin(context: &mut Context<'_>, pid: Pid, is_new: bool) -> Result<(), Error> {
    let stop = context.stop()?;
    arrive(context, pid, is_new, Stage::SaveContext, &stop, 0, None)
}

/// Goes on to `to`, or to the next stage.
pub(crate) fn advance(context: &mut Context<'_>, to: Option<Stage>) -> Result<(), Error> {
    loop {
        let staging = context.state.staging.clone().ok_or(Error::Said(
            "nothing is gone through in stages; `spawn PROGRAM --stop-at STAGE` begins",
        ))?;
        let reached = one(context, &staging)?;
        if to.is_none_or(|to| to <= reached) {
            return Ok(());
        }
    }
}

/// Goes on to the next stage; which one it is.
fn one(context: &mut Context<'_>, staging: &Staging) -> Result<Stage, Error> {
    if staging.stage == Stage::FirstTrapBack {
        return Err(Error::Said("that was the last stage; `continue` goes on"));
    }
    for moment in MOMENTS {
        context.debugger()?.arm(moment, Some(staging.pid));
    }
    let found = walk(context, staging);
    for moment in MOMENTS {
        context.debugger()?.arm(moment, None);
    }
    let (stage, count) = found?;
    let stop = context.stop()?;
    arrive(
        context,
        staging.pid,
        staging.is_new,
        stage,
        &stop,
        count,
        Some(staging),
    )?;
    Ok(stage)
}

/// Executes instructions until one of the later stages is there.
fn walk(context: &mut Context<'_>, staging: &Staging) -> Result<(Stage, u64), Error> {
    for count in 1..=MOST_INSTRUCTIONS {
        context.check_interrupt()?;
        let went = going::step(context)?;
        if went != Went::Stopped {
            context.state.staging = None;
            going::finish(context, went)?;
            return Err(Error::Said("the way was left before the next stage"));
        }
        let stop = context.stop()?;
        if count == 1 && staging.stage.is_one_instruction() {
            observe(context, staging, &stop.registers, None)?;
        }
        let line = next(
            context.target,
            going::root(&stop),
            VirtAddr(stop.registers.rip),
        );
        if let Some(stage) = stage_at(&stop, &line).filter(|stage| *stage > staging.stage) {
            return Ok((stage, count));
        }
        if !matches!(stop.reason, StopReason::Step | StopReason::Moment { .. }) {
            return Err(Error::Stopped);
        }
    }
    Err(Error::Said("no stage after a million instructions"))
}

fn stage_at(stop: &Stop, line: &Line) -> Option<Stage> {
    let in_kernel = stop.registers.cs & 3 == 0;
    match stop.reason {
        StopReason::Moment {
            moment: Moment::Rsp0,
            ..
        } => Some(Stage::SetRsp0),
        StopReason::Moment {
            moment: Moment::Frame,
            ..
        } => Some(Stage::BuildIretFrame),
        _ if !in_kernel => Some(Stage::FirstUserInstruction),
        _ if line.loads_cr3().is_some() => Some(Stage::LoadCr3),
        _ if line.loads_rsp() => Some(Stage::SwitchStack),
        _ if line.is_iretq() => Some(Stage::Iretq),
        _ if stop.before.is_some_and(|before| before.cs & 3 == 3) => Some(Stage::FirstTrapBack),
        _ => None,
    }
}

/// Shows a stage: how it was come to, whether the last one did what was foretold, what this one is
/// about to do.
fn arrive(
    context: &mut Context<'_>,
    pid: Pid,
    is_new: bool,
    stage: Stage,
    stop: &Stop,
    count: u64,
    last: Option<&Staging>,
) -> Result<(), Error> {
    let registers = stop.registers;
    let rsp0 = rsp0(context);
    if let Some(last) = last {
        let name = last.stage.name();
        if !context.out.is_json() {
            writeln!(context.out, "{} since {name}", Count(count, "instruction"))?;
        }
        changes(context, &last.registers, &registers, last.rsp0, rsp0)?;
        if !last.stage.is_one_instruction() {
            observe(context, last, &registers, rsp0)?;
        }
    }
    let mut staging = Staging {
        pid,
        is_new,
        stage,
        registers,
        rsp0,
        foretold: Vec::new(),
    };
    let about = foretell(context, &mut staging, stop)?;
    if context.out.is_json() {
        context
            .out
            .record(STAGE.name)
            .number("pid", pid)
            .text("stage", stage.name())
            .maybe_text("since", last.map(|last| last.stage.name()))
            .number("instructions", last.map(|_| count))
            .text("about", about)
            .end()?;
        for (name, value) in &staging.foretold {
            let record = context.out.record(FORETOLD.name).text("name", name);
            record.hex("value", *value).end()?;
        }
    } else {
        writeln!(context.out, "stage {}: {about}", stage.name())?;
    }
    stack(context, stop)?;
    context.state.staging = Some(staging);
    Ok(())
}

/// What of the state that matters on the way is not as it was.
fn changes(
    context: &mut Context<'_>,
    before: &Registers,
    after: &Registers,
    rsp0_before: Option<u64>,
    rsp0_after: Option<u64>,
) -> Result<(), Error> {
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
fn observe(
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

/// What is about to happen, as values and in words.
fn foretell(
    context: &mut Context<'_>,
    staging: &mut Staging,
    stop: &Stop,
) -> Result<String<192>, Error> {
    let registers = stop.registers;
    // The longest of these lines has some 130 bytes.
    let mut about = String::new();
    let mut told = |name, value| {
        // There is room for five.
        let _ = staging.foretold.push((name, value));
    };
    match staging.stage {
        Stage::SaveContext => {
            write!(about, "about to leave the thread of pid {}", stop.pid)?;
        }
        Stage::LoadCr3 => {
            let new = source_of_cr3(context, stop).unwrap_or(0);
            told("cr3", new);
            let old = root_name(context.target, registers.cr3);
            let new = root_name(context.target, new);
            write!(about, "about to load CR3: {old} -> {new}")?;
        }
        Stage::SetRsp0 => {
            let value = match stop.reason {
                StopReason::Moment { a, .. } => a,
                _ => 0,
            };
            told("rsp0", value);
            let old = VirtAddr(staging.rsp0.unwrap_or(0));
            let new = VirtAddr(value);
            write!(about, "about to set TSS.RSP0: {old} -> {new}")?;
        }
        Stage::SwitchStack => {
            told("rsp", registers.rsi);
            let (old, new) = (VirtAddr(registers.rsp), VirtAddr(registers.rsi));
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
            let mut virt = Virt::new(context.target, going::root(stop));
            let mut words = [0; 5];
            for (offset, word) in (0..).step_by(8).zip(&mut words) {
                *word = virt.word(registers.rsp, offset)?;
            }
            let [rip, cs, rflags, rsp, ss] = words;
            for (name, value) in [
                ("rip", rip),
                ("cs", cs & 0xffff),
                ("rflags", rflags),
                ("rsp", rsp),
                ("ss", ss & 0xffff),
            ] {
                told(name, value);
            }
            write!(
                about,
                "about to take RIP {} CS {cs:#x} RFLAGS {rflags:#x} RSP {} SS {ss:#x}",
                VirtAddr(rip),
                VirtAddr(rsp)
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
fn rsp0(context: &mut Context<'_>) -> Option<u64> {
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
fn stack(context: &mut Context<'_>, stop: &Stop) -> Result<(), Error> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_is_found_by_its_name_whatever_its_case() {
        for stage in Stage::ALL {
            assert_eq!(Stage::from_name(stage.name()), Some(*stage));
        }
        assert_eq!(Stage::from_name("loadcr3"), Some(Stage::LoadCr3));
        assert_eq!(Stage::from_name("cr3"), None);
        assert!(Stage::LoadCr3 < Stage::Iretq);
    }
}
