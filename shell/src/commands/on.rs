//! `on`: commands that run by themselves when something goes wrong.
//!
//! For what happens at night: the walk, the events and the stacks are asked for right when a program
//! faults, not when somebody comes to look.

use core::fmt::Write;

use heapless::String;

use crate::Error;
use crate::command::{ArgKind, Args, Command, Context, Group};
use crate::error::excerpt;
use crate::reactions::{BODY, Happening};
use crate::record::{Row, text};

pub(super) const COMMAND: Command = Command {
    name: "on",
    group: Group::Scripting,
    usage: "[panic|fault|exit] [{ commands }]",
    summary: "run commands when something goes wrong",
    help: "Remembers commands, separated by `;` within braces, that run after a command during which the kernel panicked (`panic`), the kernel or a program faulted (`fault`), or a process ended (`exit`), or before the next prompt if it was while nobody's command ran; once, however often it happened. `$_` is then the number of the newest fault or panic, for `fault $_`, or the pid of the last process that ended. What happens while they run does not run them again. Alone, `on` lists what is set; empty braces clear it.",
    examples: &[
        (
            "on fault { fault; events last=20 }",
            "the whole report, and what came before",
        ),
        ("on fault {}", "no more"),
        ("on", "what is set?"),
    ],
    rows: &[Row {
        name: "reaction",
        about: "what is set",
        fields: &[
            text("on", "what must happen: panic, fault or exit"),
            text("commands", "what runs then; null if nothing does").or_null(),
        ],
    }],
    args: &[ArgKind::Words(&Happening::NAMES), ArgKind::Any],
    run,
};

fn run(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let Some(word) = args.word() else {
        return list(context);
    };
    let happening = Happening::named(word.text()?).ok_or(Error::Unknown(
        excerpt(word.0),
        "something to react to: panic, fault or exit",
    ))?;
    let text = args.rest().trim();
    let body = text
        .strip_prefix('{')
        .and_then(|text| text.strip_suffix('}'))
        .ok_or(Error::Said("commands belong in braces: on fault { fault }"))?;
    let body: String<BODY> = String::try_from(body.trim())
        .map_err(|_| Error::Said("the commands are longer than 160 bytes"))?;
    context.react(happening, body);
    Ok(())
}

fn list(context: &mut Context<'_>) -> Result<(), Error> {
    let out = &mut context.out;
    for happening in Happening::ALL {
        let body = context.state.reactions.body(happening);
        let name = happening.name();
        match (out.is_json(), body) {
            (true, body) => out
                .record("reaction")
                .text("on", name)
                .maybe_text("commands", body)
                .end()?,
            (false, Some(body)) => writeln!(out, "on {name} {{ {body} }}")?,
            (false, None) => writeln!(out, "on {name} {{}}")?,
        }
    }
    Ok(())
}
