//! Text out when nothing can be trusted: faults and panics.
//!
//! No lock, no allocation: straight to the UART's ports, and straight into the pixels from
//! the top of the screen down. Call with interrupts off.

use core::fmt;
use core::sync::atomic::{AtomicUsize, Ordering};

use exported::Range;

use super::pixels::{self, Surface};
use crate::devices::serial;

/// White on dark red: not to be overlooked.
const INK: [u8; 3] = [0xff, 0xff, 0xff];
const PAPER: [u8; 3] = [0x80, 0x10, 0x18];

/// The next free row; reports follow each other down the screen.
static ROW: AtomicUsize = AtomicUsize::new(0);

/// What a report writes to beside the consoles: the number of its row.
pub(crate) fn report_row() -> Range {
    Range {
        at: &raw const ROW as u64,
        bytes: size_of_val(&ROW) as u64,
    }
}

/// A writer for one report.
pub(crate) struct Emergency {
    surface: Option<Surface>,
    column: usize,
}

/// Begins a report.
pub(crate) fn emergency() -> Emergency {
    Emergency {
        surface: pixels::surface(),
        column: 0,
    }
}

impl Emergency {
    fn put(&mut self, surface: &Surface, character: char) {
        let (columns, rows) = surface.cells();
        if character == '\n' || self.column >= columns {
            self.blank_rest(surface, columns, rows);
            ROW.fetch_add(1, Ordering::Relaxed);
            self.column = 0;
        }
        if character != '\n' {
            let row = ROW.load(Ordering::Relaxed) % rows;
            surface.draw(self.column, row, character, INK, PAPER);
            self.column += 1;
        }
    }

    /// Covers what the shell had on the rest of the row.
    fn blank_rest(&self, surface: &Surface, columns: usize, rows: usize) {
        let row = ROW.load(Ordering::Relaxed) % rows;
        for column in self.column..columns {
            surface.draw(column, row, ' ', INK, PAPER);
        }
    }
}

impl fmt::Write for Emergency {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        serial::write_emergency(text);
        if let Some(surface) = self.surface {
            for character in text.chars() {
                self.put(&surface, character);
            }
        }
        Ok(())
    }
}
