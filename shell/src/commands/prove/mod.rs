//! `prove`: make accesses for real, and hold what the CPU does against what `can` foretells.
//!
//! Come here when `can` and a page fault disagree, or before believing either on a machine that
//! nobody has tried: an emulator, a hypervisor, a new processor.

mod outcome;
mod rows;

use core::fmt::{self, Write};

use machine::{Access, Controls, Entry, Step, Verdict, Walk, judge, vectors};

use crate::command::{ArgKind, Args, Command, Context, Group};
use crate::output::Output;
use crate::record::{Row as RecordRow, flag, hex, number, text};
use crate::render::{Count, EntryLine};
use crate::{Attempts, Bench, Chain, Error, Outcome};

use outcome::{Code, Finding};
use rows::{ACCESSES, Row, Rows};

/// How many rows are tried if nothing is said.
const DEFAULT: u64 = 200_000;
/// Ctrl-C is looked for, and processes run, once in so many rows.
const BETWEEN: u64 = 64;
/// Rows of each kind that are shown.
const SHOWN: u64 = 3;

pub(super) const COMMAND: Command = Command {
    name: "prove",
    group: Group::Memory,
    usage: "[rows | all]",
    summary: "make accesses for real and hold the CPU against `can`",
    help: "Makes tables of its own and tries, one after another: every way through them to a page of 4 KiB, 2 MiB or 1 GiB, with W, U and XD set or clear in each entry, or an entry that is absent or has a reserved bit; a read, a write and a fetch, by the kernel and by code at CPL 3; under every setting of CR0.WP, CR4.SMEP, CR4.SMAP, RFLAGS.AC and EFER.NXE that the CPU has. That is 1,153,152 rows, of which 200,000 are tried unless a number or `all` is given; however many they are, they are spread evenly.\nOf each access that `can` forbids the CPU must raise #PF with the error code foretold, the address in CR2 and the instruction's RIP and CS; each other one it must make. The first rows that differ are shown with the entries that decided, and the command fails. Rows whose error code has RSVD=1 and P=0 are counted apart: the architecture excludes it, since an absent entry has no reserved bits, but emulators are known to do it. `$_` becomes the number of rows that are as foretold.\nThe control bits are changed for the moment of one access, with interrupts off; when it ends, all frames have been given back.",
    examples: &[
        ("prove 10000", "does this CPU do what `can` says?"),
        ("time prove 1000", "how long does a row take?"),
    ],
    rows: &[
        RecordRow {
            name: "matrix",
            about: "the rows there are",
            fields: &[
                number("ways", "through the tables"),
                number("accesses", "of each of them"),
                number("settings", "of the control bits"),
                number("rows", "the product"),
            ],
        },
        EntryLine::ROW,
        RecordRow {
            name: "attempt",
            about: "an access worth a look, through the entries before it",
            fields: &[
                text("access", "such as user write"),
                flag("wp", "CR0.WP"),
                flag("smep", "CR4.SMEP"),
                flag("smap", "CR4.SMAP"),
                flag("ac", "RFLAGS.AC"),
                flag("nxe", "EFER.NXE"),
                hex("foretold", "the error code of the #PF foretold").or_null(),
                number("vector", "what the CPU raised").or_null(),
                hex("code", "the error code it pushed").or_null(),
                hex("cr2", "CR2 then").or_null(),
                hex("rip", "RIP as pushed").or_null(),
                hex("cs", "CS as pushed").or_null(),
                text("difference", "what is not as foretold").or_null(),
            ],
        },
        RecordRow {
            name: "summary",
            about: "what it comes to",
            fields: &[
                number("tried", "rows"),
                number("done", "of them allowed, and the CPU did it"),
                number(
                    "forbidden",
                    "forbidden, and the CPU raised the #PF foretold",
                ),
                number(
                    "not_present",
                    "the same, but for an error code with RSVD=1 and P=0",
                ),
                number("different", "anything else"),
                number(
                    "impossible",
                    "rows not tried: no reserved bit is there to be set",
                ),
            ],
        },
    ],
    args: &[ArgKind::Words(&["all"])],
    run,
};

