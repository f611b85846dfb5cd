//! `frames`: how much physical memory there is, and who has it.

mod audit;

pub(super) use audit::{Finding, collect};

use core::fmt::Write;

use crate::Error;
use crate::command::{ArgKind, Args, Command, Context, Group};
use crate::error::excerpt;
use crate::record::{Row, flag, number, text};
use crate::render::{Count, Size};

pub(super) const COMMAND: Command = Command {
    name: "frames",
    group: Group::Memory,
    usage: "[audit | fail COUNT | fail off]",
    summary: "show who owns the physical frames",
    help: "Shows each owner with its frames of 4 KiB, then what is free. The last line adds them up and holds the sum against the allocator's total: if they differ, frames have been lost or counted twice. `$_` becomes the number of free frames.\n`audit` holds the allocator's books against all page tables that are in use, the master's and those of every process that is alive, and against the layout of the kernel's half: each table is reached from the roots it belongs to and owned as one, and each frame owned as one is reached; each page of a process is mapped as often as the books count sharers, and nothing else is shared by the books; stacks, heap, image and ramdisk are mapped where they belong and nowhere else; no entry, no CR3 and no saved CR3 names a frame that is free; every page of RAM has an owner; the sums are right. The mapping of all RAM counts for none of that. Each disagreement is a row: the frame, who has it by the books, what was found, and the entry that says so, with its space, level, address, raw value and the address it is for. The command fails if there is one; `$_` becomes their number.\n`fail COUNT` makes the allocator refuse the COUNT-th request from now (1 is the next one) and every one after it, until `fail off`: to see what a lack of memory does at each step of something. Everybody's requests count.",
    examples: &[
        ("frames", "who has what"),
        ("frames; echo work; frames", "look for a leak"),
        ("frames audit", "do the books and the page tables agree?"),
        (
            "frames fail 3; spawn hello; frames fail off",
            "is the third request missed cleanly?",
        ),
    ],
    rows: &[
        Row {
            name: "owner",
            about: "somebody who has frames",
            fields: &[
                text("name", "who"),
                number("frames", "how many frames of 4 KiB"),
            ],
        },
        Row {
            name: "summary",
            about: "the allocator's totals, and what the owners come to",
            fields: &[
                number("total", "all frames"),
                number("free", "those nobody has"),
                number("used", "those somebody has, as the allocator counts"),
                number("owned", "those of all owners"),
                flag("all_accounted", "whether owned and free are all there are"),
            ],
        },
        audit::ROW,
        audit::LEFT,
        audit::SUMMARY,
    ],
    args: &[ArgKind::Words(&["audit", "fail"]), ArgKind::Words(&["off"])],
    run,
};

fn run(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    if let Some(word) = args.word() {
        return match word.text()? {
            "audit" => {
                args.done()?;
                audit::run(context)
            }
            "fail" => fail(context, args),
            _ => Err(Error::Unknown(
                excerpt(word.0),
                "what `frames` takes: nothing, or `audit`, `fail N`, `fail off`",
            )),
        };
    }
    let frames = context
        .target
        .frames()
        .ok_or(Error::Lacks("frame records"))?;
    let totals = frames.totals();
    let json = context.out.is_json();
    if !json {
        writeln!(
            context.out,
            "{:>10} {:>10}  total",
            totals.total,
            bytes(totals.total)
        )?;
    }
    let mut used = 0_u64;
    for index in 0.. {
        // Asked again each time: the output in between needs the target as well.
        let owner = context
            .target
            .frames()
            .and_then(|frames| frames.owner(index));
        let Some((name, count)) = owner else {
            break;
        };
        used = used.saturating_add(count);
        match json {
            true => context
                .out
                .record("owner")
                .text("name", name)
                .number("frames", count)
                .end()?,
            false => writeln!(context.out, "{count:>10} {:>10}  {name}", bytes(count))?,
        }
    }
    let sum = used.saturating_add(totals.free);
    context.state.value = totals.free;
    if json {
        let record = context
            .out
            .record("summary")
            .number("total", totals.total)
            .number("free", totals.free)
            .number("used", totals.used)
            .number("owned", used)
            .flag("all_accounted", sum == totals.total);
        return Ok(record.end()?);
    }
    writeln!(
        context.out,
        "{:>10} {:>10}  free",
        totals.free,
        bytes(totals.free)
    )?;
    let out = &mut context.out;
    if used != totals.used {
        writeln!(
            out,
            "the owners have {used}, the allocator counts {} used",
            totals.used
        )?;
    }
    match sum == totals.total {
        true => writeln!(
            out,
            "{used} owned + {} free = {}: all accounted for",
            totals.free,
            Count(sum, "frame")
        )?,
        false => writeln!(
            out,
            "{used} owned + {} free = {sum}, but the total is {}: {} {}",
            totals.free,
            totals.total,
            Count(sum.abs_diff(totals.total), "frame"),
            if sum < totals.total {
                "missing"
            } else {
                "counted twice"
            },
        )?,
    }
    Ok(())
}

fn fail(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let granted = match args.peek().ok_or(Error::Missing("request"))?.text()? {
        "off" => {
            args.word();
            None
        }
        _ => {
            let request = args.number(context, "request")?;
            let before = request.checked_sub(1);
            Some(before.ok_or(Error::Said("requests count from 1, which is the next one"))?)
        }
    };
    args.done()?;
    let frames = context.target.frames();
    let frames = frames.ok_or(Error::Lacks("frame records"))?;
    match frames.fail_after(granted) {
        true => Ok(()),
        false => Err(Error::Lacks("way to refuse frames")),
    }
}

fn bytes(frames: u64) -> Size {
    Size(frames.saturating_mul(4096))
}
