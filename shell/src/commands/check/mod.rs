//! `check`: whether page tables and descriptor tables are as they should be, part by part.
//!
//! Come here before blaming the processor: each part answers one question about the whole
//! machine, and what is wrong is named down to the entry and the bit. The same questions can be
//! asked of one root, of a snapshot, and of tables that are broken in any way.

mod alias;
mod descriptors;
mod frames;
mod kernel_half;
mod pace;
mod report;
mod scope;
mod stacks;
mod tree;
mod what;

use core::fmt::{Arguments, Write};

use super::{check_iret, check_switch};
use crate::Error;
use crate::command::{ArgKind, Args, Command, Context, Group};
use crate::error::excerpt;
use crate::record::{Row, flag, hex, number, text};
use crate::render::Count;
use report::{Report, Verdict};
use scope::Scope;
use tree::Rule;

const WORDS: &[&str] = &[
    "alias",
    "all",
    "descriptors",
    "frames",
    "global",
    "iret",
    "kernel-half",
    "loops",
    "nx",
    "reserved",
    "stacks",
    "switch",
    "user-bits",
    "wx",
];

pub(super) const COMMAND: Command = Command {
    name: "check",
    group: Group::Memory,
    usage: "<part...> [root] | iret [pid | <rip> <cs> <rflags> <rsp> <ss>] | switch <pid>",
    summary: "say what is wrong with tables, stacks, gates or a return frame",
    help: "Each part has a line: pass or fail, and what was looked at. Below it a row for each finding: the space, the addresses, the level, address and value of the entry at fault, and the bit. `$_` becomes the number of findings; if there is any, the command fails. Memory that cannot be read makes a part `unknown` that found nothing wrong: that fails, too.\n`kernel-half`: the upper 256 entries of every process are the master's; one that is missing, differs, or has a private table, which may be stale, is named with the entry where the two part. `stacks`: every page of a live stack is mapped, writable and not executable, its guard pages and those of free stacks are not mapped, in every space. `wx`: no page is both writable and executable; none loses W at a level above; regions that are to be written are writable, and no others. `nx`: the same of execution. `user-bits`: nothing in the kernel's half or in the master has U/S set in its last entry; in processes every page has it, at every level. `global`: G is not set where a table is referenced, in user halves, or on stacks. `reserved`: no entry has reserved bits set or names an address without memory. `loops`: no entry references a table that leads to it. `alias`: no table of a space is under two of its entries, and no code of a process can be written by another name. `frames`: what `frames audit` finds; it is about all spaces at once. `descriptors`: the GDT, CS, SS and TR, the task state segment with RSP0, the ISTs and the I/O bitmap, and every gate: present, its type, DPL, selector, handler and stack. `all`: all of these.\nWithout a root, the master and every process that is alive are looked at; what a process shares with the master, only there. A root is `cr3`, `master`, a pid, @name for a snapshot, or the physical address of a PML4; all of that one space is looked at. A part shows its first 16 findings and counts the rest; of corrupt tables that lead to each other without end it looks at four million entries.\n`iret` holds a return frame against the rules of IRETQ in the kernel: the five words given, with the tables of CR3, or those a process will go on with, with its own; with neither, at a stop before an IRETQ, the five words at RSP, and at another stop those of the process that is stopped. A line for each word says `ok`, `warn` or `FAIL`, by which rule, and for addresses which entry of the tables decided with which bit; so does a line for RSP0, which the trap back needs. The last line is the answer: the first exception with its error code, in which ring and when it comes, or `enters ring 3`. `$_` becomes 0 if it does, else 0x200 and the vector; if it does not, the command fails. What QEMU 7.2 does otherwise than the manuals say is named by its id.\n`switch` looks up in the tables of a process all that the CPU and the kernel touch when they change to it, and changes nothing: on the way (`way`, in that order), when a trap comes back (`trap`), when a fault has to be reported (`report`), and whole regions (`region`). A line for each says `ok` or `FAIL`, with the entry that decides and its bit. The last line is the answer: where the way stops, with the exception, what comes of its delivery, and whether that ends in a double or a triple fault; or where it leads. `$_` becomes the number of needs that are not met; if there are any, the command fails.",
    examples: &[
        ("check all", "is the machine sound?"),
        (
            "check kernel-half 3",
            "is the kernel's half of process 3 the kernel's?",
        ),
        (
            "check wx user-bits nx",
            "three questions about rights, in every space",
        ),
        ("check all @before", "was it wrong then already?"),
        ("check switch 3", "would the kernel survive its CR3?"),
        ("check iret 3", "will process 3 come back to ring 3?"),
        (
            "check iret 0x40_1000 0x23 0x202 0x7fff_fff0_0000 0x1b",
            "a frame of one's own",
        ),
        (
            "in 3 check iret $rip 0x2b $rflags $rsp $ss",
            "the same with another CS, in the tables of process 3",
        ),
    ],
    rows: &[
        Row {
            name: "part",
            about: "how a part ended",
            fields: &[
                text("part", "its name"),
                text("verdict", "pass, fail, unknown, skipped"),
                number("findings", "what was found wrong"),
                number("unreadable", "entries that could not be followed"),
                flag("complete", "whether everything was looked at"),
                text("extent", "what was looked at, or why it was skipped"),
            ],
        },
        Row {
            name: "finding",
            about: "something wrong; the first 16 of a part",
            fields: &[
                text("part", "the part that found it"),
                text("space", "master, pid 3, or the root as it was typed").or_null(),
                hex("first", "the first address it is about").or_null(),
                hex("last", "the last one").or_null(),
                text("thing", "slot 402, gdt 0x0008, idt 8, RSP0, ...").or_null(),
                text("level", "the level of the entry").or_null(),
                hex("entry", "its physical address").or_null(),
                hex("value", "the value at fault").or_null(),
                number("entries", "how many in a row have the same flaw"),
                text("what", "what is wrong"),
                text("region", "the name of the region").or_null(),
            ],
        },
        Row {
            name: "summary",
            about: "what it comes to, where more than one part was asked for",
            fields: &[
                number("passed", "parts"),
                number("failed", "parts"),
                number("unknown", "parts"),
                number("skipped", "parts"),
                number("findings", "of all parts"),
            ],
        },
        check_iret::ROW,
        check_iret::DEVIATION,
        check_iret::ANSWER,
        check_switch::NEED,
        check_switch::COURSE,
    ],
    args: &[
        ArgKind::Words(WORDS),
        ArgKind::ProcessBehind(&["iret", "switch"], WORDS),
    ],
    run,
};