fn run(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let wanted = match args.peek() {
        None => DEFAULT,
        Some(word) if word.0 == "all" => {
            args.word();
            u64::MAX
        }
        Some(_) => args.number(context, "number of rows")?,
    };
    args.done()?;
    if wanted == 0 {
        return Err(Error::Said("0 rows prove nothing; how many, or `all`?"));
    }
    let bench = attempts(context)?.begin().map_err(Error::Attempt)?;
    // Whatever comes of it, what was taken is given back.
    let result = try_rows(context, bench, wanted);
    attempts(context)?.end();
    result
}

fn attempts<'a>(context: &'a mut Context<'_>) -> Result<&'a mut dyn Attempts, Error> {
    let attempts = context.target.attempts();
    attempts.ok_or(Error::Lacks("way to make accesses for real"))
}

/// How many rows there were of each kind.
#[derive(Default)]
struct Tally {
    done: u64,
    forbidden: u64,
    not_present: u64,
    different: u64,
    /// Not tried: this CPU has no reserved bit where the row would have one.
    impossible: u64,
}

fn try_rows(context: &mut Context<'_>, bench: Bench, wanted: u64) -> Result<(), Error> {
    let rows = Rows::new(context.target.paging(), bench);
    let count = rows.count();
    let wanted = wanted.min(count);
    let (ways, settings) = (rows.ways(), rows.settings());
    let out = &mut context.out;
    match out.is_json() {
        true => out
            .record("matrix")
            .number("ways", ways)
            .number("accesses", ACCESSES)
            .number("settings", settings)
            .number("rows", count)
            .end()?,
        false => writeln!(
            out,
            "{ways} ways through the tables, {ACCESSES} accesses, {settings} settings of the control bits: {count} rows",
        )?,
    }
    let mut tally = Tally::default();
    for turn in 0..wanted {
        if turn.is_multiple_of(BETWEEN) {
            context.check_interrupt()?;
        }
        try_row(context, bench, &rows.at(turn), &mut tally)?;
    }
    report(context, &tally)
}

fn try_row(
    context: &mut Context<'_>,
    bench: Bench,
    row: &Row,
    tally: &mut Tally,
) -> Result<(), Error> {
    let Row {
        access, controls, ..
    } = *row;
    let Some(chain) = &row.chain else {
        tally.impossible = tally.impossible.saturating_add(1);
        return Ok(());
    };
    let attempt = attempts(context)?.attempt(chain, access, controls);
    let attempt = attempt.map_err(Error::Attempt)?;
    // From the tables as the CPU found them.
    let paging = controls.paging(context.target.paging());
    let walk = machine::walk(context.target.memory(), &paging, bench.root, bench.va);
    if !is_as_asked(&walk, chain) {
        return Err(Error::Said("the tables are not as they were asked for"));
    }
    let verdict = judge(&walk, access, controls);
    let finding = outcome::compare(verdict, &attempt, access, bench.va);
    let (count, shown) = match finding {
        Finding::Done => (&mut tally.done, 0),
        Finding::Forbidden => (&mut tally.forbidden, 0),
        Finding::NotPresent => (&mut tally.not_present, 1),
        Finding::Different(_) => (&mut tally.different, SHOWN),
    };
    *count = count.saturating_add(1);
    if *count <= shown {
        let shown = Shown {
            walk: &walk,
            access,
            controls,
            verdict,
            outcome: attempt.outcome,
            finding,
        };
        shown.show(&mut context.out)?;
    }
    Ok(())
}

/// Whether the entries that were followed are those of the row, addresses aside: otherwise the
/// row would show something, but not what it is meant to.
fn is_as_asked(walk: &Walk, chain: &Chain) -> bool {
    const ALL: u64 = Entry::PRESENT | Entry::WRITABLE | Entry::USER | Entry::NO_EXECUTE;
    let mut pairs = walk.steps().iter().zip(chain.entries());
    let is_same = |(step, &bits): (&Step, &u64)| {
        let raw = step.entry.raw;
        raw & bits == bits && (raw ^ bits) & ALL == 0
    };
    walk.steps().len() <= chain.entries().len() && pairs.all(is_same)
}

/// A row that is worth a line.
struct Shown<'a> {
    walk: &'a Walk,
    access: Access,
    controls: Controls,
    verdict: Verdict,
    outcome: Outcome,
    finding: Finding,
}

