//! `iretq`: start a program with a return frame of one's own making.
//!
//! For somebody whose kernel dies at IRETQ: put the frame it built here, and see which fault
//! the CPU raises, where, and with which error code.

use crate::command::{ArgKind, Args, Command, Context, Group};
use crate::commands::spawn;
use crate::error::excerpt;
use crate::grammar::word::Word;
use crate::once::Once;
use crate::{Error, Start};

pub(super) const COMMAND: Command = Command {
    name: "iretq",
    group: Group::Processes,
    usage: "<program> [cs=N] [ss=N] [rip=N] [rsp=N] [rflags=N] [unchecked] [break]",
    summary: "start a program with a changed return frame",
    help: "Starts a program like `spawn`, but the frame that the first IRETQ to ring 3 takes is changed as given. Usually the kernel checks the frame before it uses it, and a bad one ends the process with #GP(0) at the frame's RIP, whatever the CPU would have said; RFLAGS are masked: IOPL and VM off, IF on. With `unchecked` the frame goes to the CPU as it is, RFLAGS included, and what the CPU raises at the IRETQ ends the process. A frame with IF clear then runs until the machine is reset, since nothing can interrupt it.\nWith `break` a hardware breakpoint (DR0) waits at the program's first instruction: #DB ends the process there, unless RF (0x10000) is set in the frame.",
    examples: &[
        ("iretq hello cs=0x10", "the kernel's data segment as CS"),
        (
            "iretq hello cs=0 unchecked",
            "what the CPU says of a null CS",
        ),
        (
            "iretq nothing rsp=0x8000_0000_0000",
            "a stack pointer that is not canonical",
        ),
    ],
    rows: &[],
    args: &[
        ArgKind::Program,
        ArgKind::Words(&[
            "break",
            "cs=",
            "rflags=",
            "rip=",
            "rsp=",
            "ss=",
            "unchecked",
        ]),
    ],
    run,
};

fn run(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let program = args.word().ok_or(Error::Missing("program"))?;
    let start = read(context, args)?;
    let pid = spawn::start(context, program, &[])?;
    if let Err(why) = context.processes()?.change_start(pid, start) {
        let processes = context.processes()?;
        // It has not run; nothing of it stays.
        let _ = processes.kill(pid);
        let _ = processes.reap(pid);
        return Err(Error::Process(why));
    }
    spawn::stay(context, pid)
}

fn read(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<Start, Error> {
    let (mut cs, mut ss, mut rip) = (Once::default(), Once::default(), Once::default());
    let (mut rsp, mut rflags) = (Once::default(), Once::default());
    let (mut unchecked, mut breakpoint) = (Once::default(), Once::default());
    while let Some(word) = args.word() {
        let text = word.text()?;
        match text.split_once('=') {
            None if word == Word("&") => {
                return Err(Error::Said(
                    "`&` is not taken: `iretq` runs in the foreground",
                ));
            }
            None if text == "unchecked" => unchecked.set(text, ())?,
            None if text == "break" => breakpoint.set(text, ())?,
            Some((name, value)) => {
                let field = match name {
                    "cs" => &mut cs,
                    "ss" => &mut ss,
                    "rip" => &mut rip,
                    "rsp" => &mut rsp,
                    "rflags" => &mut rflags,
                    _ => return Err(unknown(text)),
                };
                field.set(text, context.evaluate(value)?)?;
            }
            None => return Err(unknown(text)),
        }
    }
    Ok(Start {
        cs: cs.get(),
        ss: ss.get(),
        rip: rip.get(),
        rsp: rsp.get(),
        rflags: rflags.get(),
        unchecked: unchecked.is_set(),
        breakpoint: breakpoint.is_set(),
    })
}

fn unknown(text: &str) -> Error {
    Error::Unknown(
        excerpt(text),
        "a part of the frame; `help iretq` lists them",
    )
}
