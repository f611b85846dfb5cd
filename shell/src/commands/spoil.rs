//! `spoil`: break a process on purpose, to see who notices.
//!
//! For somebody who wants to know what a mistake looks like before making it: take a page from
//! under a process, then ask `check switch` about it.

use crate::command::{ArgKind, Args, Command, Context, Group};
use crate::error::excerpt;
use crate::grammar::word::Word;
use crate::way::switches;
use crate::{Error, Spoil, process, spoil};

pub(super) const COMMAND: Command = Command {
    name: "spoil",
    group: Group::Processes,
    usage: "<pid> [level:address:change...] [rsp0=N]",
    summary: "break a process on purpose",
    help: "Changes entries of the tables that a process has, and RSP0 for it. LEVEL is `pml4`, `pdpt`, `pd` or `pt`: the entry of that level on the way to the address. CHANGE is `absent` (P off), `read-only` (R/W off), `supervisor` (U/S off), `no-execute` (XD on) or `reserved` (bit 51 on). No other space changes: a table that is shared is copied first. `rsp0=` sets what the task state segment will hold while the process runs.\nThe process does not run any more until it is killed; then everything is put back. `check switch` says what would come of it, and `iretq` with `spoil=` tries it.",
    examples: &[
        (
            "spoil 3 pt:$idtr:absent; check switch 3",
            "a space without the IDT",
        ),
        (
            "spoil 3 pml4:0xffff_c900_0000_0000:absent",
            "without the kernel stacks",
        ),
        ("spoil 3 rsp0=0", "nowhere to go on a trap"),
    ],
    rows: &[],
    args: &[ArgKind::Any],
    run,
};

fn run(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let pid = args.pid(context)?;
    process::alive(context.target, pid)?;
    let mut is_any = false;
    while let Some(word) = args.word() {
        let what = read(context, word)?;
        let spoiled = switches(context)?.spoil(pid, what);
        spoiled.map_err(Error::Process)?;
        is_any = true;
    }
    match is_any {
        true => Ok(()),
        false => Err(Error::Missing("way to break it")),
    }
}

fn read(context: &mut Context<'_>, word: Word<'_>) -> Result<Spoil, Error> {
    let text = word.text()?;
    match text.split_once('=') {
        Some(("rsp0", value)) => {
            let value = context.evaluate(value)?;
            Ok(Spoil::Rsp0(machine::VirtAddr(value)))
        }
        Some(_) => Err(Error::Unknown(
            excerpt(text),
            "`rsp0=` or LEVEL:ADDRESS:CHANGE",
        )),
        None => spoil::entry(text, context),
    }
}
