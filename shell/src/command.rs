//! What a command is, and what it gets.

use core::fmt::{self, Write};

use heapless::String;
use machine::{PhysAddr, Registers, VirtAddr};

use crate::background::Mentioned;
use crate::editor::History;
use crate::error::excerpt;
use crate::going::SLOTS;
use crate::grammar::expression::{Names, evaluate};
use crate::grammar::word::Word;
use crate::output::{Mode, Output};
use crate::process;
use crate::reactions::Reactions;
use crate::record::Row;
use crate::registers;
use crate::root::root;
use crate::space::Space;
use crate::staging::Staging;
use crate::stop::Unfinished;
use crate::{Cpu, Error, Pid, Region, Status, Target};

/// A command: everything `help`, Tab, the manual and the shell know about it.
pub(crate) struct Command {
    pub(crate) name: &'static str,
    pub(crate) group: Group,
    /// The arguments, as `<needed>` and `[optional]`.
    pub(crate) usage: &'static str,
    /// One line, without a full stop.
    pub(crate) summary: &'static str,
    /// Paragraphs, as plain text that is also good Markdown.
    pub(crate) help: &'static str,
    /// Lines to type, and why one would.
    pub(crate) examples: &'static [(&'static str, &'static str)],
    /// What it writes with `--json`; nothing, if it has nothing to say at all.
    pub(crate) rows: &'static [Row],
    /// What Tab offers at each argument; the last one stands for all that follow.
    pub(crate) args: &'static [ArgKind],
    pub(crate) run: fn(&mut Context<'_>, &mut Args<'_>) -> Result<(), Error>,
}

impl Command {
    /// The name and the arguments, as they are typed.
    pub(crate) fn synopsis(&self) -> Synopsis {
        Synopsis {
            name: self.name,
            usage: self.usage,
        }
    }
}

/// A name and its arguments, with a blank between them where one belongs.
#[derive(Clone, Copy)]
pub(crate) struct Synopsis {
    pub(crate) name: &'static str,
    pub(crate) usage: &'static str,
}

impl fmt::Display for Synopsis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let joined = self.usage.is_empty() || self.usage.starts_with("[/");
        let gap = if joined { "" } else { " " };
        // Padding is for the whole.
        let mut text = String::<160>::new();
        write!(text, "{}{gap}{}", self.name, self.usage)?;
        f.pad(&text)
    }
}

/// What a command is about; `help` lists them so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    /// Page tables and memory.
    Memory,
    /// Registers, descriptor tables, interrupts.
    Processor,
    /// What runs in ring 3, and the stacks under it.
    Processes,
    /// Stopping, stepping, going on.
    Stops,
    /// Numbers, checks, scripts.
    Scripting,
    /// The shell and the machine it runs on.
    Session,
}

impl Group {
    pub(crate) const ALL: [Group; 6] = [
        Group::Memory,
        Group::Processor,
        Group::Processes,
        Group::Stops,
        Group::Scripting,
        Group::Session,
    ];

    pub(crate) const fn title(self) -> &'static str {
        match self {
            Group::Memory => "Page tables and memory",
            Group::Processor => "Processor",
            Group::Processes => "Processes",
            Group::Stops => "Stops and steps",
            Group::Scripting => "Numbers and scripts",
            Group::Session => "Session and machine",
        }
    }
}

/// What Tab can offer for an argument. Registers are offered after `$` everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ArgKind {
    /// Anything: nothing to offer.
    Any,
    /// A root of page tables, or one of these words.
    Root(&'static [&'static str]),
    /// One of these words.
    Words(&'static [&'static str]),
    /// The name of a command.
    Command,
    /// The name of a program.
    Program,
    /// A whole command with its own arguments.
    Line,
}

/// What the shell remembers between commands.
pub(crate) struct State {
    /// `$_`.
    pub(crate) value: u64,
    /// `$?`.
    pub(crate) status: Status,
    /// Whether output is framed, and whether it shall be once the line is done.
    pub(crate) framed: bool,
    pub(crate) framing: Option<bool>,
    /// The number of the last frame.
    pub(crate) seq: u64,
    /// The frame has been begun and not ended.
    pub(crate) frame_is_open: bool,
    /// The last stop that was told of.
    pub(crate) told: u64,
    /// The conditions of breakpoints, by debug register.
    pub(crate) conditions: [Option<String<80>>; SLOTS],
    /// The debug register that was last used for the while of one command.
    pub(crate) temporary: Option<usize>,
    /// A process on its way into ring 3, stage by stage.
    pub(crate) staging: Option<Staging>,
    /// What a stop has kept from being done.
    pub(crate) unfinished: Unfinished,
    /// Which dead processes a person has been told of.
    pub(crate) mentioned: Mentioned,
    /// What runs when something goes wrong.
    pub(crate) reactions: Reactions,
}

