//! `idt`: the interrupt descriptor table: where each vector leads, and on which stack.

use core::fmt::{self, Write};

use machine::{Gate, Selector, VirtAddr, vectors};

use crate::command::{ArgKind, Args, Command, Context, Group};
use crate::error::excerpt;
use crate::record::{Row, flag, hex, number, text};
use crate::render::Count;
use crate::virt::Virt;
use crate::{Error, Region};

pub(super) const COMMAND: Command = Command {
    name: "idt",
    group: Group::Processor,
    usage: "[vector | all]",
    summary: "show the interrupt gates",
    help: "Reads the table that IDTR names, through the page tables of CR3. Alone, shows a line for each exception, and one for each run of gates that are alike: absent ones, and those that differ only by handlers at equal distances. With a vector, shows that gate with its raw words; `all` shows every gate so.",
    examples: &[
        ("idt", "the whole table on a screen"),
        ("idt 14", "the page-fault gate in full"),
    ],
    rows: &[
        Row {
            name: "gates",
            about: "a gate, or a run of gates that are alike",
            fields: &[
                number("first", "the first vector"),
                number("last", "the last one"),
                text("name", "what the vector is, if it is the CPU's own").or_null(),
                hex("low", "the raw word of the first gate"),
                hex("high", "the second one"),
                hex("handler", "where it leads"),
                hex("step", "the distance from one handler to the next").or_null(),
                hex("selector", "the code segment"),
                number(
                    "ist",
                    "which stack of the TSS it gets, 0 for none in particular",
                ),
                number("dpl", "the least privileged ring that may use it with INT"),
                text("kind", "interrupt, trap, reserved type"),
                flag("present", "whether it is present"),
                text("region", "the name of the region of the handler").or_null(),
            ],
        },
        Row {
            name: "summary",
            about: "where the table is, if more than one gate is shown",
            fields: &[
                number("gates", "how many there are room for"),
                hex("base", "where the table is"),
                hex("limit", "its limit"),
            ],
        },
    ],
    args: &[ArgKind::Words(&["all"])],
    run,
};

fn run(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let wanted = match args.operand() {
        None => Wanted::Runs,
        Some(word) if word.text()? == "all" => Wanted::All,
        Some(word) => {
            let vector = context.evaluate(word.text()?)?;
            let vector = u8::try_from(vector);
            Wanted::One(vector.map_err(|_| Error::Unknown(excerpt(word.0), "a vector (0 to 255)"))?)
        }
    };
    args.done()?;
    let regs = context.registers()?;
    let base = regs.idtr.base;
    let gates = (u64::from(regs.idtr.limit) + 1) / Gate::BYTES as u64;
    match wanted {
        Wanted::One(vector) if u64::from(vector) >= gates => {
            return Err(Error::Said("the vector is beyond the table's limit"));
        }
        Wanted::One(vector) => return one(context, base, vector),
        Wanted::All => {
            for vector in 0..gates.min(256) {
                let gate = read(context, base, vector)?;
                match context.out.is_json() {
                    true => record(context, &Alike::new(vector, gate))?,
                    false => writeln!(context.out, "{vector:>3} {}", Raw(&gate))?,
                }
            }
        }
        Wanted::Runs => runs(context, base, gates.min(256))?,
    }
    if context.out.is_json() {
        let record = context
            .out
            .record("summary")
            .number("gates", gates)
            .hex("base", base)
            .hex("limit", regs.idtr.limit);
        return Ok(record.end()?);
    }
    let count = Count(gates, "gate");
    writeln!(
        context.out,
        "{count} at {} limit {:#x}",
        VirtAddr(base),
        regs.idtr.limit
    )?;
    Ok(())
}

enum Wanted {
    Runs,
    All,
    One(u8),
}

fn read(context: &mut Context<'_>, base: u64, vector: u64) -> Result<Gate, Error> {
    let root = context.cr3()?;
    let mut virt = Virt::new(context.target, root);
    let offset = vector * Gate::BYTES as u64;
    let low = virt.word(base, offset)?;
    let high = virt.word(base, offset + 8)?;
    Ok(Gate::decode(low, high))
}

fn one(context: &mut Context<'_>, base: u64, vector: u8) -> Result<(), Error> {
    let gate = read(context, base, vector.into())?;
    if context.out.is_json() {
        return Ok(record(context, &Alike::new(vector.into(), gate))?);
    }
    let region = context.region(gate.offset);
    let out = &mut context.out;
    writeln!(out, "raw      {:016x} {:016x}", gate.low, gate.high)?;
    writeln!(
        out,
        "vector   {vector} {} ({:?})",
        vectors::name(vector),
        vectors::kind(vector)
    )?;
    let pushes = if vectors::has_error_code(vector) {
        "pushes"
    } else {
        "does not push"
    };
    writeln!(out, "         the CPU {pushes} an error code")?;
    writeln!(out, "handler  {}{}", gate.offset, In(region))?;
    writeln!(out, "selector {}", gate.selector)?;
    match gate.ist {
        0 => writeln!(out, "stack    the current one, or RSP0 from ring 3")?,
        ist => writeln!(out, "stack    IST{ist}; `tss` shows it")?,
    }
    match gate.dpl {
        0 => writeln!(out, "INT      from ring 0 only")?,
        dpl => writeln!(out, "INT      from rings 0 to {dpl}")?,
    }
    let (kind, present) = (
        gate.kind.name(),
        if gate.present { "" } else { ", not present" },
    );
    writeln!(
        out,
        "vector {vector}: {kind} gate{present} -> {}",
        gate.offset
    )?;
    Ok(())
}

