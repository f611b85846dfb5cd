//! Keys for a process while a command waits for it, and what is seen of them.

use super::Ended;
use super::sheet::Sheet;
use crate::{Key, Typed};

impl Sheet<'_> {
    /// The next key if there is one already. Ctrl-C is not a key: it ends the output.
    pub(in crate::output) fn poll(&mut self) -> Typed {
        match self.terminal.poll() {
            Typed::Key(Key::Ctrl('c')) => {
                // The same Ctrl-C may have been noticed twice: as a key, and as it came in.
                let _ = self.terminal.interrupted();
                self.ended = Some(Ended::Interrupted);
                Typed::Nothing
            }
            typed => typed,
        }
    }

    /// Shows a character that was typed. Programs that read frames do not get it: they know
    /// what they sent.
    pub(in crate::output) fn echo(&mut self, c: char) {
        self.control(c.encode_utf8(&mut [0; 4]));
        self.column = match c {
            '\n' => 0,
            _ => self.column.saturating_add(1),
        };
    }

    /// Takes back the last characters shown so.
    pub(in crate::output) fn rub_out(&mut self, count: usize) {
        for _ in 0..count {
            self.control("\x08 \x08");
            self.column = self.column.saturating_sub(1);
        }
    }

    /// Pauses no more at the end of a page; what [`pause_again`](Sheet::pause_again) needs to
    /// do so once more.
    pub(in crate::output) fn without_pauses(&mut self) -> Pages {
        Pages(self.page.take())
    }

    /// Pauses as before; a new page begins here.
    pub(in crate::output) fn pause_again(&mut self, Pages(page): Pages) {
        self.page = page;
        self.rows = 0;
    }
}

/// How long pages were before there were none.
pub(crate) struct Pages(Option<usize>);