impl State {
    pub(crate) const fn new() -> Self {
        State {
            value: 0,
            status: Status::Ok,
            framed: false,
            framing: None,
            seq: 0,
            frame_is_open: false,
            told: 0,
            conditions: [const { None }; SLOTS],
            temporary: None,
            staging: None,
            unfinished: Unfinished::Nothing,
            mentioned: Mentioned::new(),
            reactions: Reactions::new(),
        }
    }
}

impl State {
    /// How the output of a line reaches its reader, who is a person or not.
    pub(crate) fn mode(&self, interactive: bool) -> Mode {
        match (self.framed, interactive) {
            (true, _) => Mode::Framed,
            (false, true) => Mode::Paged,
            (false, false) => Mode::Plain,
        }
    }
}

/// What a command works with.
pub(crate) struct Context<'a> {
    pub(crate) target: &'a mut dyn Target,
    pub(crate) out: Output<'a>,
    pub(crate) state: &'a mut State,
    pub(crate) history: &'a History,
    /// How many commands wait for the one that runs.
    pub(crate) depth: u8,
    /// The process that the command is about: its registers and its root are meant where none
    /// are named.
    pub(crate) focus: Option<Pid>,
    /// The command or filter that the last error came from, if that has a name.
    pub(crate) blamed: Option<&'static str>,
}

impl Context<'_> {
    /// The registers: those of the process in focus, or of a target that has some.
    pub(crate) fn registers(&mut self) -> Result<Registers, Error> {
        match self.focus {
            Some(pid) => self.registers_of(pid),
            None => self.processor(),
        }
    }

    /// The registers of a thread: where it is stopped, or else those with which it goes on in ring 3.
    pub(crate) fn registers_of(&mut self, pid: Pid) -> Result<Registers, Error> {
        let stop = self.target.debugger().and_then(|debugger| debugger.stop());
        match (pid, stop) {
            (_, Some(stop)) if stop.pid == pid => Ok(stop.registers),
            (0, Some(_)) => Err(Error::Said(
                "the kernel's own thread waits, and has kept only what `bt 0` goes by",
            )),
            (0, None) => self.processor(),
            _ => {
                process::alive(self.target, pid)?;
                let registers = self.processes()?.registers(pid);
                registers.ok_or(Error::Said("the registers of the process are not known"))
            }
        }
    }

    fn processor(&mut self) -> Result<Registers, Error> {
        let cpu = self.target.cpu();
        cpu.map(Cpu::registers).ok_or(Error::Lacks("registers"))
    }

    /// The root that CR3 names.
    pub(crate) fn cr3(&mut self) -> Result<PhysAddr, Error> {
        Ok(PhysAddr(self.registers()?.cr3))
    }

    /// The value of an expression.
    pub(crate) fn evaluate(&mut self, text: &str) -> Result<u64, Error> {
        evaluate(text, self)
    }

    /// The region an address lies in.
    pub(crate) fn region(&self, va: VirtAddr) -> Option<Region> {
        Region::at(self.target.regions(), va)
    }

    /// Fails if Ctrl-C has been pressed.
    pub(crate) fn check_interrupt(&mut self) -> Result<(), Error> {
        match self.out.interrupted() {
            true => Err(Error::Interrupted),
            false => Ok(()),
        }
    }
}

impl Names for Context<'_> {
    fn value(&mut self, name: &str) -> Result<u64, Error> {
        match name {
            "_" => Ok(self.state.value),
            "?" => Ok(self.state.status.code()),
            "pid" => Ok(self.focus.unwrap_or(0).into()),
            _ => registers::value(&self.registers()?, name)
                .ok_or_else(|| Error::NoRegister(excerpt(name))),
        }
    }

    fn symbol(&mut self, name: &str) -> Result<u64, Error> {
        self.address_of(name)
    }
}

/// A command's arguments, taken from the left.
#[derive(Clone)]
pub(crate) struct Args<'a> {
    rest: &'a str,
    /// What followed the name after a slash: `16g` of `x/16g`.
    pub(crate) suffix: Option<&'a str>,
}

impl<'a> Args<'a> {
    pub(crate) fn new(rest: &'a str, suffix: Option<&'a str>) -> Self {
        Args {
            rest: rest.trim(),
            suffix,
        }
    }

