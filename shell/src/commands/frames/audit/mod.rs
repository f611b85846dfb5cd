//! `frames audit`: do the allocator's books and the page tables agree?

mod entry;
mod finding;
mod registers;
mod scan;
mod sweep;

use core::fmt::{self, Write};

use heapless::Vec;

use crate::Error;
use crate::command::Context;
use crate::output::Output;
use crate::record::{Row, number};
use crate::render::Count;
pub(in crate::commands) use finding::{Finding, ROW};
use scan::Scan;

/// What an audit came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::commands) struct Outcome {
    /// Disagreements; each has been shown.
    pub(in crate::commands) found: u64,
    /// Frames of RAM.
    pub(in crate::commands) frames: u64,
    /// Tables that the trees reach.
    pub(in crate::commands) tables: u64,
    /// Pages of 4 KiB, mapped beside the mapping of all RAM.
    pub(in crate::commands) pages: u64,
    /// Trees.
    pub(in crate::commands) spaces: u64,
}

/// How many findings are kept until they are shown.
const KEPT: usize = 32;
/// How often to begin again, because somebody took or gave back a frame meanwhile.
const ATTEMPTS: usize = 3;

/// Runs the command.
pub(super) fn run(context: &mut Context<'_>) -> Result<(), Error> {
    let outcome = audit(context)?;
    context.state.value = outcome.found;
    match context.out.is_json() {
        true => outcome.record(&mut context.out)?,
        false => writeln!(context.out, "{outcome}")?,
    }
    match outcome.found {
        0 => Ok(()),
        found => Err(Error::Disagreements(found)),
    }
}

/// Shows every disagreement, and says what there was.
pub(in crate::commands) fn audit(context: &mut Context<'_>) -> Result<Outcome, Error> {
    match settled(context)? {
        Some((scan, changes)) => show(context, scan, changes),
        None => Err(Error::Said(
            "frames were taken or given back all the while; nothing can be said",
        )),
    }
}

/// What there was, and as many of the disagreements as are kept; `None` if frames were taken or
/// given back all the while.
pub(in crate::commands) fn collect(
    context: &mut Context<'_>,
) -> Result<Option<(Outcome, Vec<Finding, KEPT>)>, Error> {
    let settled = settled(context)?;
    Ok(settled.map(|(scan, _)| (scan.outcome, scan.into_found())))
}

/// A scan during which the books did not change, and the number of their changes.
fn settled(context: &mut Context<'_>) -> Result<Option<(Scan, u64)>, Error> {
    for attempt in 0..ATTEMPTS {
        let before = changes(context)?;
        // Asking for Ctrl-C lets the processes run. If that gets in the way, it is not asked for
        // again: there is an end to the work, since each table is read once.
        let scan = Scan::new(0, attempt == 0).run(context)?;
        if changes(context)? == before {
            return Ok(Some((scan, before)));
        }
    }
    Ok(None)
}

/// Shows what was found; looks again for what could not be kept.
fn show(context: &mut Context<'_>, scan: Scan, before: u64) -> Result<Outcome, Error> {
    let mut scan = scan;
    let mut shown = 0_u64;
    loop {
        for finding in scan.found() {
            match context.out.is_json() {
                true => finding.record(&mut context.out)?,
                false => writeln!(context.out, "{finding}")?,
            }
            shown = shown.saturating_add(1);
        }
        let outcome = scan.outcome;
        if shown >= outcome.found || scan.found().is_empty() {
            return Ok(outcome);
        }
        // A row lets the processes run as well.
        if changes(context)? != before {
            let left = outcome.found.saturating_sub(shown);
            let out = &mut context.out;
            match out.is_json() {
                true => out.record(LEFT.name).number("rows", left).end()?,
                false => writeln!(
                    out,
                    "{} more, not shown: frames have changed hands",
                    Count(left, "row")
                )?,
            }
            return Ok(outcome);
        }
        scan = Scan::new(shown, false).run(context)?;
    }
}

fn changes(context: &mut Context<'_>) -> Result<u64, Error> {
    let frames = context.target.frames();
    Ok(frames.ok_or(Error::Lacks("frame records"))?.changes())
}

/// What is written with `--json`, besides the findings.
pub(in crate::commands) const LEFT: Row = Row {
    name: "not_shown",
    about: "what could not be shown: frames have changed hands",
    fields: &[number("rows", "how many disagreements more")],
};

pub(in crate::commands) const SUMMARY: Row = Row {
    name: "audit",
    about: "what an audit came to",
    fields: &[
        number("frames", "how many there are"),
        number("tables", "how many the roots lead to"),
        number(
            "pages",
            "pages of 4 KiB, mapped beside the mapping of all RAM",
        ),
        number("spaces", "how many there are"),
        number("disagreements", "how many there are"),
    ],
};

impl Outcome {
    fn record(&self, out: &mut Output<'_>) -> fmt::Result {
        out.record(SUMMARY.name)
            .number("frames", self.frames)
            .number("tables", self.tables)
            .number("pages", self.pages)
            .number("spaces", self.spaces)
            .number("disagreements", self.found)
            .end()
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}, {}, {} mapped in {}: ",
            Count(self.frames, "frame"),
            Count(self.tables, "table"),
            Count(self.pages, "page"),
            Count(self.spaces, "space"),
        )?;
        match self.found {
            0 => f.write_str("all accounted for"),
            found => write!(f, "{}", Count(found, "disagreement")),
        }
    }
}
