//! `eval`: a number in every form one may need, and as an address.

use core::fmt::{self, Write};

use machine::{Level, VirtAddr};

use crate::Error;
use crate::command::{ArgKind, Args, Command, Context, Group};
use crate::record::{Row, flag, hex, number, text};

pub(super) const COMMAND: Command = Command {
    name: "eval",
    group: Group::Scripting,
    usage: "<expression>",
    summary: "compute, and show the result in every form",
    help: "Shows the value in hex and in decimal, which bits are set, which entry of each table it selects as a virtual address, whether it is canonical, and the region it lies in. `$_` becomes the value.\nNumbers are hex with `0x` and decimal without; `_` may stand anywhere. `$rip` and the other registers are numbers, so are bits (`$cr4.smap`), `$_` (the last value) and `$?` (the last status: 0 ok, 1 failed, 2 interrupted). Operators, loosest first: `||`, `&&`, `== != < <= > >=`, `|`, `^`, `&`, `<< >>`, `+ -`, `* / %`, and `- ! ~` before a value; parentheses group. A result that is below zero or longer than 64 bits is an error.",
    examples: &[
        ("eval $rsp - 0x100", "an address, and which entries map it"),
        (
            "eval 402 << 39",
            "where a PML4 entry's range begins, not sign-extended",
        ),
    ],
    rows: &[Row {
        name: "value",
        about: "the value, and what it is as an address",
        fields: &[
            hex("value", "the value"),
            text("decimal", "the same in decimal"),
            text("bits", "which bits are set, such as 63..47 5 0"),
            number("pml5", "which entry of a PML5 it selects, with five levels").or_null(),
            number("pml4", "of a PML4"),
            number("pdpt", "of a PDPT"),
            number("pd", "of a PD"),
            number("pt", "of a PT"),
            number("offset", "the place in its page"),
            flag("is_canonical", "whether it is canonical"),
            hex("canonical", "what would be"),
            text("region", "the name of the region").or_null(),
        ],
    }],
    args: &[ArgKind::Any],
    run,
};

fn run(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let text = args.rest();
    if text.is_empty() {
        return Err(Error::Missing("expression"));
    }
    let value = context.evaluate(unquoted(text))?;
    let va = VirtAddr(value);
    let paging = context.target.paging();
    let region = context.region(va);
    context.state.value = value;

    let out = &mut context.out;
    if out.is_json() {
        let index = |level: Level| level.index(va);
        let pml5 = Some(Level::Pml5).filter(|level| *level >= paging.top());
        let record = out
            .record("value")
            .hex("value", value)
            .text("decimal", value)
            .text("bits", Bits(value))
            .number("pml5", pml5.map(index))
            .number("pml4", index(Level::Pml4))
            .number("pdpt", index(Level::Pdpt))
            .number("pd", index(Level::Pd))
            .number("pt", index(Level::Pt))
            .number("offset", value & 0xfff)
            .flag("is_canonical", paging.is_canonical(va))
            .hex("canonical", paging.sign_extend(value))
            .maybe_text("region", region.map(|region| region.name));
        return Ok(record.end()?);
    }
    writeln!(out, "hex     {value:#x}")?;
    writeln!(out, "decimal {value}")?;
    writeln!(out, "bits    {}", Bits(value))?;
    write!(out, "indices")?;
    for level in Level::ALL
        .into_iter()
        .filter(|level| *level >= paging.top())
    {
        write!(out, " {level} {}", level.index(va))?;
    }
    writeln!(out, " offset {:#x}", value & 0xfff)?;
    write!(out, "address {va} ")?;
    match paging.is_canonical(va) {
        true => write!(out, "canonical")?,
        false => write!(out, "not canonical; {} would be", paging.sign_extend(value))?,
    }
    match region {
        Some(region) => writeln!(out, " in {}", region.name)?,
        None => writeln!(out)?,
    }
    Ok(())
}

/// An expression may be quoted, to keep a `;` or `#` out of trouble.
pub(super) fn unquoted(text: &str) -> &str {
    let word = crate::grammar::word::Word(text);
    match word.is_quoted() {
        true => word.text().unwrap_or(text),
        false => text,
    }
}

/// The numbers of the bits that are set, highest first, runs as ranges: `63..47 5 0`.
struct Bits(u64);

impl fmt::Display for Bits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("none");
        }
        let is_set = |bit: u32| self.0.checked_shr(bit).is_some_and(|rest| rest & 1 == 1);
        let mut gap = "";
        let mut bit = 64_u32;
        while let Some(next) = bit.checked_sub(1) {
            bit = next;
            if !is_set(bit) {
                continue;
            }
            let first = bit;
            while bit > 0 && is_set(bit - 1) {
                bit -= 1;
            }
            match first - bit {
                0 => write!(f, "{gap}{first}")?,
                _ => write!(f, "{gap}{first}..{bit}")?,
            }
            gap = " ";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn set_bits_come_as_ranges() {
        let cases = [
            (0, "none"),
            (1, "0"),
            (0b1011, "3 1..0"),
            (u64::MAX, "63..0"),
            (0xffff_8000_0000_0021, "63..47 5 0"),
        ];
        for (value, text) in cases {
            assert_eq!(Bits(value).to_string(), text);
        }
    }
}
