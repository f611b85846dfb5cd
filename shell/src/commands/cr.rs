//! `cr`: the control registers, with names for the bits that are set.

use core::fmt::{self, Write};

use machine::{BitTable, MemoryType, VirtAddr, bits};

use crate::Error;
use crate::command::{Args, Command, Context, Group};

pub(super) const COMMAND: Command = Command {
    name: "cr",
    group: Group::Processor,
    usage: "",
    summary: "show the control registers, EFER and the PAT",
    help: "Shows CR0, CR2, CR3, CR4 and IA32_EFER with the names of the bits that are set, and IA32_PAT as its eight memory types. The last line says what of it decides how page tables are read. In expressions the bits are 0 or 1: `$cr0.wp`, `$cr4.smap`, `$efer.nxe`.",
    examples: &[
        ("cr", "all of them"),
        ("assert $cr4.smep && $cr4.smap", "are both on?"),
    ],
    rows: &[],
    args: &[],
    run,
};

fn run(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    args.done()?;
    let regs = context.registers()?;
    let paging = context.target.paging();
    let out = &mut context.out;
    let has_pcid = bits::CR4
        .find("PCIDE")
        .is_some_and(|bit| bit.of(regs.cr4) == 1);
    let cr3 = match has_pcid {
        true => &bits::CR3_PCID,
        false => &bits::CR3,
    };
    line(out, "cr0", regs.cr0, Some(&bits::CR0))?;
    line(out, "cr2", regs.cr2, None)?;
    line(out, "cr3", regs.cr3, Some(cr3))?;
    line(out, "cr4", regs.cr4, Some(&bits::CR4))?;
    line(out, "efer", regs.efer, Some(&bits::EFER))?;
    write!(out, "pat  {}", VirtAddr(regs.pat))?;
    for index in 0..8 {
        write!(out, " {index}:{}", MemoryType::from_pat(regs.pat, index))?;
    }
    writeln!(out)?;

    write!(
        out,
        "{} levels, {} physical bits",
        paging.levels, paging.phys_bits
    )?;
    for (table, name) in [
        (&bits::CR0, "wp"),
        (&bits::EFER, "nxe"),
        (&bits::CR4, "smep"),
        (&bits::CR4, "smap"),
        (&bits::CR4, "umip"),
        (&bits::CR4, "pcide"),
    ] {
        let value = regs.by_name(table.register).unwrap_or(0);
        let is_on = table.find(name).is_some_and(|bit| bit.of(value) == 1);
        write!(out, ", {name} {}", if is_on { "on" } else { "off" })?;
    }
    writeln!(out)?;
    Ok(())
}

fn line(out: &mut dyn Write, name: &str, value: u64, bits: Option<&BitTable>) -> fmt::Result {
    write!(out, "{name:<4} {}", VirtAddr(value))?;
    match bits.map(|bits| bits.names(value)) {
        // A register whose value is only an address has no names to show.
        Some(names) if value & !names.table.silent != 0 => writeln!(out, " {names}"),
        _ => writeln!(out),
    }
}
