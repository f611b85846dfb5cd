//! What the tests drive the shell with: a terminal with a script for fingers and a grid for
//! a screen, and a target on a simulated machine.

mod attempts;
mod books;
mod grid;
pub(crate) mod ledger;
mod library;
mod machine;
mod mishaps;
mod processes;
pub(crate) mod sound;
mod stopper;
mod switches;
mod symbols;

use std::collections::VecDeque;

pub(crate) use attempts::{FakeCpu, Lie};
pub(crate) use books::{Counted, Ring, STACK, StackBooks};
pub(crate) use grid::Grid;
pub(crate) use library::Library;
pub(crate) use machine::{Machine, ROOT, process_root};
pub(crate) use mishaps::Mishaps;
pub(crate) use processes::Fake;
pub(crate) use stopper::Stopper;
pub(crate) use switches::Needs;
pub(crate) use symbols::Names;

use crate::{Key, Shell, Sink, Status, Terminal, Typed};

/// A terminal whose keys are given beforehand.
pub(crate) struct Scripted {
    pub(crate) keys: VecDeque<Key>,
    pub(crate) size: (u16, u16),
    pub(crate) screen: Grid,
    pub(crate) shown: String,
    pub(crate) wire: String,
    /// Ctrl-C arrives when this many questions have been asked.
    pub(crate) interrupt_after: Option<u32>,
}

impl Scripted {
    pub(crate) fn new(columns: u16, rows: u16) -> Self {
        Scripted {
            keys: VecDeque::new(),
            size: (columns, rows),
            screen: Grid::new(columns.into(), rows.into()),
            shown: String::new(),
            wire: String::new(),
            interrupt_after: None,
        }
    }

    pub(crate) fn keys(mut self, keys: impl IntoIterator<Item = Key>) -> Self {
        self.keys.extend(keys);
        self
    }

    /// Types text: LF is Enter, TAB is Tab.
    pub(crate) fn text(self, text: &str) -> Self {
        self.keys(text.chars().map(|c| match c {
            '\n' => Key::Enter,
            '\t' => Key::Tab,
            c => Key::Char(c),
        }))
    }
}

impl Terminal for Scripted {
    fn key(&mut self) -> Option<Key> {
        self.keys.pop_front()
    }

    fn poll(&mut self) -> Typed {
        self.keys.pop_front().map_or(Typed::Closed, Typed::Key)
    }

    fn write(&mut self, sink: Sink, text: &str) {
        if sink != Sink::Wire {
            self.screen.feed(text);
            self.shown.push_str(text);
        }
        if sink != Sink::Screen {
            self.wire.push_str(text);
        }
    }

    fn interrupted(&mut self) -> bool {
        match &mut self.interrupt_after {
            Some(0) => {
                self.interrupt_after = None;
                true
            }
            Some(left) => {
                *left -= 1;
                false
            }
            None => false,
        }
    }

    fn size(&self) -> (u16, u16) {
        self.size
    }
}

/// A shell with room for filters.
pub(crate) fn shell() -> Shell {
    let mut shell = Shell::new();
    shell.lend(Box::leak(vec![0; 64 << 10].into_boxed_slice()));
    shell
}

/// What one line prints, without colours, and its status. Whatever it is, a machine just like
/// this one is asked for it with `--json` as well, and what comes must be as declared.
pub(crate) fn output(machine: &mut Machine, line: &str) -> (String, Status) {
    if crate::commands::tests::json::can_be_asked(line) {
        crate::commands::tests::json::checked(&mut machine.clone(), line);
    }
    let (text, status) = raw(machine, line);
    (text.replace("\x1b[31m", "").replace("\x1b[0m", ""), status)
}

/// The same without that, and with colours: errors are red.
pub(crate) fn raw(machine: &mut Machine, line: &str) -> (String, Status) {
    let mut terminal = Scripted::new(200, 50);
    let status = shell().execute(line, machine, &mut terminal);
    (terminal.wire, status)
}