/// A part that foretells what the CPU will do.
type Foretold = fn(&mut Context<'_>, &mut Args<'_>) -> Result<(), Error>;

type Run = fn(&mut Context<'_>, &Scope) -> Result<Report, Error>;

/// The parts, in the order in which `all` asks.
const PARTS: &[(&str, Run)] = &[
    ("kernel-half", kernel_half::run),
    ("stacks", stacks::run),
    ("wx", |context, scope| {
        tree::run(context, scope, Rule::Writes)
    }),
    ("user-bits", |context, scope| {
        tree::run(context, scope, Rule::UserBits)
    }),
    ("nx", |context, scope| {
        tree::run(context, scope, Rule::Executes)
    }),
    ("global", |context, scope| {
        tree::run(context, scope, Rule::Global)
    }),
    ("reserved", |context, scope| {
        tree::run(context, scope, Rule::Reserved)
    }),
    ("alias", alias::run),
    ("loops", |context, scope| {
        tree::run(context, scope, Rule::Loops)
    }),
    (FRAMES, frames::run),
    ("descriptors", descriptors::run),
];

/// The one part that is about all spaces at once.
const FRAMES: &str = "frames";
const FRAMES_ALONE: &str = "it is about all spaces; give no root";

fn run(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let foretold: Option<Foretold> = match args.peek().map(|word| word.0) {
        Some("iret") => Some(check_iret::run),
        Some("switch") => Some(check_switch::run),
        _ => None,
    };
    if let Some(run) = foretold {
        args.word();
        return run(context, args);
    }
    let mut wanted = [false; PARTS.len()];
    let mut is_any = false;
    while let Some(word) = args.peek() {
        let text = word.text()?;
        let is_named = |name: &str| text == "all" || text == name;
        if !PARTS.iter().any(|(name, _)| is_named(name)) {
            break;
        }
        for (wanted, (name, _)) in wanted.iter_mut().zip(PARTS) {
            *wanted |= is_named(name);
        }
        is_any = true;
        args.word();
    }
    if !is_any {
        let word = args.word().ok_or(Error::Missing("part"))?;
        let known = "a part; `check --help` lists them";
        return Err(Error::Unknown(excerpt(word.0), known));
    }
    let scope = Scope::read(context, args)?;
    args.done()?;
    if scope.given().is_none() && context.target.master().is_none() {
        return Err(Error::Lacks("master table; name a root"));
    }
    let is_one = wanted.iter().filter(|wanted| **wanted).count() == 1;
    let mut sum = Sum::default();
    for ((part, run), _) in PARTS.iter().zip(wanted).filter(|(_, wanted)| *wanted) {
        context.check_interrupt()?;
        if *part == FRAMES && scope.given().is_some() {
            if is_one {
                return Err(Error::Said("`frames` is about all spaces; give no root"));
            }
            sum.skipped += 1;
            skip(context, part, format_args!("{FRAMES_ALONE}"))?;
            continue;
        }
        match run(context, &scope) {
            Ok(report) => {
                sum.add(&report);
                report.show(context, &scope, part)?;
            }
            // What was asked for by name must be possible.
            Err(Error::Lacks(what)) if !is_one => {
                sum.skipped += 1;
                skip(context, part, format_args!("this target has no {what}"))?;
            }
            Err(error) => return Err(error),
        }
    }
    context.state.value = sum.found;
    if !is_one {
        sum.show(context)?;
    }
    match (sum.found, sum.unknown) {
        (0, 0) => Ok(()),
        (found, _) => Err(Error::Findings(found)),
    }
}

fn skip(context: &mut Context<'_>, part: &str, why: Arguments<'_>) -> Result<(), Error> {
    let out = &mut context.out;
    if !out.is_json() {
        writeln!(out, "{part:<11}  skipped  {why}")?;
        return Ok(());
    }
    let record = out.record("part").text("part", part);
    let record = record.text("verdict", "skipped").number("findings", 0_u64);
    let record = record.number("unreadable", 0_u64).flag("complete", false);
    Ok(record.text("extent", why).end()?)
}

/// What the parts come to.
#[derive(Default)]
struct Sum {
    passed: u64,
    failed: u64,
    unknown: u64,
    skipped: u64,
    found: u64,
}

impl Sum {
    fn add(&mut self, report: &Report) {
        self.found = self.found.saturating_add(report.found);
        match report.verdict() {
            Verdict::Pass => self.passed += 1,
            Verdict::Fail => self.failed += 1,
            Verdict::Unknown => self.unknown += 1,
        }
    }

    fn show(&self, context: &mut Context<'_>) -> Result<(), Error> {
        let Sum {
            passed,
            failed,
            unknown,
            skipped,
            found,
        } = *self;
        let out = &mut context.out;
        if out.is_json() {
            let record = out.record("summary").number("passed", passed);
            let record = record.number("failed", failed).number("unknown", unknown);
            let record = record.number("skipped", skipped);
            return Ok(record.number("findings", found).end()?);
        }
        write!(out, "{} passed", Count(passed, "part"))?;
        for (count, word) in [
            (failed, "failed"),
            (unknown, "unknown"),
            (skipped, "skipped"),
        ] {
            if count > 0 {
                write!(out, ", {count} {word}")?;
            }
        }
        writeln!(out)?;
        Ok(())
    }
}
