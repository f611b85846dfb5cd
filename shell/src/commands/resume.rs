//! `continue`, `until` and `finish`: go on, to the next stop, to an address, to the caller.

use machine::VirtAddr;

use super::wait::EXIT;
use crate::Error;
use crate::command::{Args, Command, Context, Group};
use crate::foreground::OUTPUT;
use crate::going::{self, finish};
use crate::stop::{STOP, next};
use crate::virt::Virt;

pub(super) const CONTINUE: Command = Command {
    name: "continue",
    group: Group::Stops,
    usage: "",
    summary: "go on from a stop",
    help: "Everything goes on exactly where it was stopped, and the command that was stopped goes on too: `spawn` stays with its program, `wait` waits. At the next stop it says where that is.",
    examples: &[(
        "break on cr3; spawn hello; continue",
        "from one load of CR3 to the next",
    )],
    args: &[],
    rows: &[STOP, OUTPUT, EXIT],
    run: run_continue,
};

pub(super) const UNTIL: Command = Command {
    name: "until",
    group: Group::Stops,
    usage: "<address>",
    summary: "go on until an instruction is about to be executed",
    help: "Goes on as `continue` does, until anybody is about to execute the instruction at the address, or until another stop. It takes a debug register that is free, and gives it back.",
    examples: &[("until $rip + 5", "past a call")],
    args: &[],
    rows: &[STOP, OUTPUT, EXIT],
    run: run_until,
};

pub(super) const FINISH: Command = Command {
    name: "finish",
    group: Group::Stops,
    usage: "",
    summary: "go on until the function returns",
    help: "Goes on until the function that is stopped has returned to its caller. Where it returns to is read from its stack frame: the kernel and its programs are built with frame pointers.",
    examples: &[("finish", "out of here")],
    args: &[],
    rows: &[STOP, OUTPUT, EXIT],
    run: run_finish,
};

fn run_continue(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    args.done()?;
    context.stop()?;
    context.state.staging = None;
    let went = going::on(context)?;
    finish(context, went)
}

fn run_until(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let at = args.virt(context)?;
    args.done()?;
    context.stop()?;
    going::until(context, at, 0)
}

fn run_finish(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    args.done()?;
    let stop = context.stop()?;
    let registers = &stop.registers;
    let root = going::root(&stop);
    let line = next(context.target, root, VirtAddr(registers.rip));
    let place = match line.words_to_return() {
        Some(words) => registers.rsp.wrapping_add(words * 8),
        None => registers.rbp.wrapping_add(8),
    };
    let back = Virt::new(context.target, root).word(place, 0)?;
    if back == 0 {
        return Err(Error::Said("the function has no caller to return to"));
    }
    going::until(context, VirtAddr(back), place.wrapping_add(8))
}
