//! `can`: would this access succeed, and if not, which bit of which entry forbids it?
//!
//! Come here with the error code of a page fault in hand, or before touching something that
//! might fault. `walk` says what the tables grant; this says what the CPU makes of it under
//! CR0.WP, SMEP, SMAP, AC and NXE, as they are or as they might be.

use core::fmt::{self, Write};

use machine::{Access, AccessKind, Controls, End, Verdict, VirtAddr, VirtError, Why, bits, judge};

use crate::Error;
use crate::Subject;
use crate::command::{ArgKind, Args, Command, Context, Group};
use crate::error::excerpt;
use crate::once::Once;
use crate::output::Output;
use crate::process::Pids;
use crate::record::{Row, flag, hex, number, text};
use crate::render::EntryLine;
use crate::space::Space;

const ACCESSES: &[&str] = &["r", "w", "x"];
const MODES: &[&str] = &["kernel", "user"];
const SETTINGS: &[&str] = &[
    "ac=0", "ac=1", "nxe=0", "nxe=1", "smap=0", "smap=1", "smep=0", "smep=1", "wp=0", "wp=1",
];

pub(super) const COMMAND: Command = Command {
    name: "can",
    group: Group::Memory,
    usage: "r|w|x [user|kernel] <address> [root] [bit=0|1...]",
    summary: "say whether an access would succeed, and what forbids it",
    help: "Judges a read, a write or an instruction fetch as the CPU would, from the tables and CR0.WP, CR4.SMEP, CR4.SMAP, RFLAGS.AC and EFER.NXE. Shows the entry that decided: the highest one that forbids, or the one that maps the page. The last line is the answer: `yes`, or `no` with the reason and the error code the CPU would push. `$_` becomes 1 for yes and 0 for no; both are answers, so the command succeeds. It fails if an entry cannot be read: that is neither.\nA root is `cr3` (if none is given), `master`, a pid, a snapshot (`@name`), or the physical address of a PML4. Without `user` or `kernel` the access is the user's if the root is a process's, or if no root is given and the code that runs does so at CPL 3; else it is the kernel's. The five bits are the processor's own unless given: `wp`, `smep`, `smap`, `ac`, `nxe`, each with `=0` or `=1`.\nNot considered: protection keys, shadow stacks, LASS, what the TLB may still hold, and accesses that the CPU makes by itself, such as to the GDT.",
    examples: &[
        ("can r 0x40_0000 3", "may process 3 read it?"),
        ("can w kernel $rip wp=0", "were CR0.WP clear?"),
        ("can w user $rsp", "is the kernel's stack safe from ring 3?"),
    ],
    rows: &[
        EntryLine::ROW,
        Row {
            name: "answer",
            about: "whether the access would succeed",
            fields: &[
                flag("allowed", "whether it would"),
                text("access", "what access by whom"),
                hex("va", "the address"),
                number("page_bytes", "if so: the size of the page").or_null(),
                text("rights", "the effective rights").or_null(),
                text("level", "if not: the level of the entry that forbids").or_null(),
                text("why", "absent, reserved, supervisor, read_only, no_execute, smep, smap, not_canonical").or_null(),
                hex("error_code", "what the CPU would push with a #PF").or_null(),
                text("text", "the answer in words"),
            ],
        },
    ],
    args: &[
        ArgKind::Words(ACCESSES),
        ArgKind::Words(MODES),
        ArgKind::Root(SETTINGS),
    ],
    run,
};

