//! `frame`: one physical frame, and everybody who names it.
//!
//! Come here with a frame that turned up where it should not: who has it, and through which
//! entries can it be reached?

mod look;
mod role;

use core::fmt::{self, Write};

use machine::{Kind, PhysAddr};

use crate::Error;
use crate::command::{ArgKind, Args, Command, Context, Group};
use crate::output::Output;
use crate::record::{Row, flag, hex, number, text};
use crate::render::Count;
use look::{By, Hit, look};
pub(super) use role::{Role, place, role};

pub(super) const COMMAND: Command = Command {
    name: "frame",
    group: Group::Memory,
    usage: "<physical address>",
    summary: "show what a physical frame is, and every entry that names it",
    help: "Shows, for the frame of 4 KiB with this address: each page that has it, in the master and in every process that is alive, large pages included; each entry that names it as a table; each root, CR3 and saved CR3 that is it. An entry is shown once, with how many other spaces have it at the same address. The last line is the answer: what the frame is, whose, what the allocator's books say, and how often it is named. The mapping of all RAM is shown, but counted apart.\nA frame that is no RAM is said to be device memory, or none. `$_` becomes the number of mappings beside that of all RAM.",
    examples: &[
        ("frame $cr3", "the top table"),
        ("walk $rip; frame $_", "the page of the code that runs"),
    ],
    rows: &[
        Row {
            name: "mapping",
            about: "an entry that maps the frame",
            fields: &ENTRY,
        },
        Row {
            name: "reference",
            about: "an entry that names it as a table; `va` is the first address of that table",
            fields: &ENTRY,
        },
        Row {
            name: "root",
            about: "a top table or a register that is it",
            fields: &[
                text("what", "root, cr3, saved_cr3"),
                text("space", "master, pid N; null for cr3").or_null(),
            ],
        },
        Row {
            name: "frame",
            about: "the answer",
            fields: &[
                hex("at", "its first byte"),
                text("role", "what it is, in words"),
                text("owner", "who has it by the books").or_null(),
                number("shares", "how many have it beside the first, by the books").or_null(),
                flag("ram", "whether it can be read"),
                number(
                    "mappings",
                    "how many entries map it, those of the physmap aside",
                ),
                number("physmap", "how many map it where all of RAM is mapped"),
                number("references", "how many name it as a table"),
                number("roots", "how many roots and registers name it"),
            ],
        },
    ],
    args: &[ArgKind::Any],
    run,
};

const ENTRY: [crate::record::Field; 9] = [
    text("space", "master, pid N"),
    number("others", "how many other spaces have the same entry there"),
    hex("va", "the first address it stands for"),
    text("level", "the level of the table it is in"),
    hex("table", "that table"),
    number("index", "which entry of it"),
    hex("raw", "its value"),
    text("rights", "the effective rights"),
    text("region", "the name of the region").or_null(),
];

fn run(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let at = args.number(context, "physical address")?;
    args.done()?;
    if at >> 52 != 0 {
        return Err(Error::Said(
            "a physical address has at most 52 bits; `whatis` takes a virtual one",
        ));
    }
    let frame = PhysAddr(at & !0xfff);
    let mut role = Role::new(context, frame);
    look(context, frame, &mut |context, hit| {
        role.add(context, &hit);
        show(context, &hit)
    })?;
    context.state.value = role.mappings;
    let out = &mut context.out;
    if out.is_json() {
        let info = role.info;
        let record = out
            .record("frame")
            .hex("at", frame)
            .text("role", role)
            .maybe_text("owner", info.map(|info| info.owner.name()))
            .number("shares", info.map(|info| info.shares))
            .flag("ram", role.unreadable.is_none())
            .number("mappings", role.mappings)
            .number("physmap", role.physmap)
            .number("references", role.references)
            .number("roots", role.registers);
        return Ok(record.end()?);
    }
    writeln!(out, "{frame} is {role}{}", Sums(&role))?;
    Ok(())
}

fn show(context: &mut Context<'_>, hit: &Hit) -> Result<(), Error> {
    match hit {
        Hit::Page(by) => entry(context, "mapping", by),
        Hit::Table(by) => entry(context, "reference", by),
        Hit::Root(tree) => root(&mut context.out, "root", Some(*tree)),
        Hit::Cr3 => root(&mut context.out, "cr3", None),
        Hit::SavedCr3(pid) => root(
            &mut context.out,
            "saved_cr3",
            Some(super::roots::Tree::Process(*pid)),
        ),
    }
}

fn entry(context: &mut Context<'_>, row: &str, by: &By) -> Result<(), Error> {
    let region = context.region(by.present.va).map(|region| region.name);
    let out = &mut context.out;
    if out.is_json() {
        let record = out
            .record(row)
            .text("space", by.tree)
            .number("others", by.others)
            .hex("va", by.present.va)
            .text("level", by.present.entry.level)
            .hex("table", by.present.table)
            .number("index", by.present.index)
            .hex("raw", by.present.entry.raw)
            .text("rights", by.present.rights)
            .maybe_text("region", region);
        return Ok(record.end()?);
    }
    writeln!(out, "{}", EntryOf { by, region })?;
    Ok(())
}

fn root(
    out: &mut Output<'_>,
    what: &'static str,
    tree: Option<super::roots::Tree>,
) -> Result<(), Error> {
    if out.is_json() {
        let record = out.record("root").text("what", what);
        return Ok(record.maybe_text("space", tree).end()?);
    }
    match (what, tree) {
        ("root", Some(tree)) => writeln!(out, "root of {tree}")?,
        (_, Some(tree)) => writeln!(out, "saved CR3 of {tree}")?,
        (_, None) => writeln!(out, "CR3")?,
    }
    Ok(())
}

/// `LEVEL TABLE [INDEX] RAW page VA RIGHTS (SIZE page) in SPACE, REGION`.
struct EntryOf<'a> {
    by: &'a By,
    region: Option<&'a str>,
}

impl fmt::Display for EntryOf<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let By {
            tree,
            present,
            others,
        } = self.by;
        let (level, table, index) = (present.entry.level, present.table, present.index);
        write!(
            f,
            "{level:<4} {table} [{index:>3}] {:016x} ",
            present.entry.raw
        )?;
        match present.names {
            Kind::Page { size, .. } => {
                write!(f, "page  {} {} ({size} page)", present.va, present.rights)?;
            }
            _ => write!(f, "table {}", present.va)?,
        }
        if let Kind::Reserved { bits } = present.entry.kind {
            write!(f, ", malformed: reserved bits {bits:#x}")?;
        }
        write!(f, " in {tree}")?;
        if *others > 0 {
            write!(f, " and {}", Count(*others, "other"))?;
        }
        match self.region {
            Some(region) => write!(f, ", {region}"),
            None => Ok(()),
        }
    }
}

/// How often it is named, and what the books say.
struct Sums<'a>(&'a Role);

impl fmt::Display for Sums<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let role = self.0;
        write!(f, "; {}", Count(role.mappings, "mapping"))?;
        if role.physmap > 0 {
            f.write_str(" and the physmap's")?;
        }
        if role.references > 0 {
            write!(f, ", {}", Count(role.references, "reference"))?;
        }
        if role.registers > 0 {
            write!(f, ", {}", Count(role.registers, "root"))?;
        }
        match role.info {
            Some(info) if info.shares > 0 => {
                let count = u32::from(info.shares).saturating_add(1);
                write!(f, "; books: {}, {count} have it", info.owner)
            }
            Some(info) => write!(f, "; books: {}", info.owner),
            None => Ok(()),
        }
    }
}
