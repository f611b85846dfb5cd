//! The part of the line that is seen, and the bytes that keep it true.
//!
//! The line takes one row, whatever its length: text beyond the edges is marked `<` and
//! `>`, and the last column is never written, so the terminal has no reason to wrap.

use core::cmp::Ordering;
use core::fmt::Write;

use heapless::String;

use super::Text;
use crate::{Sink, Terminal};

/// Where the line stands on its row. All units are characters (columns).
pub(super) struct View {
    /// What the prompt says.
    pub(super) is_stopped: bool,
    /// Columns the prompt takes.
    prompt: usize,
    /// Columns for text; the cursor may stand one further.
    width: usize,
    /// The first character shown.
    offset: usize,
    /// The cursor, counted in characters of the line.
    cursor: usize,
}

impl View {
    pub(super) const fn new() -> Self {
        View {
            is_stopped: false,
            prompt: 0,
            width: 80,
            offset: 0,
            cursor: 0,
        }
    }

    /// Begins a new row: prompt, then the line.
    pub(super) fn begin(&mut self, text: &Text, terminal: &mut dyn Terminal, sink: Sink) {
        let (columns, _) = terminal.size();
        let columns = usize::from(columns).max(8);
        let prompt = match (self.is_stopped, columns < 24) {
            (false, true) => "> ",
            (false, false) => "ringwalk> ",
            (true, true) => "! ",
            (true, false) => "stopped> ",
        };
        self.prompt = prompt.len();
        self.width = columns - self.prompt - 1;
        terminal.write(sink, "\x1b[1m");
        terminal.write(sink, prompt);
        terminal.write(sink, "\x1b[0m");
        self.offset = 0;
        self.cursor = 0;
        if !text.as_str().is_empty() {
            self.redraw(text, terminal, sink);
        }
    }

    /// Follows a cursor that moved over unchanged text.
    pub(super) fn moved(&mut self, text: &Text, terminal: &mut dyn Terminal, sink: Sink) {
        let cursor = text.before().chars().count();
        let length = cursor + text.after().chars().count();
        if self.offset_for(cursor, length) != self.offset {
            return self.redraw(text, terminal, sink);
        }
        let mut bytes = String::<16>::new();
        step(&mut bytes, self.cursor, cursor);
        terminal.write(sink, &bytes);
        self.cursor = cursor;
    }

    /// Shows one character that was put in at the cursor: at the end of the line, which
    /// is where a flood arrives, this writes that character alone.
    pub(super) fn inserted(
        &mut self,
        c: char,
        text: &Text,
        terminal: &mut dyn Terminal,
        sink: Sink,
    ) {
        if !text.after().is_empty() {
            return self.redraw(text, terminal, sink);
        }
        let cursor = self.cursor + 1;
        if self.offset_for(cursor, cursor) != self.offset {
            return self.redraw(text, terminal, sink);
        }
        terminal.write(sink, shown(c).encode_utf8(&mut [0; 4]));
        self.cursor = cursor;
    }

    /// Draws the line anew behind the prompt, which stays.
    pub(super) fn redraw(&mut self, text: &Text, terminal: &mut dyn Terminal, sink: Sink) {
        let cursor = text.before().chars().count();
        let length = cursor + text.after().chars().count();
        self.offset = self.offset_for(cursor, length);
        self.cursor = cursor;

        let mut bytes = String::<64>::new();
        let _ = write!(bytes, "\r\x1b[{}C", self.prompt);
        let more = length > self.offset + self.width;
        let cells = self.width.min(length - self.offset);
        let chars = text.as_str().chars().skip(self.offset).take(cells);
        for (cell, c) in chars.enumerate() {
            let c = match cell {
                0 if self.offset > 0 => '<',
                _ if more && cell + 1 == self.width => '>',
                _ => shown(c),
            };
            if bytes.push(c).is_err() {
                terminal.write(sink, &bytes);
                bytes.clear();
                let _ = bytes.push(c);
            }
        }
        terminal.write(sink, &bytes);
        terminal.write(sink, "\x1b[K");
        bytes.clear();
        step(&mut bytes, cells, cursor - self.offset);
        terminal.write(sink, &bytes);
    }

    /// Leaves the row with `^C` behind the text, or over its end where there is no room.
    pub(super) fn abandon(&mut self, text: &Text, terminal: &mut dyn Terminal, sink: Sink) {
        let length = text.as_str().chars().count();
        let end = length.saturating_sub(self.offset).min(self.width - 2);
        let mut bytes = String::<64>::new();
        step(&mut bytes, self.cursor.saturating_sub(self.offset), end);
        terminal.write(sink, &bytes);
        terminal.write(sink, "^C\n");
    }

    /// The first character to show so that the cursor is seen, and not on a mark. It
    /// stays what it is while that will do, and else moves by half a row, so that typing
    /// on scrolls seldom.
    fn offset_for(&self, cursor: usize, length: usize) -> usize {
        if length <= self.width {
            return 0;
        }
        let seen = cursor.checked_sub(self.offset);
        let left = usize::from(self.offset > 0);
        let right = match length > self.offset + self.width {
            true => self.width - 2,
            false => self.width,
        };
        match seen {
            Some(cell) if cell >= left && cell <= right => self.offset,
            _ => cursor.saturating_sub(self.width / 2),
        }
    }
}

/// A relative move along the row.
fn step(bytes: &mut impl Write, from: usize, to: usize) {
    // The buffers given are large enough for any number of columns.
    let _ = match from.cmp(&to) {
        Ordering::Less => write!(bytes, "\x1b[{}C", to - from),
        Ordering::Equal => Ok(()),
        Ordering::Greater => write!(bytes, "\x1b[{}D", from - to),
    };
}

/// What stands for a character on a terminal that may know only some, and whose idea of
/// their widths is unknown.
fn shown(c: char) -> char {
    match c {
        ' '..='~' | '\u{a1}'..='\u{ac}' | '\u{ae}'..='\u{24f}' => c,
        '\u{370}'..='\u{482}' | '\u{48a}'..='\u{52f}' => c,
        _ => '?',
    }
}
