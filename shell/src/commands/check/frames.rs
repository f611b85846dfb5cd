//! `frames`: what `frames audit` finds, as findings.

use super::report::{Place, Report, Row};
use super::scope::Scope;
use super::what::What;
use crate::Error;
use crate::command::Context;
use crate::commands::frames;
use crate::render::Count;

pub(super) fn run(context: &mut Context<'_>, _: &Scope) -> Result<Report, Error> {
    let mut report = Report::default();
    let Some((outcome, findings)) = frames::collect(context)? else {
        report.extent(format_args!(
            "frames were taken or given back all the while"
        ));
        report.cut();
        return Ok(report);
    };
    for finding in &findings {
        report.add(Row::new(Place::Books, What::Frame(*finding)));
    }
    report.found = outcome.found;
    let (spaces, tables) = (
        Count(outcome.spaces, "space"),
        Count(outcome.tables, "table"),
    );
    let frames = Count(outcome.frames, "frame");
    report.extent(format_args!("{spaces}, {tables}, {frames}"));
    Ok(report)
}
