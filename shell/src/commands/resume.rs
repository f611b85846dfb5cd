//! `continue`, `until` and `finish`: go on, to the next stop, to an address, to the caller.

use machine::{PhysAddr, VirtAddr};
use unwinder::{Registers, Stop, Walk};

use super::bt::threads;
use super::wait::EXIT;
use crate::Error;
use crate::backtrace::stack_words;
use crate::command::{Args, Command, Context, Group};
use crate::foreground::OUTPUT;
use crate::going::{self, finish};
use crate::stop::STOP;

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
    help: "Goes on until the function that is stopped has returned to its caller. The caller is who `bt` shows next: by the unwind tables, so this is right at every instruction, the first and the last too, and leads from the entry of an interrupt or a system call to what goes on behind it.",
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
    let (rip, rsp) = caller(context)?;
    going::until(context, VirtAddr(rip), rsp)
}

/// RIP of the caller of what is stopped, and where RSP is at least when it has returned there.
fn caller(context: &mut Context<'_>) -> Result<(u64, u64), Error> {
    let stop = context.stop()?;
    let tables = threads(context)?.unwind_tables(stop.pid);
    let mut walk = Walk::new(tables, Registers::of(&stop.registers), true);
    let paging = context.target.paging();
    let root = PhysAddr(stop.registers.cr3);
    let mut read = stack_words(context.target.memory(), &paging, root);
    let caller = walk.next(&mut read).and_then(|_| walk.next(&mut read));
    let place = caller.and_then(|caller| {
        // On the way into a system call nothing says where the program's stack is for a moment.
        let rsp = caller.registers.rsp().unwrap_or(0);
        Some((caller.registers.rip()?, rsp))
    });
    place.ok_or(match walk.stop() {
        None | Some(Stop::Outermost) => Error::Said("the function has no caller to return to"),
        Some(why) => Error::NoCaller(why),
    })
}
