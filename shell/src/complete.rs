//! What Tab can offer, worked out from the line and, for programs, processes and snapshots, from the target.

use core::fmt::Write;

use crate::command::{ArgKind, Synopsis};
use crate::commands::{self, COMMANDS};
use crate::grammar::line::first_command;
use crate::grammar::pipe::split;
use crate::grammar::word::Word;
use crate::pipe::{FILTERS, FilterHelp};
use crate::process::Pids;
use crate::{Target, registers};

/// The roots that have names.
const ROOTS: &[&str] = &["cr3", "master"];

/// The longest name that is offered, in bytes.
pub(crate) const LONGEST: usize = 64;

/// What could stand where a line ends.
pub(crate) struct Completion<'a> {
    typed: &'a str,
    offers: Offers,
    synopsis: Option<Synopsis>,
}

#[derive(Clone, Copy)]
enum Offers {
    Nothing,
    Commands,
    Filters,
    Registers,
    Programs,
    Processes,
    Words(&'static [&'static str]),
    RootsAnd(&'static [&'static str]),
}

/// Calls `each` with every word that could stand where a line ends; what of it is there already.
pub fn completions<'a>(
    line: &'a str,
    target: &mut dyn Target,
    each: &mut dyn FnMut(&str),
) -> &'a str {
    let completion = Completion::of(line);
    completion.each(target, each);
    completion.typed()
}

