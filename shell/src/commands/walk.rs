//! `walk`: follow one address through the page tables, entry by entry.
//!
//! This is the first thing to type after a page fault. It prints every entry the CPU would
//! have read, then one line saying where it ended and why. It starts at CR3 unless given
//! another root, so tables that are not in use can be asked about too.

use core::fmt::Write;

use machine::{End, MemoryType, Right, VirtError};

use crate::Error;
use crate::command::{ArgKind, Args, Command, Context, Group};
use crate::render::EntryLine;

pub(super) const COMMAND: Command = Command {
    name: "walk",
    group: Group::Memory,
    usage: "<address> [root]",
    summary: "follow an address through the page tables",
    help: "Shows each entry the CPU would read: its level, table and index, its raw value, what it leads to, and the rights that it alone leaves. The last line is the answer: the physical address of the very byte and the effective rights (u user, r read, w write, x execute), or why there is none. A right that the last entry leaves and a level above forbids is named on its own line.\nA root is `cr3` (if none is given), `master`, a pid, or the physical address of a PML4. `$_` becomes the physical address.",
    examples: &[
        ("walk $rip", "the code that is running"),
        (
            "walk 0xffff_8000_0000_0000 master",
            "in the kernel's own tables",
        ),
        ("walk $cr2", "the address of the last page fault"),
        ("walk 0x40_0000 3", "in the tables of process 3"),
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
        writeln!(context.out, "{}", EntryLine(step))?;
    }
    let region = context.region(va);
    let out = &mut context.out;
    if let End::Mapped {
        at, memory_type, ..
    } = walk.end()
    {
        let leaf = walk.steps().last().map(|step| step.entry.rights());
        for (right, name) in RIGHTS {
            // What the page's own entry forbids is on the line above.
            let is_taken = leaf.is_some_and(|leaf| leaf.has(right)) && !walk.rights().has(right);
            if let Some(level) = walk.decided_by(right).filter(|_| is_taken) {
                writeln!(out, "{level} forbids {name}")?;
            }
        }
        context.state.value = at.0;
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
