//! Where commands write: through the filters of a pipe, to a person page by page or to a
//! program in frames.
//!
//! Commands write with `write!` and `?`. A write fails once the reader has left the pager
//! or pressed Ctrl-C, or once a filter wants no more lines, and from then on every write fails:
//! so a command unwinds from wherever it is and nothing more is shown.

mod escape;
mod filter;
mod key;
mod page;
mod pipe;
mod room;
mod sheet;
mod stage;
mod store;
mod typing;

use core::fmt::{self, Write};

use crate::record::Record;
use crate::{Error, Terminal, Typed};

pub(crate) use filter::{By, Filter};
use pipe::Pipe;
pub(crate) use room::Room;
use sheet::Sheet;
pub(crate) use sheet::{Ended, Mode};
pub(crate) use typing::Pages;

/// The writer that commands get.
pub(crate) struct Output<'a> {
    sheet: Sheet<'a>,
    pipe: Pipe<'a>,
    /// Whether commands write records.
    json: bool,
}

impl<'a> Output<'a> {
    pub(crate) fn new(terminal: &'a mut dyn Terminal, mode: Mode, room: Room<'a>) -> Self {
        Output {
            sheet: Sheet::new(terminal, mode),
            pipe: Pipe::new(room),
            json: false,
        }
    }

    /// Whether rows are to be written as records: `--json`.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Makes it so or not; how it was before.
    pub(crate) fn set_json(&mut self, json: bool) -> bool {
        core::mem::replace(&mut self.json, json)
    }

    /// Begins a row of this kind, as a record.
    pub(crate) fn record(&mut self, row: &str) -> Record<'_> {
        Record::new(self, row)
    }

    /// Whether Ctrl-C has been pressed. For loops that may run long without a line of output.
    pub(crate) fn interrupted(&mut self) -> bool {
        self.sheet.interrupted()
    }

    /// Why writes fail, if they do because of the reader.
    pub(crate) fn ended(&self) -> Option<Ended> {
        self.sheet.ended()
    }

    /// Whether a filter wants no more lines, so that writes fail.
    pub(crate) fn has_enough(&self) -> bool {
        self.pipe.has_enough()
    }

    /// How many filters there are.
    pub(crate) fn filters(&self) -> usize {
        self.pipe.len()
    }

    /// Puts a filter in front of those there are.
    pub(crate) fn push_filter(&mut self, filter: Filter<'_>) -> Result<(), Error> {
        self.finish_line();
        self.pipe.push(filter)
    }

    /// Ends the newest filter: what it has kept goes on its way. The number of lines, if it is
    /// one that counts them.
    ///
    /// # Errors
    ///
    /// It could not do what it is for, and passes nothing on.
    pub(crate) fn end_filter(&mut self) -> Result<Option<u64>, Error> {
        self.finish_line();
        self.pipe.pop(&mut self.sheet)
    }

    /// Takes off the newest filter, and with it all that it has kept.
    pub(crate) fn discard_filter(&mut self) {
        self.pipe.discard();
    }

    /// Sends terminal control to whoever sees one, past filters, pages and frames.
    pub(crate) fn control(&mut self, text: &str) {
        self.sheet.control(text);
    }

    /// Lets the next command of the line be read, if the reader only left the last one.
    pub(crate) fn next_command(&mut self) {
        self.sheet.next_command();
    }

    /// Starts a new line if one has been begun: after output without a line feed.
    pub(crate) fn finish_line(&mut self) {
        // Whoever wants no more lines does not want this one either.
        let _ = self.pipe.finish_line(&mut self.sheet);
        if self.pipe.len() == 0 {
            self.sheet.finish_line();
        }
    }

    /// Shows the message of a failed command, past filters and even when output has ended.
    pub(crate) fn error(&mut self, message: &dyn fmt::Display) {
        self.finish_line();
        self.sheet.error(message);
    }

    /// Says that the command is over.
    pub(crate) fn over(&mut self) {
        self.sheet.terminal.working(false);
    }

    /// Begins a frame.
    pub(crate) fn begin_frame(&mut self, seq: u64, line: &str) {
        self.sheet.begin_frame(seq, line);
    }

    /// Tells the wire that frames begin.
    pub(crate) fn announce(self, version: u32, build: &str) {
        self.sheet.announce(version, build);
    }

    /// Ends it.
    pub(crate) fn end_frame(&mut self, seq: u64, status: crate::Status) {
        self.sheet.end_frame(seq, status);
    }

    /// The next key if there is one already. Ctrl-C is not a key: it ends the output.
    pub(crate) fn poll(&mut self) -> Typed {
        self.sheet.poll()
    }

    /// Shows a character that was typed. Programs that read frames do not get it: they know
    /// what they sent.
    pub(crate) fn echo(&mut self, c: char) {
        self.sheet.echo(c);
    }

    /// Takes back the last characters shown so.
    pub(crate) fn rub_out(&mut self, count: usize) {
        self.sheet.rub_out(count);
    }

    /// Pauses no more at the end of a page; what [`pause_again`](Output::pause_again) needs to
    /// do so once more.
    pub(crate) fn without_pauses(&mut self) -> Pages {
        self.sheet.without_pauses()
    }

    /// Pauses as before; a new page begins here.
    pub(crate) fn pause_again(&mut self, pages: Pages) {
        self.sheet.pause_again(pages);
    }
}

impl Write for Output<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        match self.pipe.len() {
            0 => self.sheet.write_str(text),
            _ => self.pipe.write(text, &mut self.sheet),
        }
    }
}
