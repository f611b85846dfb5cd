//! What a reader gets to see: pages for a person, frames for a program.

use core::fmt::{self, Write};

use crate::framing::Checksum;
use crate::{Sink, Terminal};

use super::escape::{Escaped, for_each_escaped};

/// How a command's output reaches its reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// To a person, who is asked at the end of each page.
    Paged,
    /// To whoever reads, without a pause.
    Plain,
    /// Plain to the screen; marked, escaped and counted to the wire.
    Framed,
}

/// Why no more output is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The reader chose to stop reading.
    Left,
    /// Ctrl-C.
    Interrupted,
}

/// Where text ends up.
pub(super) struct Sheet<'a> {
    pub(super) terminal: &'a mut dyn Terminal,
    mode: Mode,
    pub(super) ended: Option<Ended>,
    /// Columns written on the row the cursor is in.
    pub(super) column: usize,
    /// Rows finished since the page began.
    pub(super) rows: usize,
    /// Rows a page has; `None` once the reader wants no more pauses.
    pub(super) page: Option<usize>,
    pub(super) columns: usize,
    /// Of the frame: what its lines are, whether one is open.
    sum: Checksum,
    lines: u64,
    open: bool,
}

impl<'a> Sheet<'a> {
    pub(super) fn new(terminal: &'a mut dyn Terminal, mode: Mode) -> Self {
        let (columns, rows) = terminal.size();
        let page = match mode {
            // Two rows are the least that can show something above the question.
            Mode::Paged if rows > 0 => Some(usize::from(rows.max(2)) - 1),
            _ => None,
        };
        Sheet {
            terminal,
            mode,
            ended: None,
            column: 0,
            rows: 0,
            page,
            columns: usize::from(columns).max(1),
            sum: Checksum::new(),
            lines: 0,
            open: false,
        }
    }

    /// Whether Ctrl-C has been pressed. For loops that may run long without a line of output.
    pub(super) fn interrupted(&mut self) -> bool {
        if self.ended.is_none() && self.terminal.interrupted() {
            self.ended = Some(Ended::Interrupted);
        }
        self.ended == Some(Ended::Interrupted)
    }

    /// Why writes fail, if they do.
    pub(super) fn ended(&self) -> Option<Ended> {
        self.ended
    }

    /// Sends terminal control to whoever sees one, past pages and frames.
    pub(super) fn control(&mut self, text: &str) {
        let sink = match self.mode {
            Mode::Framed => Sink::Screen,
            _ => Sink::All,
        };
        self.terminal.write(sink, text);
    }

    /// Lets the next command of the line be read, if the reader only left the last one.
    pub(super) fn next_command(&mut self) {
        if self.ended == Some(Ended::Left) {
            self.ended = None;
            self.rows = 0;
        }
    }

    /// Starts a new line if one has been begun: after output without a line feed.
    pub(super) fn finish_line(&mut self) {
        if core::mem::take(&mut self.column) > 0 {
            self.control("\n");
        }
        self.close();
    }

    /// Shows the message of a failed command, even when output has ended.
    pub(super) fn error(&mut self, message: &dyn fmt::Display) {
        self.finish_line();
        self.control("\x1b[31m");
        // Neither of the two writers fails.
        let _ = write!(Visible(self), "{message}");
        self.control("\x1b[0m\n");
        self.column = 0;
        if self.mode == Mode::Framed {
            let _ = write!(Marked(self, '!'), "{message}");
            self.close();
        }
    }

    /// Begins a frame.
    pub(super) fn begin_frame(&mut self, seq: u64, line: &str) {
        let mut wire = Bare(self);
        let _ = write!(wire, "@begin {seq} {}", Escaped(line));
        self.terminal.write(Sink::Wire, "\n");
    }

    /// Tells the wire that frames begin.
    pub(super) fn announce(self, version: u32, build: &str) {
        let mut out = self;
        let _ = writeln!(Bare(&mut out), "@framed {version} build={build}");
    }

    /// Ends it.
    pub(super) fn end_frame(&mut self, seq: u64, status: crate::Status) {
        self.finish_line();
        let (lines, crc) = (self.lines, self.sum.value());
        let mut wire = Bare(self);
        let _ = writeln!(
            wire,
            "@end {seq} lines={lines} crc={crc:08x} status={status}"
        );
    }

    fn visible(&mut self, text: &str) -> fmt::Result {
        write!(Unpaged(self), "{}", Escaped(text))
    }

    /// Text of a frame, without line feeds: onto an open line, which it opens with `marker`.
    fn frame(&mut self, marker: char, text: &str) {
        if !self.open {
            self.open = true;
            self.lines = self.lines.saturating_add(1);
            self.bytes(marker.encode_utf8(&mut [0; 4]));
        }
        self.bytes(text);
    }

    fn bytes(&mut self, text: &str) {
        self.sum.add(text.as_bytes());
        self.terminal.write(Sink::Wire, text);
    }

    fn close(&mut self) {
        if core::mem::take(&mut self.open) {
            self.bytes("\n");
        }
    }

    /// One piece of output without a line feed, and then one if `ends`.
    fn piece(&mut self, text: &str, ends: bool) -> fmt::Result {
        if !text.is_empty() || ends {
            self.pause()?;
        }
        self.visible(text)?;
        if self.mode == Mode::Framed && (!text.is_empty() || (ends && !self.open)) {
            write!(Marked(self, '|'), "{text}")?;
        }
        if ends {
            self.control("\n");
            self.close();
            // A terminal that wraps makes several rows of a long line.
            let rows = self.column.max(1).div_ceil(self.columns);
            self.rows = self.rows.saturating_add(rows);
            self.column = 0;
            if self.interrupted() {
                return Err(fmt::Error);
            }
        }
        Ok(())
    }
}

impl Write for Sheet<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.ended.is_some() {
            return Err(fmt::Error);
        }
        for line in text.split_inclusive('\n') {
            match line.strip_suffix('\n') {
                Some(line) => self.piece(line, true)?,
                None => self.piece(line, false)?,
            }
        }
        Ok(())
    }
}

/// Writes to the terminal whatever has ended, and counts columns.
struct Unpaged<'o, 'a>(&'o mut Sheet<'a>);

impl Write for Unpaged<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.control(text);
        self.0.column = self.0.column.saturating_add(text.chars().count());
        Ok(())
    }
}

/// Writes to the terminal with control characters escaped: what was read or typed may hold
/// some, and a terminal would obey them.
struct Visible<'o, 'a>(&'o mut Sheet<'a>);

impl Write for Visible<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.visible(text)
    }
}

/// Writes to the wire as it is.
struct Bare<'o, 'a>(&'o mut Sheet<'a>);

impl Write for Bare<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.terminal.write(Sink::Wire, text);
        Ok(())
    }
}

/// Writes a line of a frame, control characters escaped.
struct Marked<'o, 'a>(&'o mut Sheet<'a>, char);

impl Write for Marked<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let marker = self.1;
        // An empty text still opens its line.
        self.0.frame(marker, "");
        for_each_escaped(text, &mut |piece| {
            self.0.frame(marker, piece);
            Ok(())
        })
    }
}
