//! The framebuffer as a terminal: colours, a cursor, 1000 lines of scrollback.
//!
//! Text goes into a grid of cells; [`Screen::show`] then draws only the cells that differ from
//! what the framebuffer shows, so pouring out a long table costs no drawing in between.

use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;

use vte::{Params, Perform};

use super::pixels::{Colour, Surface};
use crate::arch::cpu;

/// Lines kept above the visible ones.
const SCROLLBACK: usize = 1000;

/// Cycles between two redraws while text pours out: some 20 ms.
const LEAST_WAIT: u64 = 50_000_000;

const PAPER: u8 = 0;
const INK: u8 = 7;

/// The sixteen ANSI colours, dark enough to read on a projector, bright enough on a laptop.
const PALETTE: [Colour; 16] = [
    [0x10, 0x14, 0x1a],
    [0xd0, 0x4a, 0x4a],
    [0x5f, 0xb3, 0x5f],
    [0xd0, 0xa6, 0x4a],
    [0x5a, 0x8f, 0xe0],
    [0xb8, 0x7a, 0xd0],
    [0x4a, 0xb8, 0xb8],
    [0xc8, 0xcc, 0xd0],
    [0x70, 0x78, 0x80],
    [0xff, 0x70, 0x70],
    [0x8a, 0xe0, 0x8a],
    [0xff, 0xd0, 0x70],
    [0x8a, 0xb8, 0xff],
    [0xe0, 0xa0, 0xff],
    [0x80, 0xe8, 0xe8],
    [0xff, 0xff, 0xff],
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cell {
    character: char,
    ink: u8,
    paper: u8,
}

const BLANK: Cell = Cell {
    character: ' ',
    ink: INK,
    paper: PAPER,
};

/// The screen console.
pub(super) struct Screen {
    surface: Surface,
    grid: Grid,
    parser: vte::Parser,
    /// What the framebuffer shows, cell by cell.
    shown: Vec<Option<Cell>>,
    /// When the last redraw ended and how long it took, in cycles.
    shown_at: u64,
    took: u64,
    /// How many lines the view is above the end.
    back: usize,
}

struct Grid {
    columns: usize,
    rows: usize,
    /// Scrollback and the visible rows, which are the last `rows`.
    lines: VecDeque<Vec<Cell>>,
    /// Lines for the scrollback, taken from the heap beforehand: the debugger writes, too, while
    /// the rest of the kernel is stopped in the middle of using the heap.
    spare: Vec<Vec<Cell>>,
    column: usize,
    /// Among the visible rows.
    row: usize,
    pen: Cell,
    bold: bool,
    inverse: bool,
}

impl Screen {
    /// An empty screen over all of `surface`.
    pub(super) fn new(surface: Surface) -> Self {
        let (columns, rows) = surface.cells();
        let mut lines = VecDeque::with_capacity(rows + SCROLLBACK);
        lines.extend((0..rows).map(|_| vec![BLANK; columns]));
        let grid = Grid {
            columns,
            rows,
            lines,
            spare: (0..SCROLLBACK)
                .map(|_| Vec::with_capacity(columns))
                .collect(),
            column: 0,
            row: 0,
            pen: BLANK,
            bold: false,
            inverse: false,
        };
        surface.fill(PALETTE[usize::from(PAPER)]);
        let shown = vec![Some(BLANK); columns * rows];
        Screen {
            surface,
            grid,
            parser: vte::Parser::new(),
            shown,
            shown_at: 0,
            took: 0,
            back: 0,
        }
    }

    /// Columns and rows.
    pub(super) fn size(&self) -> (u16, u16) {
        let clip = |value: usize| u16::try_from(value).unwrap_or(u16::MAX);
        (clip(self.grid.columns), clip(self.grid.rows))
    }

    /// Takes in text; the view returns to the end.
    pub(super) fn write(&mut self, text: &str) {
        self.back = 0;
        self.parser.advance(&mut self.grid, text.as_bytes());
    }

    /// Moves the view half a screen up or down and draws it.
    pub(super) fn scroll(&mut self, up: bool) {
        let step = (self.grid.rows / 2).max(1);
        let most = self.grid.lines.len() - self.grid.rows;
        self.back = if up {
            (self.back + step).min(most)
        } else {
            self.back.saturating_sub(step)
        };
        self.show();
    }

    /// Draws if at least nine times as long as drawing takes has passed since the last time.
    pub(super) fn show_sometimes(&mut self) {
        let passed = cpu::cycles().wrapping_sub(self.shown_at);
        if passed > self.took.saturating_mul(9).max(LEAST_WAIT) {
            self.show();
        }
    }

    /// Draws every cell that differs from what is shown.
    pub(super) fn show(&mut self) {
        let start = cpu::cycles();
        self.draw_changes();
        self.shown_at = cpu::cycles();
        self.took = self.shown_at.wrapping_sub(start);
    }

    fn draw_changes(&mut self) {
        let grid = &self.grid;
        let first = grid.lines.len() - grid.rows - self.back;
        let cursor = (self.back == 0).then_some((grid.row, grid.column.min(grid.columns - 1)));
        for (row, line) in grid.lines.iter().skip(first).take(grid.rows).enumerate() {
            for (column, &cell) in line.iter().enumerate() {
                let cell = if cursor == Some((row, column)) {
                    Cell {
                        ink: cell.paper,
                        paper: cell.ink,
                        ..cell
                    }
                } else {
                    cell
                };
                if let Some(shown) = self.shown.get_mut(row * grid.columns + column)
                    && *shown != Some(cell)
                {
                    *shown = Some(cell);
                    let colour = |index: u8| PALETTE[usize::from(index & 15)];
                    self.surface.draw(
                        column,
                        row,
                        cell.character,
                        colour(cell.ink),
                        colour(cell.paper),
                    );
                }
            }
        }
    }
}

impl Grid {
    fn line(&mut self, row: usize) -> Option<&mut Vec<Cell>> {
        let first = self.lines.len() - self.rows;
        self.lines.get_mut(first + row)
    }

    fn line_feed(&mut self) {
        if self.row + 1 < self.rows {
            self.row += 1;
            return;
        }
        // Or the line that falls off the top: output allocates nothing.
        let spare = self.spare.pop();
        let Some(mut line) = spare.or_else(|| self.lines.pop_front()) else {
            return;
        };
        line.clear();
        line.resize(self.columns, BLANK);
        self.lines.push_back(line);
    }

    fn erase(&mut self, row: usize, from: usize, to: usize) {
        if let Some(cells) = self.line(row).and_then(|line| line.get_mut(from..to)) {
            cells.fill(BLANK);
        }
    }

    fn select(&mut self, code: u16) {
        // The casts keep values below 8.
        match code {
            0 => {
                self.pen = BLANK;
                self.bold = false;
                self.inverse = false;
            }
            1 => self.bold = true,
            7 => self.inverse = true,
            30..=37 => self.pen.ink = (code - 30) as u8,
            39 => self.pen.ink = INK,
            90..=97 => self.pen.ink = (code - 90) as u8 + 8,
            40..=47 => self.pen.paper = (code - 40) as u8,
            49 => self.pen.paper = PAPER,
            _ => {}
        }
    }

    fn styled(&self, character: char) -> Cell {
        let mut cell = Cell {
            character,
            ..self.pen
        };
        if self.bold && cell.ink < 8 {
            cell.ink += 8;
        }
        if self.inverse {
            core::mem::swap(&mut cell.ink, &mut cell.paper);
        }
        cell
    }
}

impl Perform for Grid {
    fn print(&mut self, character: char) {
        if self.column >= self.columns {
            self.column = 0;
            self.line_feed();
        }
        let cell = self.styled(character);
        let (row, column) = (self.row, self.column);
        if let Some(place) = self.line(row).and_then(|line| line.get_mut(column)) {
            *place = cell;
        }
        self.column += 1;
    }

    fn execute(&mut self, byte: u8) {
        match byte {
            b'\n' => {
                self.column = 0;
                self.line_feed();
            }
            b'\r' => self.column = 0,
            8 => self.column = self.column.min(self.columns).saturating_sub(1),
            b'\t' => {
                self.column = (self.column / 8 + 1)
                    .saturating_mul(8)
                    .min(self.columns - 1)
            }
            _ => {}
        }
    }

    fn csi_dispatch(&mut self, params: &Params, _: &[u8], _: bool, action: char) {
        let mut numbers = params.iter().filter_map(|param| param.first().copied());
        let (row, columns, rows) = (self.row, self.columns, self.rows);
        match action {
            'm' => {
                let mut any = false;
                for code in numbers {
                    any = true;
                    self.select(code);
                }
                if !any {
                    self.select(0);
                }
            }
            'C' => {
                let by = usize::from(numbers.next().unwrap_or(1).max(1));
                self.column = self.column.saturating_add(by).min(columns - 1);
            }
            'D' => {
                let by = usize::from(numbers.next().unwrap_or(1).max(1));
                self.column = self.column.min(columns - 1).saturating_sub(by);
            }
            'H' => {
                let row = usize::from(numbers.next().unwrap_or(1).max(1)) - 1;
                let column = usize::from(numbers.next().unwrap_or(1).max(1)) - 1;
                self.row = row.min(rows - 1);
                self.column = column.min(columns - 1);
            }
            'K' => match numbers.next().unwrap_or(0) {
                0 => self.erase(row, self.column.min(columns), columns),
                1 => self.erase(row, 0, (self.column + 1).min(columns)),
                _ => self.erase(row, 0, columns),
            },
            'J' => {
                let mode = numbers.next().unwrap_or(0);
                if mode == 0 {
                    self.erase(row, self.column.min(columns), columns);
                }
                let from = if mode == 0 { row + 1 } else { 0 };
                for row in from..rows {
                    self.erase(row, 0, columns);
                }
            }
            _ => {}
        }
    }
}
