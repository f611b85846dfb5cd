//! A screen for tests.

/// A terminal of the simplest kind. It knows what the editor may send and refuses the rest,
/// wrapping included.
pub(crate) struct Grid {
    pub(crate) rows: Vec<Vec<char>>,
    pub(crate) row: usize,
    pub(crate) column: usize,
    columns: usize,
    height: usize,
    pub(crate) bells: usize,
    /// Where the cursor was before the last line feed.
    pub(crate) left: (usize, usize),
    /// Whether writing past the last column is a mistake: while a line is being edited.
    pub(crate) strict: bool,
}

impl Grid {
    pub(super) fn new(columns: usize, height: usize) -> Self {
        Grid {
            rows: vec![vec![' '; columns]],
            row: 0,
            column: 0,
            columns,
            height,
            bells: 0,
            left: (0, 0),
            strict: false,
        }
    }

    /// What stands in a row, without the blanks at its end.
    pub(crate) fn line(&self, row: usize) -> String {
        self.rows[row]
            .iter()
            .collect::<String>()
            .trim_end()
            .to_string()
    }

    /// All rows that were ever written.
    pub(crate) fn text(&self) -> String {
        let rows = (0..self.rows.len()).map(|row| self.line(row));
        rows.collect::<Vec<_>>().join("\n")
    }

    pub(super) fn feed(&mut self, text: &str) {
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            match c {
                '\n' => {
                    self.left = (self.row, self.column);
                    self.row += 1;
                    self.column = 0;
                    if self.row == self.rows.len() {
                        self.rows.push(vec![' '; self.columns]);
                    }
                }
                '\r' => self.column = 0,
                '\x08' => self.column = self.column.saturating_sub(1),
                '\x07' => self.bells += 1,
                '\x1b' => {
                    assert_eq!(chars.next(), Some('['), "only CSI is used");
                    let body: String = chars
                        .by_ref()
                        .take_while_inclusive(|c| !c.is_ascii_alphabetic());
                    self.control(&body);
                }
                c => {
                    assert!(c >= ' ' || !self.strict, "{c:?} is not for a terminal");
                    if self.column == self.columns {
                        assert!(!self.strict, "the line wraps: {text:?}");
                        self.feed("\n");
                    }
                    self.rows[self.row][self.column] = c;
                    self.column += 1;
                }
            }
        }
    }

    fn control(&mut self, body: &str) {
        let (number, letter) = body.split_at(body.len() - 1);
        let count = || number.parse::<usize>().unwrap_or(1);
        match letter {
            "C" => {
                assert_ne!(count(), 0);
                self.column = (self.column + count()).min(self.columns - 1);
            }
            "D" => {
                assert_ne!(count(), 0);
                self.column = self.column.saturating_sub(count());
            }
            "K" => self.rows[self.row][self.column.min(self.columns)..].fill(' '),
            "H" => {
                self.row = self.rows.len().saturating_sub(self.height);
                self.column = 0;
            }
            "J" => {
                let first = self.row;
                self.rows[first][self.column..].fill(' ');
                self.rows.truncate(first + 1);
            }
            "m" => {
                let is_known = |code| matches!(code, 0 | 1 | 7 | 30..=37 | 40..=47 | 90..=97);
                let codes = number.split(';').map(str::parse::<u8>);
                let mut known = codes.map(|code| code.is_ok_and(is_known));
                assert!(known.all(|known| known), "SGR {number}");
            }
            _ => panic!("CSI {body} is not one the shell may use"),
        }
    }
}

trait TakeWhileInclusive: Iterator<Item = char> {
    fn take_while_inclusive(self, more: impl Fn(char) -> bool) -> String;
}

impl<I: Iterator<Item = char>> TakeWhileInclusive for &mut I {
    fn take_while_inclusive(self, more: impl Fn(char) -> bool) -> String {
        let mut text = String::new();
        for c in self {
            text.push(c);
            if !more(c) {
                break;
            }
        }
        text
    }
}
