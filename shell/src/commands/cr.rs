//! `cr`: the control registers, with names for the bits that are set.

use core::fmt::{self, Write};

use machine::{BitTable, MemoryType, Paging, Registers, VirtAddr, bits};

use crate::Error;
use crate::command::{Args, Command, Context, Group};
use crate::output::Output;
use crate::record::{Row, flag, hex, number, text};

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
    rows: &[
        Row {
            name: "register",
            about: "a control register, EFER or the PAT",
            fields: &[
                text("name", "its name"),
                hex("value", "its value"),
                text(
                    "bits",
                    "the names of the bits that are set; of the PAT its eight types",
                )
                .or_null(),
            ],
        },
        Row {
            name: "summary",
            about: "how page tables are read",
            fields: &[
                number("levels", "how many levels there are"),
                number("physical_bits", "how many bits a physical address has"),
                flag("wp", "CR0.WP"),
                flag("nxe", "EFER.NXE"),
                flag("smep", "CR4.SMEP"),
                flag("smap", "CR4.SMAP"),
                flag("umip", "CR4.UMIP"),
                flag("pcide", "CR4.PCIDE"),
            ],
        },
    ],
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
    if out.is_json() {
        return records(out, &regs, paging);
    }
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
    for (table, name) in DECISIVE {
        let is_on = is_on(&regs, table, name);
        write!(out, ", {name} {}", if is_on { "on" } else { "off" })?;
    }
    writeln!(out)?;
    Ok(())
}

/// The bits that decide how page tables are read.
const DECISIVE: [(&BitTable, &str); 6] = [
    (&bits::CR0, "wp"),
    (&bits::EFER, "nxe"),
    (&bits::CR4, "smep"),
    (&bits::CR4, "smap"),
    (&bits::CR4, "umip"),
    (&bits::CR4, "pcide"),
];

fn is_on(regs: &Registers, table: &BitTable, name: &str) -> bool {
    let value = regs.by_name(table.register).unwrap_or(0);
    table.find(name).is_some_and(|bit| bit.of(value) == 1)
}

fn line(out: &mut Output<'_>, name: &str, value: u64, bits: Option<&BitTable>) -> fmt::Result {
    // A register whose value is only an address has no names to show.
    let names = bits.map(|bits| bits.names(value));
    let names = names.filter(|names| value & !names.table.silent != 0);
    if out.is_json() {
        return out
            .record("register")
            .text("name", name)
            .hex("value", value)
            .maybe_text("bits", names)
            .end();
    }
    write!(out, "{name:<4} {}", VirtAddr(value))?;
    match names {
        Some(names) => writeln!(out, " {names}"),
        None => writeln!(out),
    }
}

/// The last two records.
fn records(out: &mut Output<'_>, regs: &Registers, paging: Paging) -> Result<(), Error> {
    out.record("register")
        .text("name", "pat")
        .hex("value", regs.pat)
        .text("bits", PatTypes(regs.pat))
        .end()?;
    let mut record = out
        .record("summary")
        .number("levels", paging.levels)
        .number("physical_bits", paging.phys_bits);
    for (table, name) in DECISIVE {
        record = record.flag(name, is_on(regs, table, name));
    }
    Ok(record.end()?)
}

/// The eight memory types of the PAT, the first one first.
struct PatTypes(u64);

impl fmt::Display for PatTypes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for index in 0..8 {
            let gap = if index == 0 { "" } else { " " };
            write!(f, "{gap}{}", MemoryType::from_pat(self.0, index))?;
        }
        Ok(())
    }
}
