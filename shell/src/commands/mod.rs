//! The commands, one file each, and the table that `help`, Tab and the manual are made from.

mod assert;
mod breakpoint;
mod bt;
mod can;
mod check;
mod check_iret;
mod check_switch;
mod clear;
mod cr;
mod crash;
mod diff;
mod dis;
mod each;
mod echo;
mod eval;
mod events;
mod faults;
mod frame;
mod frames;
mod framing;
mod gdt;
pub(crate) mod help;
mod history;
mod idt;
mod inside;
mod iretq;
mod irq;
mod kill;
mod line;
mod list;
mod map;
mod on;
mod picture;
mod poke;
mod power;
mod programs;
mod prove;
mod ps;
mod regs;
mod repeat;
mod resume;
mod roots;
mod set;
mod snap;
pub(crate) mod spawn;
mod spoil;
mod stacks;
mod stages;
mod step;
mod sym;
mod tables;
mod time;
mod trace;
mod tss;
mod undo;
mod version;
pub(crate) mod wait;
mod walk;
mod whatis;
mod x;

#[cfg(test)]
pub(crate) mod tests;

pub(crate) use gdt::SegmentLine;
pub(crate) use poke::Whose;

use crate::Error;
use crate::command::Command;
use crate::error::excerpt;

/// Every command, in the order in which `help` lists them within their group.
pub(crate) const COMMANDS: &[&Command] = &[
    &walk::COMMAND,
    &can::COMMAND,
    &prove::COMMAND,
    &map::COMMAND,
    &diff::COMMAND,
    &snap::COMMAND,
    &poke::COMMAND,
    &undo::COMMAND,
    &tables::COMMAND,
    &check::COMMAND,
    &picture::COMMAND,
    &x::COMMAND,
    &dis::COMMAND,
    &sym::COMMAND,
    &line::COMMAND,
    &list::COMMAND,
    &frames::COMMAND,
    &frame::COMMAND,
    &whatis::COMMAND,
    &regs::COMMAND,
    &cr::COMMAND,
    &gdt::COMMAND,
    &idt::COMMAND,
    &tss::COMMAND,
    &irq::COMMAND,
    &events::COMMAND,
    &faults::FAULTS,
    &faults::FAULT,
    &programs::COMMAND,
    &spawn::COMMAND,
    &iretq::COMMAND,
    &ps::COMMAND,
    &wait::COMMAND,
    &kill::COMMAND,
    &spoil::COMMAND,
    &inside::COMMAND,
    &each::COMMAND,
    &stacks::COMMAND,
    &breakpoint::BREAK,
    &breakpoint::WATCH,
    &breakpoint::LIST,
    &breakpoint::DELETE,
    &resume::CONTINUE,
    &step::SI,
    &step::NI,
    &resume::UNTIL,
    &resume::FINISH,
    &trace::COMMAND,
    &bt::COMMAND,
    &set::COMMAND,
    &stages::SWITCH,
    &stages::NEXT,
    &stages::STEP,
    &stages::ABORT,
    &eval::COMMAND,
    &assert::COMMAND,
    &echo::COMMAND,
    &repeat::COMMAND,
    &time::COMMAND,
    &on::COMMAND,
    &help::COMMAND,
    &version::COMMAND,
    &history::COMMAND,
    &clear::COMMAND,
    &framing::COMMAND,
    &crash::COMMAND,
    &power::REBOOT,
    &power::POWEROFF,
];

/// Commands that end the session: one letter by accident must not.
const WRITTEN_OUT: [&str; 3] = ["crash", "reboot", "poweroff"];

/// The command with this name, or the only one whose name begins so.
pub(crate) fn find(name: &str) -> Result<&'static Command, Error> {
    if let Some(command) = COMMANDS.iter().find(|command| command.name == name) {
        return Ok(command);
    }
    let mut matching = beginning_with(name);
    let hint = |command: &Command| {
        WRITTEN_OUT
            .contains(&command.name)
            .then_some(Error::WriteOut(command.name))
    };
    match (matching.next(), matching.next()) {
        (Some(command), None) => hint(command).map_or(Ok(command), Err),
        (Some(_), Some(_)) => Err(Error::AmbiguousCommand(excerpt(name))),
        (None, _) => {
            let mut names = COMMANDS.iter().map(|command| command.name);
            let near = names.find(|known| is_near(name, known));
            Err(Error::UnknownCommand(excerpt(name), near))
        }
    }
}

/// The commands whose names begin so, in the order in which they are listed.
pub(crate) fn beginning_with(name: &str) -> impl Iterator<Item = &'static Command> {
    let all = COMMANDS.iter().copied();
    all.filter(move |command| command.name.starts_with(name))
}

/// Whether one slip of the finger lies between two words: a letter wrong, missing, added,
/// or swapped with its neighbour.
fn is_near(typed: &str, name: &str) -> bool {
    let (typed, name) = (typed.as_bytes(), name.as_bytes());
    let same = typed.iter().zip(name).take_while(|(a, b)| a == b).count();
    let (Some(typed), Some(name)) = (typed.get(same..), name.get(same..)) else {
        return false;
    };
    match (typed, name) {
        ([a, b, typed @ ..], [c, d, name @ ..]) if a == d && b == c && typed == name => true,
        ([_, typed @ ..], [_, name @ ..]) if typed == name => true,
        ([_, typed @ ..], name) if typed == name => true,
        (typed, [_, name @ ..]) => typed == name,
        _ => false,
    }
}
