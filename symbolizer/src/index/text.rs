//! Names: texts made of symbols that stand for other symbols.

use core::fmt::{self, Write};

use super::format::{DEEPEST_SYMBOL, LONGEST_TEXT};
use super::grammar::{Grammar, Rule};
use super::window::Window;

/// The name of a function, or the path of a file. It is put together while it is read.
#[derive(Clone, Copy)]
pub struct Text<'a> {
    /// The whole index.
    index: &'a [u8],
    /// Where in it the symbols are, and how many bytes of them.
    at: u32,
    bytes: u16,
}

impl<'a> Text<'a> {
    /// The empty one.
    #[must_use]
    pub const fn none() -> Self {
        Text {
            index: &[],
            at: 0,
            bytes: 0,
        }
    }

    /// What is at an offset of an index, wherever that is.
    pub(super) fn new(index: &'a [u8], at: u32, bytes: u16) -> Self {
        Text { index, at, bytes }
    }

    fn symbols(&self) -> Option<&'a [u8]> {
        let at = usize::try_from(self.at).ok()?;
        self.index.get(at..at.checked_add(self.bytes.into())?)
    }

    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Hands out every character, until `visit` has seen enough. At most `LONGEST_TEXT` of them, and
    /// at most as many steps as that many take.
    pub fn each(&self, mut visit: impl FnMut(char) -> bool) {
        let mut steps = LONGEST_TEXT.saturating_mul(2);
        let mut left = LONGEST_TEXT;
        let (Some(mut rest), Some(grammar)) = (self.symbols(), Grammar::of(self.index)) else {
            return;
        };
        while let Some((first, after)) = rest.split_first() {
            rest = after;
            let mut symbol = u32::from(*first);
            if let Some(more) = first.checked_sub(grammar.short) {
                let Some((second, after)) = rest.split_first() else {
                    return;
                };
                rest = after;
                let long = u32::from(more) << 8 | u32::from(*second);
                symbol = u32::from(grammar.short).wrapping_add(long);
            }
            // What is still to come of the symbols that this one stands for.
            let mut waiting = [0u16; DEEPEST_SYMBOL];
            let mut depth = 0usize;
            loop {
                let Some(left_steps) = steps.checked_sub(1) else {
                    return;
                };
                steps = left_steps;
                let Some(rule) = grammar.rule(symbol) else {
                    return;
                };
                let character = match rule {
                    Rule::Character(character) => character,
                    Rule::Pair(first, second) => {
                        let Some(place) = waiting.get_mut(depth) else {
                            return;
                        };
                        *place = u16::try_from(second).unwrap_or(0);
                        depth = depth.saturating_add(1);
                        symbol = first;
                        continue;
                    }
                };
                left = left.saturating_sub(character.len_utf8());
                if left == 0 || !visit(character) {
                    return;
                }
                let Some(outer) = depth.checked_sub(1) else {
                    break;
                };
                depth = outer;
                symbol = waiting.get(depth).copied().unwrap_or(0).into();
            }
        }
    }

    /// Whether it is exactly this.
    #[must_use]
    pub fn is(&self, text: &str) -> bool {
        let mut expected = text.chars();
        let mut same = true;
        self.each(|character| {
            same = expected.next() == Some(character);
            same
        });
        same && expected.next().is_none()
    }

    /// Whether this occurs in it.
    #[must_use]
    pub fn contains(&self, text: &str) -> bool {
        Window::search(self, text).contains
    }

    /// Whether it ends with this.
    #[must_use]
    pub fn ends_with(&self, text: &str) -> bool {
        Window::search(self, text).ends
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Pieces, since a writer may be slow to begin.
        let mut piece = [0u8; 64];
        let mut length = 0usize;
        let mut outcome = Ok(());
        self.each(|character| {
            let mut buffer = [0; 4];
            let bytes = character.encode_utf8(&mut buffer).as_bytes();
            if length.saturating_add(bytes.len()) > piece.len() {
                outcome = write_piece(f, &piece, length);
                length = 0;
            }
            let end = length.saturating_add(bytes.len());
            if let Some(place) = piece.get_mut(length..end) {
                place.copy_from_slice(bytes);
                length = end;
            }
            outcome.is_ok()
        });
        outcome?;
        write_piece(f, &piece, length)
    }
}

fn write_piece(f: &mut fmt::Formatter<'_>, piece: &[u8], length: usize) -> fmt::Result {
    // Only whole characters are put into a piece.
    let text = piece
        .get(..length)
        .and_then(|bytes| core::str::from_utf8(bytes).ok());
    f.write_str(text.unwrap_or("?"))
}

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        fmt::Display::fmt(self, f)?;
        f.write_char('"')
    }
}
