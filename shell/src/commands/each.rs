//! `each`: the same question about many processes.

use core::fmt::Write;

use super::inside::with_focus;
use crate::command::{ArgKind, Args, Command, Context, Group};
use crate::error::excerpt;
use crate::process::{Named, Number, Pids};
use crate::record::{Row, number, text};
use crate::{Error, ProcessInfo};

const WORDS: &[&str] = &[
    "alive", "all", "blocked", "dead", "name=", "reading", "ready", "sleeping", "waiting",
];

pub(super) const COMMAND: Command = Command {
    name: "each",
    group: Group::Processes,
    usage: "<selector> <command>",
    summary: "run a command about many processes",
    help: "Runs a command about each process selected, as `in` does, after a line that names it. Selectors: `all`, `alive`, a state (`ready`, `sleeping`, `waiting`, `reading`, `blocked`, `dead`), or `name=TEXT`: a name that begins so; a `*` in it stands for anything. Processes that start meanwhile are left out. A command that fails does not keep it from the others; `each` then fails at the end. Ctrl-C ends it.",
    examples: &[
        (
            "each all walk 0xffff_c900_0000_1000",
            "a page in every space",
        ),
        ("each ready regs", "where they all are"),
        ("each dead wait $pid", "bury the dead"),
    ],
    rows: &[
        Row {
            name: "process",
            about: "the process that what follows is about",
            fields: &[
                number("pid", "its pid"),
                text("name", "the name of its program"),
                text("state", "what it is doing"),
            ],
        },
        Row {
            name: "summary",
            about: "all of them",
            fields: &[number("processes", "how many there were")],
        },
    ],
    args: &[ArgKind::Words(WORDS), ArgKind::Line],
    run,
};

fn run(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let selector = args.word().ok_or(Error::Missing("processes"))?.text()?;
    let is_selected = select(selector)?;
    let line = super::time::line(args)?;
    let mut pids = Pids::all(context.target)?;
    let (mut count, mut failed) = (0_u64, 0_u64);
    while let Some(info) = pids.next(context.target) {
        context.check_interrupt()?;
        if !is_selected.admits(&info) {
            continue;
        }
        count = count.saturating_add(1);
        let (out, state) = (&mut context.out, info.state.name());
        match out.is_json() {
            true => out
                .record("process")
                .number("pid", info.pid)
                .text("name", &info.name)
                .text("state", state)
                .end()?,
            false => writeln!(out, "{} {state}:", Named::of(&info))?,
        }
        match with_focus(context, Some(info.pid), line) {
            Ok(()) => {}
            Err(Error::Reported) => failed = failed.saturating_add(1),
            Err(error) => return Err(error),
        }
    }
    if failed > 0 {
        return Err(Error::Each(failed, count));
    }
    let out = &mut context.out;
    match out.is_json() {
        true => out.record("summary").number("processes", count).end()?,
        false => writeln!(out, "{}", Number(count))?,
    }
    Ok(())
}

#[derive(Clone, Copy)]
enum Selector<'a> {
    All,
    Alive,
    State(&'static str),
    Name(&'a str),
}

fn select(text: &str) -> Result<Selector<'_>, Error> {
    let states = WORDS.iter().find(|word| **word == text);
    match (text, text.strip_prefix("name="), states) {
        ("all", ..) => Ok(Selector::All),
        ("alive", ..) => Ok(Selector::Alive),
        (_, Some(name), _) => Ok(Selector::Name(name)),
        (_, _, Some(state)) => Ok(Selector::State(state)),
        _ => Err(Error::Unknown(
            excerpt(text),
            "a choice of processes; `help each` lists them",
        )),
    }
}

impl Selector<'_> {
    fn admits(self, info: &ProcessInfo) -> bool {
        match self {
            Selector::All => true,
            Selector::Alive => info.state.exit().is_none(),
            Selector::State(state) => info.state.name() == state,
            Selector::Name(pattern) => begins_like(&info.name, pattern),
        }
    }
}

/// Whether a name begins with a text in which `*` stands for anything.
fn begins_like(name: &str, pattern: &str) -> bool {
    let mut parts = pattern.split('*');
    // A text split has a first part, be it empty.
    let first = parts.next().unwrap_or("");
    let Some(mut rest) = name.strip_prefix(first) else {
        return false;
    };
    for part in parts {
        // The first place leaves the most for what follows.
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_chosen_by_how_it_begins() {
        for (pattern, chosen) in [
            ("", true),
            ("spin", true),
            ("spinner", true),
            ("spinners", false),
            ("pin", false),
            ("*in", true),
            ("s*n*r", true),
            ("s*r*n", false),
            ("*", true),
            ("**", true),
        ] {
            assert_eq!(begins_like("spinner", pattern), chosen, "{pattern}");
        }
    }
}