impl<'a> Completion<'a> {
    /// Looks at the part of a line that is left of the cursor.
    pub(crate) fn of(line: &'a str) -> Completion<'a> {
        let mut command = line;
        while let (_, Some(rest)) = first_command(command) {
            command = rest;
        }
        match split(command) {
            (_, None) => Completion::of_command(command.trim_start(), 8),
            (_, Some(filters)) => Completion::of_filter(filters),
        }
    }

    fn of_filter(text: &'a str) -> Completion<'a> {
        let mut filter = text;
        while let (_, Some(next)) = split(filter) {
            filter = next;
        }
        let name = Word::first(filter).filter(|(_, rest)| !rest.is_empty());
        let Some((name, rest)) = name else {
            return Completion::new(filter, Offers::Filters, None);
        };
        let known = FILTERS.iter().find(|known| known.name == name.0);
        let synopsis = known.map(FilterHelp::synopsis);
        let kind = known.map_or(ArgKind::Any, |known| known.args);
        let typed = rest.rsplit(char::is_whitespace).next().unwrap_or("");
        Completion::of_argument(typed, kind, synopsis)
    }

    /// `nesting` bounds how many times a command may be the argument of another.
    fn of_command(text: &'a str, nesting: u8) -> Completion<'a> {
        let name = Word::first(text).filter(|(_, rest)| !rest.is_empty());
        let Some((name, mut rest)) = name else {
            return Completion::new(text, Offers::Commands, None);
        };
        let Some(command) = commands::find(name.0).ok() else {
            return Completion::new("", Offers::Nothing, None);
        };
        let mut position = 0_usize;
        let mut before = "";
        loop {
            rest = rest.trim_start();
            let kind = command.args.get(position).or(command.args.last());
            let kind = match kind.copied().unwrap_or(ArgKind::Any) {
                ArgKind::ProcessBehind(words, _) if words.contains(&before) => ArgKind::Process,
                ArgKind::ProcessBehind(_, words) => ArgKind::Root(words),
                kind => kind,
            };
            if kind == ArgKind::Line && nesting > 0 {
                return Completion::of_command(rest, nesting - 1);
            }
            match Word::first(rest) {
                Some((word, after)) if !after.is_empty() => {
                    before = word.0;
                    rest = after;
                }
                _ => return Completion::of_argument(rest, kind, Some(command.synopsis())),
            }
            position = position.saturating_add(1);
        }
    }

    fn of_argument(typed: &'a str, kind: ArgKind, synopsis: Option<Synopsis>) -> Completion<'a> {
        // Only the register of `($rsp+` is being typed, not the whole expression.
        let dollar = typed.rfind('$').and_then(|at| typed.get(at + 1..));
        let register = dollar.filter(|name| {
            name.chars()
                .all(|c| c.is_alphanumeric() || c == '_' || c == '.')
        });
        if let Some(name) = register {
            return Completion::new(name, Offers::Registers, synopsis);
        }
        let offers = match kind {
            ArgKind::Any | ArgKind::Line => Offers::Nothing,
            ArgKind::Root(words) | ArgKind::ProcessBehind(_, words) => Offers::RootsAnd(words),
            ArgKind::Process => Offers::Processes,
            ArgKind::Words(words) => Offers::Words(words),
            ArgKind::Command => Offers::Commands,
            ArgKind::Program => Offers::Programs,
        };
        Completion::new(typed, offers, synopsis)
    }

    fn new(typed: &'a str, offers: Offers, synopsis: Option<Synopsis>) -> Self {
        Completion {
            typed,
            offers,
            synopsis,
        }
    }

    /// The beginning that is there already.
    pub(crate) fn typed(&self) -> &'a str {
        self.typed
    }

    /// Whether a blank follows what is completed. An expression may go on.
    pub(crate) fn ends_word(&self) -> bool {
        !matches!(self.offers, Offers::Registers)
    }

    /// Calls `each` with everything that begins like what is typed.
    pub(crate) fn each(&self, target: &mut dyn Target, each: &mut dyn FnMut(&str)) {
        let mut all = |words: &[&str]| {
            for word in words.iter().filter(|word| word.starts_with(self.typed)) {
                each(word);
            }
        };
        match self.offers {
            Offers::Nothing => {}
            Offers::Words(words) => all(words),
            Offers::Programs => {
                let Some(processes) = target.processes() else {
                    return;
                };
                let mut index = 0;
                while let Some(program) = processes.program(index) {
                    let name = program.name;
                    if name.len() <= LONGEST && name.chars().all(|c| c.is_ascii_graphic()) {
                        all(&[name]);
                    }
                    index += 1;
                }
            }
            Offers::RootsAnd(words) => {
                all(ROOTS);
                all(words);
                if let Some(snapshots) = target.snapshots() {
                    let infos = (0..).map_while(|index| snapshots.snapshot(index));
                    for info in infos {
                        let mut root = heapless::String::<LONGEST>::new();
                        if root.push('@').and(root.push_str(&info.name)).is_ok() {
                            all(&[&root]);
                        }
                    }
                }
                alive(target, &mut |pid| all(&[pid]));
            }
            Offers::Processes => alive(target, &mut |pid| all(&[pid])),
            Offers::Commands => COMMANDS.iter().for_each(|command| all(&[command.name])),
            Offers::Filters => FILTERS.iter().for_each(|filter| all(&[filter.name])),
            Offers::Registers => registers::each_name(self.typed, each),
        }
    }

    /// The name and the arguments of the command or filter whose argument is being typed.
    pub(crate) fn usage(&self) -> Option<Synopsis> {
        self.synopsis
    }
}

/// Calls `each` with the pid of every process that is alive.
fn alive(target: &mut dyn Target, each: &mut dyn FnMut(&str)) {
    let Ok(mut pids) = Pids::all(target) else {
        return;
    };
    while let Some(info) = pids.next(target) {
        let mut text = heapless::String::<LONGEST>::new();
        if info.state.exit().is_none() && write!(text, "{}", info.pid).is_ok() {
            each(&text);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::string::String;
    use std::vec::Vec;

    use super::completions;
    use crate::Processes as _;
    use crate::testing::Machine;

    #[test]
    fn what_takes_a_process_offers_those_that_are_alive_and_nothing_else() {
        let mut machine = Machine::full();
        for _ in 0..3 {
            machine.processes().child("spinner", &[], 0);
        }
        machine.processes().kill(2).expect("it is alive");
        let mut offered = |line: &str| {
            let mut all = Vec::<String>::new();
            let typed = completions(line, &mut machine, &mut |word| all.push(word.into()));
            assert!(line.ends_with(typed), "{line}");
            all
        };
        for line in [
            "check switch ",
            "check iret ",
            "in ",
            "kill ",
            "in 1 switch ",
        ] {
            assert_eq!(offered(line), ["1", "3"], "{line}");
        }
        assert_eq!(offered("check switch 3"), ["3"]);
        assert_eq!(offered("walk 0 "), ["cr3", "master", "1", "3"]);
        let parts = offered("check ");
        assert!(parts.contains(&"kernel-half".into()) && !parts.contains(&"cr3".into()));
        let roots = offered("check wx ");
        assert!(roots.contains(&"master".into()) && roots.contains(&"3".into()));
    }
}
