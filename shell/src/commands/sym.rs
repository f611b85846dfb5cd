//! `sym`: what an address is called, and where a name is.
//!
//! Run addresses and link addresses are easily taken for each other: the kernel is linked at 0
//! and runs wherever the bootloader put it. So the first line always shows both, and what
//! lies between them.

use core::fmt::Write;
use core::ops::ControlFlow;

use machine::VirtAddr;

use crate::backtrace::write_frames;
use crate::command::{ArgKind, Args, Command, Context, Group};
use crate::error::excerpt;
use crate::names::{LONGEST, image_at, is_name, kernel, program};
use crate::output::Output;
use crate::record::{Row, flag, hex, number, text};
use crate::{Error, Image};

const WORDS: &[&str] = &["cost", "inlined"];

/// What is to be said.
#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Names,
    Inlined,
    Cost,
}

pub(super) const COMMAND: Command = Command {
    name: "sym",
    group: Group::Memory,
    usage: "<address|name> [inlined|cost]",
    summary: "name an address, or find a name",
    help: "Of an address it shows where it runs, what the linker calls it and where the image begins; then who is there, innermost first: each function with its file, line and column, those that were inlined into it before it. The last line has the function that is there as such, and how far into it. An address in the upper half is the kernel's; of one in the lower half say whose it is: `in 3 sym $rip`.\nA name may be any part of one; everything whose name has it is listed with its address and size. What begins with a letter is a name; quotes hold one with blanks. With `inlined` it shows where functions were inlined instead. With `cost` it says how many cycles it takes to find the names of an address, without printing them: the least of eight times. `$_` becomes the address, or the one that is listed last, or the cycles.\nIn expressions, `sym:NAME` is the address of the only one with this name, whose path ends so, or whose name has it.",
    examples: &[
        ("sym $rip", "where is it?"),
        ("sym frames::", "what is in a module"),
        ("sym rdmsr inlined", "where it went"),
        ("x sym:COUNTERS 4 g", "a variable"),
    ],
    rows: &[
        Row {
            name: "address",
            about: "what an address is called",
            fields: &[
                hex("address", "where it runs"),
                text("image", "whose it is"),
                hex("link", "what the linker calls it"),
                hex("base", "where the image begins"),
                text("symbol", "the function or variable it lies in").or_null(),
                number("bytes", "the size of that").or_null(),
                flag("is_code", "whether that is code").or_null(),
            ],
        },
        Row {
            name: "frame",
            about: "who is there, innermost first",
            fields: &[
                text("function", "its name; empty if nobody knows it"),
                number("offset", "how far into it").or_null(),
                text("file", "the source file; empty if nobody knows it"),
                number("line", "the line; 0 if it belongs to none"),
                number("column", "the column; 0 if nobody knows it"),
                flag("is_inlined", "whether it was inlined into the next one"),
            ],
        },
        Row {
            name: "cost",
            about: "what it takes to find the names",
            fields: &[
                number("frames", "how many functions there are"),
                number(
                    "cycles",
                    "of the time-stamp counter, the least of eight times",
                ),
            ],
        },
        Row {
            name: "symbol",
            about: "what has the name",
            fields: &[
                hex("address", "where it runs"),
                number("bytes", "its size"),
                flag("is_code", "whether it is code"),
                text("name", "its name"),
            ],
        },
        Row {
            name: "inlined",
            about: "where it was inlined",
            fields: &[
                hex("address", "where the piece runs"),
                number("bytes", "its size"),
                text("place", "what it is in").or_null(),
            ],
        },
        Row {
            name: "summary",
            about: "what was found by name",
            fields: &[
                number("found", "how many were listed"),
                number(
                    "only_inlined",
                    "functions that have the name and are nowhere as such",
                ),
            ],
        },
    ],
    args: &[ArgKind::Any, ArgKind::Words(WORDS)],
    run,
};

fn run(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let word = args.operand().ok_or(Error::Missing("address or name"))?;
    let text = word.text()?;
    let what = match args.word() {
        None => What::Names,
        Some(word) if word.text()? == "inlined" => What::Inlined,
        Some(word) if word.text()? == "cost" => What::Cost,
        Some(word) => return Err(Error::Unknown(excerpt(word.0), "`inlined` or `cost`")),
    };
    args.done()?;
    match (is_name(text), what) {
        (true, What::Cost) => Err(Error::Said("`cost` is about an address, not a name")),
        (true, what) => by_name(context, text, what == What::Inlined),
        (false, What::Inlined) => Err(Error::Said("`inlined` is about a name, not an address")),
        (false, what) => {
            let address = VirtAddr(context.evaluate(text)?);
            match what {
                What::Cost => cost(context, address),
                _ => by_address(context, address),
            }
        }
    }
}

/// How long it takes to find the names of an address.
fn cost(context: &mut Context<'_>, address: VirtAddr) -> Result<(), Error> {
    let (mut least, mut frames) = (u64::MAX, 0_u64);
    for _ in 0..8 {
        let start = cycles(context)?;
        let image = image_at(context.target, context.focus, address)?;
        // By reference: an answer is large.
        let mut found = image.describe(address);
        frames = 0;
        while found
            .as_mut()
            .is_some_and(|found| found.frames.next().is_some())
        {
            frames = frames.saturating_add(1);
        }
        least = least.min(cycles(context)?.saturating_sub(start));
    }
    context.state.value = least;
    let out = &mut context.out;
    if out.is_json() {
        out.record("cost")
            .number("frames", frames)
            .number("cycles", least)
            .end()?;
    } else {
        let plural = if frames == 1 { "" } else { "s" };
        writeln!(out, "{address}: {frames} frame{plural} in {least} cycles")?;
    }
    Ok(())
}

