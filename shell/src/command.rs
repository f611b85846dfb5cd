//! What a command is, and what it gets.

use core::fmt::{self, Write};

use heapless::String;
use machine::{PhysAddr, Registers, VirtAddr};

pub(crate) use crate::args::Args;
use crate::background::Mentioned;
use crate::editor::History;
use crate::error::excerpt;
use crate::going::SLOTS;
use crate::grammar::expression::{Names, evaluate};
use crate::output::{Mode, Output};
use crate::process;
use crate::reactions::Reactions;
use crate::record::Row;
use crate::registers;
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
    /// A process that is alive.
    Process,
    /// A process behind one of the first words, and as [`ArgKind::Root`] of the second elsewhere.
    ProcessBehind(&'static [&'static str], &'static [&'static str]),
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