impl Shown<'_> {
    /// The entries, raw; then what was foretold and what was done.
    fn show(&self, out: &mut Output<'_>) -> fmt::Result {
        for step in self.walk.steps() {
            EntryLine(step).show(out)?;
        }
        if !out.is_json() {
            return writeln!(out, "{self}");
        }
        let mut pushed = None;
        if let Outcome::Trap {
            vector,
            code,
            cr2,
            rip,
            cs,
        } = self.outcome
        {
            pushed = Some((u64::from(vector), code, cr2, rip, u64::from(cs)));
        }
        let difference = match self.finding {
            Finding::Different(what) => Some(what),
            _ => None,
        };
        out.record("attempt")
            .text("access", self.access)
            .flag("wp", self.controls.wp)
            .flag("smep", self.controls.smep)
            .flag("smap", self.controls.smap)
            .flag("ac", self.controls.ac)
            .flag("nxe", self.controls.nxe)
            .hex("foretold", self.verdict.error_code())
            .number("vector", pushed.map(|it| it.0))
            .hex("code", pushed.map(|it| it.1))
            .hex("cr2", pushed.map(|it| it.2))
            .hex("rip", pushed.map(|it| it.3))
            .hex("cs", pushed.map(|it| it.4))
            .maybe_text("difference", difference)
            .end()
    }
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.access)?;
        let Controls {
            wp,
            smep,
            smap,
            ac,
            nxe,
        } = self.controls;
        for (name, is_set) in [
            ("wp", wp),
            ("smep", smep),
            ("smap", smap),
            ("ac", ac),
            ("nxe", nxe),
        ] {
            write!(f, " {name}={}", u8::from(is_set))?;
        }
        match self.verdict.error_code() {
            Some(code) => write!(f, ": foretold #PF error code {}", Code(code))?,
            None => f.write_str(": foretold no fault")?,
        }
        match self.outcome {
            Outcome::Done => f.write_str("; the CPU did it")?,
            Outcome::Trap {
                vector,
                code,
                cr2,
                rip,
                cs,
            } => {
                let name = vectors::name(vector);
                write!(f, "; the CPU raised {name}, error code {}", Code(code))?;
                write!(f, ", CR2 {cr2} RIP {rip} CS {cs:#x}")?;
            }
        }
        match self.finding {
            Finding::Different(what) => write!(f, ": {what}"),
            _ => Ok(()),
        }
    }
}

fn report(context: &mut Context<'_>, tally: &Tally) -> Result<(), Error> {
    let agree = tally.done.saturating_add(tally.forbidden);
    let tried = agree
        .saturating_add(tally.not_present)
        .saturating_add(tally.different);
    context.state.value = agree;
    let out = &mut context.out;
    match out.is_json() {
        true => out
            .record("summary")
            .number("tried", tried)
            .number("done", tally.done)
            .number("forbidden", tally.forbidden)
            .number("not_present", tally.not_present)
            .number("different", tally.different)
            .number("impossible", tally.impossible)
            .end()?,
        false => print(out, tally)?,
    }
    if tally.different > 0 {
        return Err(Error::Different(tally.different, tried));
    }
    if out.is_json() {
        return Ok(());
    }
    write!(out, "{} tried: {agree} as foretold", Count(tried, "row"))?;
    if tally.not_present > 0 {
        write!(out, ", {} with RSVD=1 and P=0", tally.not_present)?;
    }
    writeln!(out)?;
    Ok(())
}

fn print(out: &mut Output<'_>, tally: &Tally) -> fmt::Result {
    writeln!(out, "{:>9} allowed, and the CPU did it", tally.done)?;
    writeln!(
        out,
        "{:>9} forbidden, and the CPU raised the #PF foretold",
        tally.forbidden
    )?;
    if tally.not_present > 0 {
        writeln!(
            out,
            "{:>9} forbidden, and the CPU raised #PF, but its error code has RSVD=1 and P=0, which the architecture excludes",
            tally.not_present
        )?;
    }
    if tally.impossible > 0 {
        writeln!(
            out,
            "{:>9} not tried: this CPU has no reserved bit there",
            tally.impossible
        )?;
    }
    writeln!(
        out,
        "{:>9} different from what `can` foretells",
        tally.different
    )?;
    Ok(())
}