fn cycles(context: &mut Context<'_>) -> Result<u64, Error> {
    let clock = context.target.clock().ok_or(Error::Lacks("clock"))?;
    Ok(clock.cycles())
}

fn by_address(context: &mut Context<'_>, address: VirtAddr) -> Result<(), Error> {
    let image = image_at(context.target, context.focus, address)?;
    let found = image.describe(address);
    let found = found.ok_or(Error::Unnamed(address, excerpt(image.name)))?;
    let out = &mut context.out;
    context.state.value = address.0;
    if out.is_json() {
        out.record("address")
            .hex("address", address)
            .text("image", image.name)
            .hex("link", found.address)
            .hex("base", image.base)
            .maybe_text("symbol", found.symbol.map(|symbol| symbol.name))
            .number("bytes", found.symbol.map(|symbol| symbol.bytes))
            .flag("is_code", found.symbol.map(|symbol| symbol.is_code))
            .end()?;
        for frame in found.frames {
            out.record("frame")
                .text("function", frame.function)
                .number("offset", frame.offset)
                .text("file", frame.file)
                .number("line", frame.line)
                .number("column", frame.column)
                .flag("is_inlined", frame.is_inlined)
                .end()?;
        }
        return Ok(());
    }
    writeln!(
        out,
        "{address} in {}: link address {:#x}, image base {}",
        image.name,
        found.address,
        VirtAddr(image.base)
    )?;
    if let Some(symbol) = found.symbol.filter(|symbol| !symbol.is_code) {
        writeln!(out, "{found}, {} bytes", symbol.bytes)?;
    }
    write_frames(Some(found), "", out)?;
    Ok(())
}

fn by_name(context: &mut Context<'_>, name: &str, inlined: bool) -> Result<(), Error> {
    if name.len() > LONGEST {
        return Err(Error::Said("no name is that long"));
    }
    let mut found = Tally::default();
    if let Some(pid) = context.focus {
        let image = program(context.target, pid)?;
        found.list(&image, name, inlined, &mut context.out)?;
    }
    let image = kernel(context.target)?;
    found.list(&image, name, inlined, &mut context.out)?;
    let Some(last) = found.last else {
        return Err(match (inlined, found.others) {
            (true, _) => Error::NotInlined(excerpt(name)),
            (false, 0) => Error::NoSymbol(excerpt(name)),
            (false, others) => Error::OnlyInlined(excerpt(name), others),
        });
    };
    context.state.value = last.0;
    if context.out.is_json() {
        let record = context.out.record("summary").number("found", found.count);
        return Ok(record.number("only_inlined", found.others).end()?);
    }
    let plural = if found.count == 1 { "" } else { "s" };
    let what = if inlined { "inlined piece" } else { "symbol" };
    write!(context.out, "{} {what}{plural}", found.count)?;
    match found.others {
        0 => writeln!(context.out)?,
        others => writeln!(context.out, "; {others} more only inlined")?,
    }
    Ok(())
}

/// What has been listed.
#[derive(Default)]
struct Tally {
    count: u64,
    last: Option<VirtAddr>,
    /// Functions that have the name and are nowhere as such.
    others: u64,
}

impl Tally {
    fn list(
        &mut self,
        image: &Image<'_>,
        name: &str,
        inlined: bool,
        out: &mut Output<'_>,
    ) -> Result<(), Error> {
        match inlined {
            true => self.inlined(image, name, out),
            false => self.symbols(image, name, out),
        }
    }

    fn symbols(
        &mut self,
        image: &Image<'_>,
        name: &str,
        out: &mut Output<'_>,
    ) -> Result<(), Error> {
        for symbol in image.index.symbols() {
            if !symbol.name.contains(name) {
                continue;
            }
            let at = image.run(symbol.address);
            let kind = if symbol.is_code { "code" } else { "data" };
            match out.is_json() {
                true => out
                    .record("symbol")
                    .hex("address", at)
                    .number("bytes", symbol.bytes)
                    .flag("is_code", symbol.is_code)
                    .text("name", symbol.name)
                    .end()?,
                false => writeln!(out, "{at} {:6} {kind} {}", symbol.bytes, symbol.name)?,
            }
            self.count = self.count.saturating_add(1);
            self.last = Some(at);
        }
        image.index.inlined_only(name, |_| {
            self.others = self.others.saturating_add(1);
            ControlFlow::Continue(())
        });
        Ok(())
    }

    fn inlined(
        &mut self,
        image: &Image<'_>,
        name: &str,
        out: &mut Output<'_>,
    ) -> Result<(), Error> {
        let mut result = Ok(());
        image.index.inlined(name, |stretch| {
            let at = image.run(stretch.address);
            result = match (out.is_json(), stretch.found()) {
                (true, found) => out
                    .record("inlined")
                    .hex("address", at)
                    .number("bytes", stretch.bytes)
                    .maybe_text("place", found)
                    .end(),
                (false, Some(found)) => writeln!(out, "{at} {:6} in {found}", stretch.bytes),
                (false, None) => writeln!(out, "{at} {:6} in ?", stretch.bytes),
            };
            self.count = self.count.saturating_add(1);
            self.last = Some(at);
            match result {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            }
        });
        Ok(result?)
    }
}