fn run(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let kind = kind(args)?;
    let mode = mode(args);
    let va = args.virt(context)?;
    let named = match args.peek() {
        Some(word) if !word.0.contains('=') => Some(args.root(context)?),
        _ => None,
    };
    let cpu = context.target.cpu().ok_or(Error::Lacks("registers"))?;
    let controls = settings(args, Controls::from_registers(&cpu.registers()))?;
    let user = match mode {
        Some(user) => user,
        None => is_for_user(context, named)?,
    };
    let space = match named {
        Some(space) => space,
        None => Space::live(context.cr3()?),
    };

    let access = Access { kind, user };
    let paging = controls.paging(context.target.paging());
    let walk = machine::walk(&mut context.view(&space), &paging, space.root, va);
    let verdict = judge(&walk, access, controls);
    let mut steps = walk.steps().iter();
    let deciding = match verdict {
        Verdict::PageFault { level, .. } => steps.find(|step| step.entry.level == level),
        _ => steps.last(),
    };
    if let Some(step) = deciding {
        EntryLine(step).show(&mut context.out)?;
    }
    context.state.value = verdict.is_allowed().unwrap_or(false).into();
    if let Verdict::Unknown { level, why } = verdict {
        let why = End::Unreadable { level, why };
        let memory = None;
        return Err(VirtError {
            at: va,
            why,
            memory,
        }
        .into());
    }
    let answer = Answer {
        verdict,
        access,
        controls,
    };
    let word = match verdict.is_allowed() {
        Some(true) => "yes",
        _ => "no",
    };
    if context.out.is_json() {
        let words = format_args!("{word}: {access} of {va}{answer}");
        return Ok(answer.record(&mut context.out, va, words)?);
    }
    writeln!(context.out, "{word}: {access} of {va}{answer}")?;
    Ok(())
}

fn kind(args: &mut Args<'_>) -> Result<AccessKind, Error> {
    match args.word().ok_or(Error::Missing("access"))?.text()? {
        "r" => Ok(AccessKind::Read),
        "w" => Ok(AccessKind::Write),
        "x" => Ok(AccessKind::Execute),
        other => Err(Error::Unknown(
            excerpt(other),
            "an access; that is r, w or x",
        )),
    }
}

/// Whether it is said to be the user's, if anything is said.
fn mode(args: &mut Args<'_>) -> Option<bool> {
    let user = match args.peek()?.0 {
        "user" => true,
        "kernel" => false,
        _ => return None,
    };
    args.word();
    Some(user)
}

