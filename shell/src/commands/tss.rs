//! `tss`: the stacks the CPU switches to, and whether they can be pushed to.
//!
//! A stack that is not mapped turns the fault it is for into a triple fault, so this is
//! worth asking before the first one.

use core::fmt::{self, Write};

use machine::{End, Segment, SegmentKind, Selector, Tss64, VirtAddr, walk};

use crate::Error;
use crate::command::{Args, Command, Context, Group};
use crate::record::{Row, flag, hex, number, text};
use crate::render::Count;
use crate::virt::Virt;

pub(super) const COMMAND: Command = Command {
    name: "tss",
    group: Group::Processor,
    usage: "",
    summary: "show the stacks in the task state segment",
    help: "Finds the task state segment through TR and the GDT and shows RSP0 to RSP2 and IST1 to IST7: the address, its region, and whether the word below it, which the CPU would push first, is mapped and writable in the page tables of CR3. The last line says how many of those that are set would do.",
    examples: &[
        ("tss", "all stacks"),
        ("idt 8", "which of them a double fault gets"),
    ],
    rows: &[
        Row {
            name: "tss",
            about: "the task state segment",
            fields: &[
                hex("selector", "TR"),
                hex("base", "where it is"),
                hex("limit", "its limit"),
                hex(
                    "io_bitmap",
                    "where the I/O permission bitmap begins, if there is one",
                )
                .or_null(),
            ],
        },
        Row {
            name: "stack",
            about: "a stack the CPU may switch to",
            fields: &[
                text("name", "rsp0 to rsp2, ist1 to ist7"),
                hex("top", "the address; null if it is not set").or_null(),
                flag(
                    "usable",
                    "whether the CPU could push to it; null if it is not set",
                )
                .or_null(),
                text("why_not", "why not, in words").or_null(),
                text("region", "the name of the region of the word below").or_null(),
            ],
        },
        Row {
            name: "summary",
            about: "all of them",
            fields: &[
                number("set", "how many are set"),
                number("usable", "how many of those would do"),
            ],
        },
    ],
    args: &[],
    run,
};

fn run(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    args.done()?;
    let regs = context.registers()?;
    let root = context.cr3()?;
    let selector = Selector(regs.tr);
    if selector.is_null() {
        return Err(Error::Said("TR is null: no task state segment is loaded"));
    }
    let mut virt = Virt::new(context.target, root);
    let entry = u64::from(selector.index()) * 8;
    if selector.is_local() || entry + 15 > u64::from(regs.gdtr.limit) {
        return Err(Error::Said("TR does not name a descriptor of the GDT"));
    }
    let low = virt.word(regs.gdtr.base, entry)?;
    let high = virt.word(regs.gdtr.base, entry + 8)?;
    let segment = Segment::decode(low, high);
    if !matches!(segment.kind, SegmentKind::Tss { .. }) {
        return Err(Error::Said(
            "the descriptor that TR names is not a task state segment",
        ));
    }
    let tss = Tss64::decode(&virt.bytes(segment.base, 0)?);

    let io_bitmap = u32::from(tss.iomap_base) <= segment.limit;
    if context.out.is_json() {
        context
            .out
            .record("tss")
            .hex("selector", regs.tr)
            .hex("base", segment.base)
            .hex("limit", segment.limit)
            .hex("io_bitmap", io_bitmap.then_some(tss.iomap_base))
            .end()?;
        return records(context, &tss);
    }
    writeln!(
        context.out,
        "tr   {selector} base {} limit {:#x}",
        VirtAddr(segment.base),
        segment.limit
    )?;
    let (mut set, mut good) = (0, 0);
    for (kind, first, stacks) in [("rsp", 0, &tss.rsp[..]), ("ist", 1, &tss.ist[..])] {
        for (number, top) in (first..).zip(stacks) {
            write!(context.out, "{kind}{number} {top} ")?;
            if top.0 == 0 {
                writeln!(context.out, "not set")?;
                continue;
            }
            set += 1;
            good += u64::from(stack(context, *top)?);
        }
    }
    match !io_bitmap {
        true => writeln!(context.out, "no I/O permission bitmap")?,
        false => writeln!(
            context.out,
            "I/O permission bitmap at offset {:#x}",
            tss.iomap_base
        )?,
    }
    writeln!(context.out, "{} set, {good} usable", Count(set, "stack"))?;
    Ok(())
}

/// The records of the stacks.
fn records(context: &mut Context<'_>, tss: &Tss64) -> Result<(), Error> {
    let (mut set, mut good) = (0_u64, 0_u64);
    for (kind, first, stacks) in [("rsp", 0, &tss.rsp[..]), ("ist", 1, &tss.ist[..])] {
        for (number, top) in (first..).zip(stacks) {
            let (below, end) = look(context, *top)?;
            let is_set = top.0 != 0;
            let is_usable = usable(&end);
            set = set.saturating_add(is_set.into());
            good = good.saturating_add((is_set && is_usable).into());
            let region = context.region(below).filter(|_| is_set);
            context
                .out
                .record("stack")
                .text("name", format_args!("{kind}{number}"))
                .hex("top", is_set.then_some(*top))
                .flag("usable", is_set.then_some(is_usable))
                .maybe_text("why_not", (is_set && !is_usable).then_some(WhyNot(end)))
                .maybe_text("region", region.map(|region| region.name))
                .end()?;
        }
    }
    let record = context.out.record("summary").number("set", set);
    Ok(record.number("usable", good).end()?)
}

/// The word that the CPU would push first, and where it is.
fn look(context: &mut Context<'_>, top: VirtAddr) -> Result<(VirtAddr, End), Error> {
    let root = context.cr3()?;
    let paging = context.target.paging();
    let below = VirtAddr(top.0.wrapping_sub(8));
    let end = walk(context.target.memory(), &paging, root, below).end();
    Ok((below, end))
}

/// Why the CPU could not push there.
struct WhyNot(End);

impl fmt::Display for WhyNot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            End::Mapped { rights, .. } => write!(f, "the word below is {rights}"),
            other => write!(f, "{other}"),
        }
    }
}

/// Ends the line of a stack; whether the CPU could push to it.
fn stack(context: &mut Context<'_>, top: VirtAddr) -> Result<bool, Error> {
    let (below, end) = look(context, top)?;
    let region = context.region(below);
    let out = &mut context.out;
    let name = region.map(|region| region.name);
    // Before a reason, which names an entry: that one is elsewhere.
    if let (Some(name), false) = (name, usable(&end)) {
        write!(out, "({name}) ")?;
    }
    match end {
        end if usable(&end) => match name {
            Some(name) => writeln!(out, "usable ({name})")?,
            None => writeln!(out, "usable")?,
        },
        end => writeln!(out, "NOT USABLE: {}", WhyNot(end))?,
    }
    Ok(usable(&end))
}

fn usable(end: &End) -> bool {
    matches!(end, End::Mapped { rights, .. } if rights.write && !rights.user)
}
