//! The line editor: keys in, a line out, the same on a serial line and on a keyboard.

mod history;
mod tab;
mod text;
mod view;

#[cfg(test)]
mod tests;

use heapless::String;

pub(crate) use history::History;
pub(crate) use text::LINE_BYTES;

use crate::{Key, Sink, Target, Terminal};
use text::Text;
use view::View;

/// Reads lines. It keeps the last line until the next one is begun.
pub(crate) struct Editor {
    text: Text,
    view: View,
    /// What was being typed before history was looked through.
    draft: String<LINE_BYTES>,
    /// How far back in history the line shown is; 0 is the draft.
    age: usize,
    /// Characters were dropped because the line was full.
    overflowed: bool,
    /// How many Tabs in a row could not decide.
    tabs: u8,
}

/// How reading a line ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Read {
    /// There is a line.
    Line,
    /// There was one, but it did not fit.
    TooLong,
    /// Ctrl-C.
    Abandoned,
    /// What is looked at was stopped, with a line half typed, which stays.
    Stopped,
    /// No more keys will come.
    Closed,
}

/// How to read: what differs between a person and a program typing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Manner {
    /// Where the prompt and the echo go.
    pub(crate) echo: Sink,
    /// Whether Tab completes; if not, it is a blank.
    pub(crate) completes: bool,
    /// Whether the prompt says that everything is stopped.
    pub(crate) is_stopped: bool,
    /// Whether the line that was being typed before a stop is taken up again.
    pub(crate) goes_on: bool,
}

impl Editor {
    pub(crate) const fn new() -> Self {
        Editor {
            text: Text::new(),
            view: View::new(),
            draft: String::new(),
            age: 0,
            overflowed: false,
            tabs: 0,
        }
    }

    /// The line last read.
    pub(crate) fn line(&self) -> &str {
        self.text.as_str()
    }

    /// Prompts and reads a line; Tab asks the target what programs it has. The cursor is then at the start of a new row.
    pub(crate) fn read(
        &mut self,
        terminal: &mut dyn Terminal,
        target: &mut dyn Target,
        history: &History,
        manner: Manner,
    ) -> Read {
        if !manner.goes_on {
            self.text.set("");
            self.age = 0;
            self.overflowed = false;
        }
        self.tabs = 0;
        self.view.is_stopped = manner.is_stopped;
        self.view.begin(&self.text, terminal, manner.echo);
        loop {
            let Some(key) = terminal.key() else {
                terminal.write(manner.echo, "\n");
                return Read::Closed;
            };
            let tabs = core::mem::take(&mut self.tabs);
            match key {
                Key::Stopped => {
                    self.view.abandon(&self.text, terminal, manner.echo);
                    return Read::Stopped;
                }
                Key::Enter => {
                    terminal.write(manner.echo, "\n");
                    return match self.overflowed {
                        true => Read::TooLong,
                        false => Read::Line,
                    };
                }
                Key::Ctrl('c') => {
                    self.view.abandon(&self.text, terminal, manner.echo);
                    return Read::Abandoned;
                }
                Key::Ctrl('l') => {
                    terminal.write(manner.echo, "\x1b[H\x1b[J");
                    self.view.begin(&self.text, terminal, manner.echo);
                }
                Key::Char(c) => self.insert(c, terminal, manner.echo),
                Key::Tab if !manner.completes => self.insert(' ', terminal, manner.echo),
                // Whatever is on a line that will be refused, completing it helps nobody.
                Key::Tab if self.overflowed => {}
                Key::Tab => self.complete(tabs, terminal, target, manner.echo),
                Key::Up | Key::Ctrl('p') => {
                    self.recall(self.age + 1, history, terminal, manner.echo);
                }
                Key::Down | Key::Ctrl('n') => {
                    if let Some(age) = self.age.checked_sub(1) {
                        self.recall(age, history, terminal, manner.echo);
                    }
                }
                Key::Ctrl('r') => self.search(history, terminal, manner.echo),
                _ => self.edit(key, terminal, manner.echo),
            }
        }
    }

    fn insert(&mut self, c: char, terminal: &mut dyn Terminal, echo: Sink) {
        if c.is_control() {
            return;
        }
        if self.overflowed || !self.text.insert(c) {
            if !self.overflowed {
                terminal.write(echo, "\x07");
            }
            self.overflowed = true;
            return;
        }
        self.age = 0;
        self.view.inserted(c, &self.text, terminal, echo);
    }

    /// The keys that move or change; every other key is nothing.
    fn edit(&mut self, key: Key, terminal: &mut dyn Terminal, echo: Sink) {
        let text = &mut self.text;
        let before = (text.as_str().len(), text.before().len());
        match key {
            Key::Left | Key::Ctrl('b') => text.go(Text::left),
            Key::Right | Key::Ctrl('f') => text.go(Text::right),
            Key::Home | Key::Ctrl('a') => text.go(Text::start),
            Key::End | Key::Ctrl('e') => text.go(Text::end),
            Key::WordLeft | Key::Alt('b') => text.go(Text::word_left),
            Key::WordRight | Key::Alt('f') => text.go(Text::word_right),
            Key::Backspace | Key::Ctrl('h') => text.delete_back(Text::left),
            Key::Delete | Key::Ctrl('d') => text.delete_ahead(Text::right),
            Key::Ctrl('w') => text.delete_back(Text::blank_left),
            Key::Ctrl('u') => text.delete_back(Text::start),
            Key::Ctrl('k') => text.delete_ahead(Text::end),
            Key::Alt('d') => text.delete_ahead(Text::word_right),
            Key::Ctrl('t') => {
                text.transpose();
                self.age = 0;
                return self.view.redraw(&self.text, terminal, echo);
            }
            _ => return,
        }
        let (length, cursor) = before;
        if self.text.as_str().len() != length {
            self.age = 0;
            // With nothing left there is nothing missing either.
            self.overflowed &= !self.text.as_str().is_empty();
            self.view.redraw(&self.text, terminal, echo);
        } else if self.text.before().len() != cursor {
            self.view.moved(&self.text, terminal, echo);
        }
    }

    /// Goes further back in history, to a line that contains the one being typed.
    fn search(&mut self, history: &History, terminal: &mut dyn Terminal, echo: Sink) {
        let wanted = match self.age {
            0 => self.text.as_str(),
            _ => &self.draft,
        };
        let mut ages = (self.age + 1..).map_while(|age| Some((age, history.back(age)?)));
        match ages.find(|(_, line)| line.contains(wanted)) {
            Some((age, _)) => self.recall(age, history, terminal, echo),
            None => terminal.write(echo, "\x07"),
        }
    }

    /// Shows the line typed `age` lines ago; the oldest stays if there is none.
    fn recall(&mut self, age: usize, history: &History, terminal: &mut dyn Terminal, echo: Sink) {
        if self.age == 0 {
            self.draft.clear();
            let _ = self.draft.push_str(self.text.as_str());
        }
        match age {
            0 => self.text.set(&self.draft),
            _ => match history.back(age) {
                Some(line) => self.text.set(line),
                None => return,
            },
        }
        self.age = age;
        self.overflowed = false;
        self.view.redraw(&self.text, terminal, echo);
    }
}