/// Where an address lies, in words that follow it.
struct In(Option<Region>);

impl fmt::Display for In {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(region) => write!(f, " in {}", region.name),
            None => Ok(()),
        }
    }
}

/// Gates that can share a line.
#[derive(Clone, Copy)]
struct Alike {
    first: u64,
    last: u64,
    gate: Gate,
    /// The handler of the last one, and the distance between handlers.
    end: VirtAddr,
    step: Option<u64>,
}

impl Alike {
    fn new(vector: u64, gate: Gate) -> Self {
        Alike {
            first: vector,
            last: vector,
            gate,
            end: gate.offset,
            step: None,
        }
    }

    /// Takes in the next gate, if it may share the line.
    fn take(&mut self, vector: u64, gate: &Gate) -> bool {
        let name = |vector: u64| u8::try_from(vector).map_or("", vectors::name);
        if name(vector) != name(self.first) && (gate.present || self.gate.present) {
            return false;
        }
        let step = gate.offset.0.wrapping_sub(self.end.0);
        let attributes = |gate: &Gate| (gate.selector, gate.ist, gate.kind, gate.dpl, gate.present);
        let same = match gate.present {
            false => (gate.low, gate.high) == (self.gate.low, self.gate.high),
            true => {
                attributes(gate) == attributes(&self.gate)
                    && self.step.is_none_or(|known| known == step)
            }
        };
        if same {
            (self.last, self.end, self.step) = (vector, gate.offset, Some(step));
        }
        same
    }
}

fn runs(context: &mut Context<'_>, base: u64, gates: u64) -> Result<(), Error> {
    let mut open: Option<Alike> = None;
    for vector in 0..gates {
        let gate = read(context, base, vector)?;
        if let Some(alike) = &mut open
            && alike.take(vector, &gate)
        {
            continue;
        }
        if let Some(alike) = open.replace(Alike::new(vector, gate)) {
            run_line(context, &alike)?;
        }
    }
    if let Some(alike) = open {
        run_line(context, &alike)?;
    }
    Ok(())
}

fn run_line(context: &mut Context<'_>, alike: &Alike) -> fmt::Result {
    match context.out.is_json() {
        true => record(context, alike),
        false => writeln!(context.out, "{}", RunLine(alike)),
    }
}

fn record(context: &mut Context<'_>, alike: &Alike) -> fmt::Result {
    let gate = &alike.gate;
    let region = context.region(gate.offset);
    let own = u8::try_from(alike.first).ok().filter(|vector| *vector < 32);
    context
        .out
        .record("gates")
        .number("first", alike.first)
        .number("last", alike.last)
        .maybe_text("name", own.map(vectors::name))
        .hex("low", gate.low)
        .hex("high", gate.high)
        .hex("handler", gate.offset)
        .hex("step", alike.step)
        .hex("selector", gate.selector.0)
        .number("ist", gate.ist)
        .number("dpl", gate.dpl)
        .text("kind", gate.kind.name())
        .flag("present", gate.present)
        .maybe_text("region", region.map(|region| region.name))
        .end()
}

struct RunLine<'a>(&'a Alike);

impl fmt::Display for RunLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Alike {
            first,
            last,
            gate,
            step,
            ..
        } = self.0;
        match first == last {
            true => write!(f, "{first:>3}      ")?,
            false => write!(f, "{first:>3}..{last:<3} ")?,
        }
        write!(f, "{}", Meaning(gate))?;
        if !gate.present && gate.low == 0 && gate.high == 0 {
            return Ok(());
        }
        // Past the CPU's own 32 a vector means what the kernel makes of it.
        if let Ok(vector @ 0..32) = u8::try_from(*first) {
            write!(f, " {}", vectors::name(vector))?;
        }
        match step {
            Some(step) if *step != 0 => write!(f, "; handlers {step:#x} apart"),
            Some(_) => write!(f, "; one handler"),
            None => Ok(()),
        }
    }
}

/// A gate with its raw words.
struct Raw<'a>(&'a Gate);

impl fmt::Display for Raw<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Gate { low, high, .. } = self.0;
        write!(f, "{low:016x} {high:016x} {}", Meaning(self.0))
    }
}

struct Meaning<'a>(&'a Gate);

impl fmt::Display for Meaning<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Gate {
            offset,
            selector: Selector(selector),
            ist,
            dpl,
            ..
        } = self.0;
        if !self.0.present && self.0.low == 0 && self.0.high == 0 {
            return f.write_str("absent");
        }
        let kind = self.0.kind.name();
        write!(f, "{offset} cs {selector:#06x} ist {ist} dpl {dpl} {kind}")?;
        f.write_str(if self.0.present { "" } else { " not present" })
    }
}