    /// Takes out `--json` if it is the first word or the last one; whether it was there.
    pub(crate) fn take_json(&mut self) -> bool {
        const JSON: Word<'_> = Word("--json");
        if let Some((JSON, rest)) = Word::first(self.rest) {
            self.rest = rest.trim_start();
            return true;
        }
        let mut rest = self.rest;
        while let Some((word, after)) = Word::first(rest) {
            if word == JSON && after.is_empty() {
                let before = self.rest.len() - word.0.len();
                self.rest = self.rest.get(..before).unwrap_or("").trim_end();
                return true;
            }
            rest = after;
        }
        false
    }

    /// The next word.
    pub(crate) fn word(&mut self) -> Option<Word<'a>> {
        let (word, rest) = Word::first(self.rest)?;
        self.rest = rest.trim_start();
        Some(word)
    }

    /// The next word, together with those that an operator at either end of it ties to it:
    /// in `walk $rsp + 8 cr3` the first one is `$rsp + 8`.
    pub(crate) fn operand(&mut self) -> Option<Word<'a>> {
        const OPERATORS: &[char] = &[
            '+', '-', '*', '/', '%', '&', '|', '^', '<', '>', '=', '!', '~',
        ];
        let start = self.rest;
        let (_, mut rest) = Word::first(start)?;
        loop {
            let (taken, _) = start.split_at_checked(start.len() - rest.len())?;
            let next = rest.trim_start();
            // `--step` is no minus of a minus.
            let is_option = next.strip_prefix("--").is_some_and(|name| {
                name.starts_with(|c: char| c.is_ascii_lowercase()) && !name.starts_with("sym:")
            });
            let is_tied = taken.ends_with(OPERATORS) || next.starts_with(OPERATORS) && !is_option;
            match Word::first(next).filter(|_| is_tied) {
                Some((_, after)) => rest = after,
                None => {
                    self.rest = next;
                    return Some(Word(taken));
                }
            }
        }
    }

    /// The next word, left where it is.
    pub(crate) fn peek(&self) -> Option<Word<'a>> {
        Word::first(self.rest).map(|(word, _)| word)
    }

    /// All that is left, as it was typed.
    pub(crate) fn rest(&mut self) -> &'a str {
        core::mem::take(&mut self.rest)
    }

    /// Refuses whatever is left.
    pub(crate) fn done(&mut self) -> Result<(), Error> {
        match self.word() {
            Some(word) => Err(Error::Unexpected(excerpt(word.0))),
            None => Ok(()),
        }
    }

    /// A number that must be given; `what` it is, for when it is not.
    pub(crate) fn number(
        &mut self,
        context: &mut Context<'_>,
        what: &'static str,
    ) -> Result<u64, Error> {
        let word = self.operand().ok_or(Error::Missing(what))?;
        context.evaluate(word.text()?)
    }

    /// A virtual address that must be given.
    pub(crate) fn virt(&mut self, context: &mut Context<'_>) -> Result<VirtAddr, Error> {
        self.number(context, "address").map(VirtAddr)
    }

    /// The pid of a process that must be given.
    pub(crate) fn pid(&mut self, context: &mut Context<'_>) -> Result<Pid, Error> {
        self.number(context, "process").and_then(process::pid)
    }

    /// The pid of a process, if there is another word.
    pub(crate) fn maybe_pid(&mut self, context: &mut Context<'_>) -> Result<Option<Pid>, Error> {
        self.peek().map(|_| self.pid(context)).transpose()
    }

    /// The next word as a root; CR3 if there is none.
    pub(crate) fn root(&mut self, context: &mut Context<'_>) -> Result<Space, Error> {
        match self.operand() {
            Some(word) => root(word.text()?, context),
            None => context.cr3().map(Space::live),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operand_is_what_operators_tie_together_and_no_option() {
        for (line, operand) in [
            ("$rsp + 8 cr3", "$rsp + 8"),
            ("$rsp +8 cr3", "$rsp +8"),
            ("3 - -1 x", "3 - -1"),
            ("3 --1 x", "3 --1"),
            ("3 --$rax x", "3 --$rax"),
            ("3 --sym:main", "3 --sym:main"),
            ("3 --step", "3"),
            ("$_ --stop-at Iretq", "$_"),
            ("3 + --step", "3 + --step"),
        ] {
            let found = Args::new(line, None).operand();
            assert_eq!(found.map(|word| word.0), Some(operand), "{line}");
        }
    }
}
