//! `x`: look at memory.
//!
//! Reading never dereferences: it walks the tables and reads physical memory, so an
//! address that is not mapped, or that a device answers, is an error and not a crash.

mod strings;

use core::fmt::{self, Write};

use machine::{PhysAddr, PhysMemory, ReadError, VirtAddr, read_virt};

use crate::Error;
use crate::command::{ArgKind, Args, Command, Context, Group};
use crate::error::excerpt;
use crate::once::Once;
use crate::record::{Row, flag, hex, number, text};
use crate::root::root;
use crate::space::Space;

const WORDS: &[&str] = &[
    "b",
    "g",
    "h",
    "phys",
    "root=",
    "root=cr3",
    "root=master",
    "s",
    "w",
];

pub(super) const COMMAND: Command = Command {
    name: "x",
    group: Group::Memory,
    usage: "[/COUNT UNIT] <address> [count] [b|h|w|g|s] [phys | root=ROOT]",
    summary: "show memory",
    help: "Shows COUNT units from the address on: `b` bytes, with their characters at the right; `h` `w` `g` little-endian words of 2, 4 and 8 bytes; `s` strings, each up to its NUL. Without a count, 64 bytes or one string; without a unit, bytes. `x/16g ADDRESS` is the same as `x ADDRESS 16 g`. The unit, `phys` and the root may also come first.\nAddresses are virtual, by the tables of CR3 or of the root given; with `phys` they are physical. What is not mapped and what a device answers is not read: the command shows what comes before it and fails. `$_` becomes the last unit shown.",
    examples: &[
        ("x $rsp 8 g", "the top of the stack"),
        ("x/4g $cr3 phys", "the first entries of the PML4"),
        ("x $rip", "the code that is running"),
    ],
    rows: &[
        Row {
            name: "bytes",
            about: "up to 16 bytes",
            fields: &[
                hex("address", "of the first one"),
                number("count", "how many there are"),
                text("hex", "two digits for each"),
                text("text", "their characters; a dot for what is none"),
            ],
        },
        Row {
            name: "word",
            about: "a word of 2, 4 or 8 bytes",
            fields: &[
                hex("address", "where it is"),
                number("bytes", "its size"),
                hex("value", "its value"),
            ],
        },
        Row {
            name: "string",
            about: "a string up to its NUL, with s",
            fields: &[
                hex("address", "where it begins"),
                text(
                    "text",
                    "its characters; what is none as in Rust, such as \\n or \\x1b",
                ),
                flag("ends", "whether its NUL was found"),
            ],
        },
    ],
    args: &[ArgKind::Any, ArgKind::Words(WORDS)],
    run,
};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Unit {
    Bytes(usize),
    String,
}

/// Where bytes come from.
#[derive(Clone, Copy)]
enum Source {
    Virtual(Space),
    Physical,
}

/// How many bytes a row has.
const ROW: usize = 16;

fn run(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (mut count, mut unit, mut source) = (None, Once::default(), Once::default());
    if let Some(suffix) = args.suffix {
        let digits = suffix.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let letters = suffix.get(digits.len()..).unwrap_or("");
        if !digits.is_empty() {
            count = Some(context.evaluate(digits)?);
        }
        // `x` for hex is what everything is shown in; people type it out of habit.
        for letter in letters.split_inclusive(|_| true).filter(|c| *c != "x") {
            let known = unit_of(letter).ok_or(Error::Unknown(
                excerpt(suffix),
                "a count and one of b h w g s",
            ))?;
            unit.set(letter, known)?;
        }
    }
    let mut address = None;
    while let Some(word) = args.operand() {
        let text = word.text()?;
        if let Some(known) = unit_of(text) {
            unit.set(text, known)?;
        } else if text == "phys" {
            source.set(text, Source::Physical)?;
        } else if let Some(name) = text.strip_prefix("root=") {
            source.set(text, Source::Virtual(root(name, context)?))?;
        } else if address.is_none() {
            address = Some(context.evaluate(text)?);
        } else if count.is_none() {
            count = Some(context.evaluate(text)?);
        } else {
            return Err(Error::Unexpected(excerpt(word.0)));
        }
    }
    let address = address.ok_or(Error::Missing("address"))?;
    let source = match source.get() {
        Some(source) => source,
        None => Source::Virtual(Space::live(context.cr3()?)),
    };
    match unit.get().unwrap_or(Unit::Bytes(1)) {
        Unit::String => strings::strings(context, source, address, count.unwrap_or(1)),
        Unit::Bytes(size) => {
            let count = count.unwrap_or(64 / size as u64);
            let bytes = count.checked_mul(size as u64).ok_or(Error::TooLarge)?;
            rows(context, source, address, bytes, size)
        }
    }
}

fn unit_of(letter: &str) -> Option<Unit> {
    Some(match letter {
        "b" => Unit::Bytes(1),
        "h" => Unit::Bytes(2),
        "w" => Unit::Bytes(4),
        "g" => Unit::Bytes(8),
        "s" => Unit::String,
        _ => return None,
    })
}

