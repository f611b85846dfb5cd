//! `si` and `ni`: one instruction, and one instruction with all that it calls.
//!
//! They work everywhere: in a program, in the kernel's own switch, across `mov cr3`, IRETQ and the
//! trap back.

use super::wait::EXIT;
use crate::command::{Args, Command, Context, Group};
use crate::foreground::OUTPUT;
use crate::going::{self, breakpoint_at, finish};
use crate::stop::{STOP, next};
use crate::{Error, StopReason, Went};
use machine::VirtAddr;

pub(super) const SI: Command = Command {
    name: "si",
    group: Group::Stops,
    usage: "[count]",
    summary: "execute one instruction, or so many",
    help: "Executes instructions of the thread that is stopped, one at a time, with RFLAGS.TF; nobody else runs meanwhile, and no interrupt comes. A step out of ring 3 (a system call, a fault) ends at the first instruction of the kernel's entry path; IRETQ ends at the first one in ring 3. It stops early at a breakpoint. Under QEMU 7.2 a step of PAUSE executes the instruction behind it, too (D-24).",
    examples: &[
        ("si", "the next instruction"),
        ("si 100", "a hundred of them; then where it is"),
    ],
    args: &[],
    rows: &[STOP, OUTPUT, EXIT],
    run,
};

pub(super) const NI: Command = Command {
    name: "ni",
    group: Group::Stops,
    usage: "[count]",
    summary: "execute one instruction, and what it calls",
    help: "As `si`, but a call, a system call or a repeated string instruction is gone through as a whole: until the instruction behind it is about to be executed. For that it takes a debug register that is free. Others may run meanwhile.",
    examples: &[("ni", "over a call")],
    args: &[],
    rows: &[STOP, OUTPUT, EXIT],
    run: run_over,
};

fn count(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<u64, Error> {
    let count = match args.peek() {
        Some(_) => args.number(context, "count")?,
        None => 1,
    };
    args.done()?;
    context.stop()?;
    Ok(count)
}

fn run(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    for left in (0..count(context, args)?).rev() {
        context.check_interrupt()?;
        let went = going::step(context)?;
        if went != Went::Stopped {
            return finish(context, went);
        }
        let stop = context.stop()?;
        if stop.reason != StopReason::Step
            || (left > 0 && breakpoint_at(context, stop.registers.rip)?)
        {
            break;
        }
    }
    Ok(())
}

fn run_over(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    for _ in 0..count(context, args)? {
        context.check_interrupt()?;
        let stop = context.stop()?;
        let at = VirtAddr(stop.registers.rip);
        let line = next(context.target, going::root(&stop), at);
        if line.comes_back() {
            match going::until(context, line.next(), stop.registers.rsp) {
                Err(Error::Stopped) => {}
                ended => return ended,
            }
            let now = context.stop()?;
            if now.registers.rip != line.next().0 {
                break;
            }
        } else {
            let went = going::step(context)?;
            if went != Went::Stopped {
                return finish(context, went);
            }
        }
    }
    Ok(())
}
