//! The pager: output longer than the screen waits to be read.

use core::fmt;

use super::Ended;
use super::sheet::Sheet;
use crate::Key;

/// What the pager asks, where there is room.
const QUESTION: &str = "-- more -- (space page, Enter line, q quit, a all)";
const QUESTION_COLUMNS: usize = QUESTION.len();

impl Sheet<'_> {
    /// At the end of a page, asks. Only when there is more to show: so a command that
    /// fills the page exactly does not leave a question behind.
    pub(super) fn pause(&mut self) -> fmt::Result {
        let Some(page) = self.page.filter(|page| self.rows >= *page) else {
            return Ok(());
        };
        if self.column > 0 {
            return Ok(());
        }
        self.control("\x1b[7m");
        self.control(match self.columns {
            0..=QUESTION_COLUMNS => "--more--",
            _ => QUESTION,
        });
        self.control("\x1b[0m");
        let ended = loop {
            match self.terminal.key() {
                Some(Key::Char(' ') | Key::PageDown) => {
                    self.rows = 0;
                    break None;
                }
                Some(Key::Enter | Key::Down) => {
                    self.rows = page - 1;
                    break None;
                }
                Some(Key::Char('a')) => {
                    self.page = None;
                    break None;
                }
                Some(Key::Char('q') | Key::Escape) | None => break Some(Ended::Left),
                Some(Key::Ctrl('c')) => break Some(Ended::Interrupted),
                Some(_) => {}
            }
        };
        self.control("\r\x1b[K");
        if ended == Some(Ended::Interrupted) {
            // The same Ctrl-C may have been noticed twice: as a key, and as it came in.
            let _ = self.terminal.interrupted();
        }
        self.ended = ended;
        match ended {
            None => Ok(()),
            Some(_) => Err(fmt::Error),
        }
    }
}