/// Reads as much of `buf` as can be read, and says how much that is and why not more.
fn read(
    context: &mut Context<'_>,
    source: Source,
    address: u64,
    buf: &mut [u8],
) -> (usize, Option<Error>) {
    let paging = context.target.paging();
    match source {
        Source::Virtual(space) => {
            let (mut view, va) = (context.view(&space), VirtAddr(address));
            match read_virt(&mut view, &paging, space.root, va, buf) {
                Ok(()) => (buf.len(), None),
                Err(why) => {
                    let good = why.at.0.wrapping_sub(address);
                    let good = usize::try_from(good).unwrap_or(0).min(buf.len());
                    (good, Some(why.into()))
                }
            }
        }
        Source::Physical => match physical(context.target.memory(), address, buf) {
            Ok(()) => (buf.len(), None),
            Err(_) => {
                // Perhaps it is the end of a frame that has to be kept away from.
                let frame = (0x1000 - (address & 0xfff)) as usize;
                let Some(first) = buf.get_mut(..frame) else {
                    return (
                        0,
                        physical(context.target.memory(), address, buf)
                            .err()
                            .map(Error::Read),
                    );
                };
                match physical(context.target.memory(), address, first) {
                    Ok(()) => {
                        let next = address.wrapping_add(frame as u64);
                        let rest = buf.get_mut(frame..).unwrap_or(&mut []);
                        (
                            frame,
                            physical(context.target.memory(), next, rest)
                                .err()
                                .map(Error::Read),
                        )
                    }
                    Err(why) => (0, Some(why.into())),
                }
            }
        },
    }
}

fn physical(memory: &mut dyn PhysMemory, address: u64, buf: &mut [u8]) -> Result<(), ReadError> {
    memory.read(PhysAddr(address), buf)
}

fn rows(
    context: &mut Context<'_>,
    source: Source,
    address: u64,
    bytes: u64,
    size: usize,
) -> Result<(), Error> {
    let mut done = 0;
    while done < bytes {
        context.check_interrupt()?;
        let mut row = [0; ROW];
        let at = address.wrapping_add(done);
        let wanted = usize::try_from(bytes - done).unwrap_or(ROW).min(ROW);
        let (good, error) = read(
            context,
            source,
            at,
            row.get_mut(..wanted).unwrap_or(&mut []),
        );
        // Half a word is not shown.
        let good = row.get(..good - good % size).unwrap_or(&[]);
        if !good.is_empty() {
            show(context, source, at, good, size)?;
        }
        if let Some(error) = error {
            return Err(error);
        }
        done += wanted as u64;
    }
    Ok(())
}

fn show(
    context: &mut Context<'_>,
    source: Source,
    at: u64,
    row: &[u8],
    size: usize,
) -> Result<(), Error> {
    if context.out.is_json() {
        return records(context, at, row, size);
    }
    let out = &mut context.out;
    match source {
        Source::Virtual(_) => write!(out, "{}", VirtAddr(at))?,
        Source::Physical => write!(out, "{}", PhysAddr(at))?,
    }
    for (index, unit) in row.chunks(size).enumerate() {
        let value = value_of(unit);
        // Bytes stand in fours, so that a row with its characters fits 80 columns.
        let gap = if size > 1 || index % 4 == 0 { " " } else { "" };
        write!(out, "{gap}{value:0width$x}", width = size * 2)?;
        context.state.value = value;
    }
    if size == 1 {
        let width = 2 * row.len() + row.len().div_ceil(4);
        write!(out, "{:pad$}", "", pad = 36_usize.saturating_sub(width) + 1)?;
        write!(out, "{}", Characters(row))?;
    }
    writeln!(out)?;
    Ok(())
}

/// A little-endian word.
fn value_of(unit: &[u8]) -> u64 {
    let bytes = unit.iter().rev();
    bytes.fold(0, |value, byte| value << 8 | u64::from(*byte))
}

/// A record for the bytes of a row, or for each of its words.
fn records(context: &mut Context<'_>, at: u64, row: &[u8], size: usize) -> Result<(), Error> {
    let out = &mut context.out;
    let last = row.chunks(size).next_back().map_or(0, value_of);
    context.state.value = last;
    if size == 1 {
        let record = out
            .record("bytes")
            .hex("address", at)
            .number("count", row.len())
            .text("hex", Digits(row))
            .text("text", Characters(row));
        return Ok(record.end()?);
    }
    for (unit, offset) in row.chunks(size).zip((0_u64..).step_by(size)) {
        out.record("word")
            .hex("address", at.wrapping_add(offset))
            .number("bytes", size)
            .hex("value", value_of(unit))
            .end()?;
    }
    Ok(())
}

/// Bytes as two digits each.
struct Digits<'a>(&'a [u8]);

impl fmt::Display for Digits<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Bytes as characters; a dot for what is none.
struct Characters<'a>(&'a [u8]);

impl fmt::Display for Characters<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |byte: &u8| match char::from(*byte) {
            c @ ' '..='~' => c,
            _ => '.',
        };
        self.0.iter().try_for_each(|byte| f.write_char(shown(byte)))
    }
}