/// All that is left of the line, as bits in the place of those there are.
fn settings(args: &mut Args<'_>, now: Controls) -> Result<Controls, Error> {
    const NAMES: [&str; 5] = ["wp", "smep", "smap", "ac", "nxe"];
    let mut given: [Once<'_, bool>; 5] = Default::default();
    while let Some(word) = args.word() {
        let word = word.text()?;
        let Some((name, value)) = word.split_once('=') else {
            return Err(Error::Unexpected(excerpt(word)));
        };
        let mut bits = NAMES.iter().zip(&mut given);
        let bit = bits.find(|(known, _)| **known == name);
        match (bit, value) {
            (Some((_, bit)), "0") => bit.set(word, false)?,
            (Some((_, bit)), "1") => bit.set(word, true)?,
            _ => {
                return Err(Error::Unknown(
                    excerpt(word),
                    "a setting; those are wp, smep, smap, ac and nxe, each =0 or =1",
                ));
            }
        }
    }
    let [wp, smep, smap, ac, nxe] = given.map(Once::get);
    Ok(Controls {
        wp: wp.unwrap_or(now.wp),
        smep: smep.unwrap_or(now.smep),
        smap: smap.unwrap_or(now.smap),
        ac: ac.unwrap_or(now.ac),
        nxe: nxe.unwrap_or(now.nxe),
    })
}

/// Whether an access through the root that was named is taken to be the user's.
fn is_for_user(context: &mut Context<'_>, named: Option<Space>) -> Result<bool, Error> {
    let Some(space) = named else {
        return Ok(context.registers()?.cs & 3 == 3);
    };
    if let Some(index) = space.snapshot {
        let info = context
            .target
            .snapshots()
            .and_then(|all| all.snapshot(index));
        return Ok(info.is_some_and(|info| matches!(info.subject, Subject::Process(_))));
    }
    let root = context.target.paging().root(space.root);
    // A target without processes has none whose root it could be.
    let Ok(mut pids) = Pids::all(context.target) else {
        return Ok(false);
    };
    while let Some(info) = pids.next(context.target) {
        // The dead have no root.
        if info.root == root && info.state.exit().is_none() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What follows the address in the last line.
struct Answer {
    verdict: Verdict,
    access: Access,
    controls: Controls,
}

impl Answer {
    fn record(&self, out: &mut Output<'_>, va: VirtAddr, words: fmt::Arguments<'_>) -> fmt::Result {
        let (mut page, mut rights, mut decided, mut why) = (None, None, None, None);
        match self.verdict {
            Verdict::Allowed { size, rights: all } => {
                page = Some(size.bytes());
                rights = Some(all);
            }
            Verdict::PageFault {
                level, why: what, ..
            } => {
                decided = Some(level);
                why = Some(match what {
                    Why::Absent => "absent",
                    Why::Reserved(_) => "reserved",
                    Why::Supervisor => "supervisor",
                    Why::ReadOnly => "read_only",
                    Why::NoExecute => "no_execute",
                    Why::Smep => "smep",
                    Why::Smap => "smap",
                });
            }
            Verdict::NonCanonical => why = Some("not_canonical"),
            // It is an error, and printed as one.
            Verdict::Unknown { .. } => {}
        }
        let code = match self.verdict {
            Verdict::PageFault { code, .. } => Some(code),
            _ => None,
        };
        out.record("answer")
            .flag("allowed", self.verdict.is_allowed().unwrap_or(false))
            .text("access", self.access)
            .hex("va", va)
            .number("page_bytes", page)
            .maybe_text("rights", rights)
            .maybe_text("level", decided)
            .maybe_text("why", why)
            .hex("error_code", code)
            .text("text", words)
            .end()
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Access { kind, user } = self.access;
        match self.verdict {
            Verdict::Allowed { size, rights } => {
                write!(f, " ({size} page, {rights}")?;
                // A right that is not there but is not asked for either.
                if kind == AccessKind::Write && !rights.write {
                    f.write_str(", WP clear")?;
                }
                if !user && rights.user && kind != AccessKind::Execute && self.controls.smap {
                    f.write_str(", AC set")?;
                }
                f.write_str(")")
            }
            Verdict::PageFault { code, level, why } => {
                match why {
                    Why::Absent => write!(f, ": {level} entry not present"),
                    Why::Reserved(bits) => {
                        write!(f, ": {level} entry has reserved bits set, {bits:#x}")
                    }
                    Why::Supervisor => write!(f, ": {level} entry forbids user (U/S clear)"),
                    Why::ReadOnly if user => write!(f, ": {level} entry forbids write (R/W clear)"),
                    Why::ReadOnly => {
                        write!(f, ": {level} entry forbids write (R/W clear, WP set)")
                    }
                    Why::NoExecute => write!(f, ": {level} entry forbids execute (XD set)"),
                    Why::Smep => write!(f, ": a user page (U/S set at every level, SMEP set)"),
                    Why::Smap => {
                        write!(
                            f,
                            ": a user page (U/S set at every level, SMAP set, AC clear)"
                        )
                    }
                }?;
                write!(f, ", #PF error code {code:#x}")?;
                match code {
                    0 => Ok(()),
                    _ => write!(f, " ({})", bits::PAGE_FAULT.names(code)),
                }
            }
            Verdict::NonCanonical => {
                f.write_str(": the address is not canonical, ")?;
                match kind {
                    AccessKind::Execute => f.write_str("#GP and no #PF"),
                    _ => f.write_str("#GP or, for the stack, #SS, and no #PF"),
                }
            }
            // It is an error, and printed as one.
            Verdict::Unknown { .. } => f.write_str(" is unknown"),
        }
    }
}
