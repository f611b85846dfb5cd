//! `walk`: follow one address through the page tables, entry by entry.
//!
//! This is the first thing to type after a page fault. It prints every entry the CPU would
//! have read, then one line saying where it ended and why. It starts at CR3 unless given
//! another root, so tables that are not in use can be asked about too.

use core::fmt::Write;

use machine::{End, MemoryType, Right, VirtAddr, VirtError};

use crate::command::{ArgKind, Args, Command, Context, Group};
use crate::output::Output;
use crate::record::{Row, flag, hex, number, text};
use crate::render::EntryLine;
use crate::{Error, Region};

pub(super) const COMMAND: Command = Command {
    name: "walk",
    group: Group::Memory,
    usage: "<address> [root]",
    summary: "follow an address through the page tables",
    help: "Shows each entry the CPU would read: its level, table and index, its raw value, what it leads to, and the rights that it alone leaves. The last line is the answer: the physical address of the very byte and the effective rights (u user, r read, w write, x execute), or why there is none. A right that the last entry leaves and a level above forbids is named on its own line.\nA root is `cr3` (if none is given), `master`, a pid, a snapshot (`@name`), or the physical address of a PML4. `$_` becomes the physical address.",
    examples: &[
        ("walk $rip", "the code that is running"),
        (
            "walk 0xffff_8000_0000_0000 master",
            "in the kernel's own tables",
        ),
        ("walk $cr2", "the address of the last page fault"),
        ("walk 0x40_0000 3", "in the tables of process 3"),
    ],
    rows: &[
        EntryLine::ROW,
        Row {
            name: "forbids",
            about: "a right that the last entry leaves and a level above forbids",
            fields: &[
                text("level", "the highest level that forbids it"),
                text("right", "user, write, execute"),
            ],
        },
        Row {
            name: "answer",
            about: "where the walk ended, and why",
            fields: &[
                hex("va", "the address"),
                flag("mapped", "whether it is mapped; null if that is unknown").or_null(),
                hex("at", "where it is physically").or_null(),
                number("page_bytes", "the size of its page").or_null(),
                text("rights", "the effective rights").or_null(),
                text("memory_type", "UC, WC, WT, WP, WB, UC-").or_null(),
                text("why_not", "what is wrong, in words").or_null(),
                text("region", "the name of the region").or_null(),
            ],
        },
    ],
    args: &[ArgKind::Any, ArgKind::Root(&[])],
    run,
};

const RIGHTS: [(Right, &str); 3] = [
    (Right::User, "user"),
    (Right::Write, "write"),
    (Right::Execute, "execute"),
];

fn run(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let va = args.virt(context)?;
    let space = args.root(context)?;
    args.done()?;

    let paging = context.target.paging();
    let walk = machine::walk(&mut context.view(&space), &paging, space.root, va);
    for step in walk.steps() {
        EntryLine(step).show(&mut context.out)?;
    }
    let region = context.region(va);
    let out = &mut context.out;
    if let End::Mapped { at, .. } = walk.end() {
        let leaf = walk.steps().last().map(|step| step.entry.rights());
        for (right, name) in RIGHTS {
            // What the page's own entry forbids is on the line above.
            let is_taken = leaf.is_some_and(|leaf| leaf.has(right)) && !walk.rights().has(right);
            if let Some(level) = walk.decided_by(right).filter(|_| is_taken) {
                match out.is_json() {
                    true => out
                        .record("forbids")
                        .text("level", level)
                        .text("right", name)
                        .end()?,
                    false => writeln!(out, "{level} forbids {name}")?,
                }
            }
        }
        context.state.value = at.0;
    }
    if context.out.is_json() {
        return answer(&mut context.out, va, walk.end(), region);
    }
    let out = &mut context.out;
    if let End::Mapped { memory_type, .. } = walk.end() {
        write!(out, "{va} -> {}", walk.end())?;
        if memory_type != MemoryType::WB {
            write!(out, " {memory_type}")?;
        }
        match region {
            Some(region) => writeln!(out, " in {}", region.name)?,
            None => writeln!(out)?,
        }
    } else {
        let why = VirtError {
            at: va,
            why: walk.end(),
            memory: None,
        };
        // The address is in the region; the entry that says so is elsewhere.
        match region {
            Some(region) => writeln!(out, "{va} ({}) {}", region.name, why.predicate())?,
            None => writeln!(out, "{why}")?,
        }
    }
    Ok(())
}

/// The last record.
fn answer(
    out: &mut Output<'_>,
    va: VirtAddr,
    end: End,
    region: Option<Region>,
) -> Result<(), Error> {
    let (at, size, rights, memory_type) = match end {
        End::Mapped {
            at,
            size,
            rights,
            memory_type,
        } => (
            Some(at),
            Some(size.bytes()),
            Some(rights),
            Some(memory_type),
        ),
        _ => (None, None, None, None),
    };
    let mapped = match end {
        End::Unreadable { .. } => None,
        _ => Some(at.is_some()),
    };
    let why = VirtError {
        at: va,
        why: end,
        memory: None,
    };
    let record = out
        .record("answer")
        .hex("va", va)
        .flag("mapped", mapped)
        .hex("at", at)
        .number("page_bytes", size)
        .maybe_text("rights", rights)
        .maybe_text("memory_type", memory_type)
        .maybe_text("why_not", at.is_none().then(|| why.predicate()))
        .maybe_text("region", region.map(|region| region.name));
    Ok(record.end()?)
}
