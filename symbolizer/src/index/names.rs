//! Names: texts made of symbols that stand for other symbols.

use core::fmt::{self, Write};

use super::Index;
use super::bytes::{Head, moved, varint_at};
use super::format::{DEEPEST_SYMBOL, FUNCTIONS_IN_A_GROUP, LONGEST_TEXT};
use super::lookup::Place;
use super::table::Table;
use super::texts::{Grammar, Rule};

/// The name of a function, or the path of a file. It is put together while it is read.
#[derive(Clone, Copy)]
pub struct Text<'a> {
    /// The whole index.
    index: &'a [u8],
    /// Where in it the symbols are, and how many bytes of them.
    at: u32,
    bytes: u16,
}

/// What the index says about a function.
#[derive(Clone, Copy, Debug)]
pub(super) struct Function {
    /// Where in the index its name is.
    pub(super) name_at: u32,
    pub(super) name_bytes: u16,
    /// The file that the first function of its group is in.
    group_file: u32,
    /// The line that places count from.
    pub(super) line: u32,
    /// Its first place, and its first call, and how many it has.
    pub(super) first_place: u32,
    pub(super) places: u32,
    pub(super) first_call: u32,
    pub(super) calls: u32,
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

/// The last bytes of a text that is going by, as many as the one that is searched for has.
struct Window {
    bytes: [u8; Window::LONGEST],
    /// Where the next byte goes.
    next: usize,
    contains: bool,
    ends: bool,
}

impl Window {
    /// Nobody types more.
    const LONGEST: usize = 256;

    fn search(text: &Text<'_>, wanted: &str) -> Self {
        let mut window = Window {
            bytes: [0; Self::LONGEST],
            next: 0,
            contains: wanted.is_empty(),
            ends: wanted.is_empty(),
        };
        let wanted = wanted.as_bytes();
        let Some((last, _)) = wanted
            .split_last()
            .filter(|_| wanted.len() <= Self::LONGEST)
        else {
            return window;
        };
        text.each(|character| {
            let mut buffer = [0; 4];
            for byte in character.encode_utf8(&mut buffer).bytes() {
                window.push(byte, wanted.len());
                window.ends = byte == *last && window.holds(wanted);
                window.contains |= window.ends;
            }
            true
        });
        window
    }

    fn push(&mut self, byte: u8, length: usize) {
        if let Some(place) = self.bytes.get_mut(self.next) {
            *place = byte;
        }
        self.next = self.next.saturating_add(1);
        if self.next >= length {
            self.next = 0;
        }
    }

    /// The window is a ring: what was pushed first stands where the next byte will go.
    fn holds(&self, wanted: &[u8]) -> bool {
        let ring = self.bytes.get(..wanted.len()).unwrap_or_default();
        let (newer, older) = ring.split_at(self.next.min(ring.len()));
        let (first, second) = wanted.split_at(older.len().min(wanted.len()));
        older == first && newer == second
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

impl<'a> Index<'a> {
    /// What is known of a function.
    #[inline(always)]
    pub(super) fn function(&self, number: u16) -> Option<Function> {
        let number = usize::from(number);
        let group = self.functions.element(number / FUNCTIONS_IN_A_GROUP)?;
        let mut at = self.in_texts(self.functions.field(group, 0)?)?;
        let mut first_place = self.functions.field(group, 1)?;
        let mut first_call = self.functions.field(group, 2)?;
        let mut line = 0;
        for _ in 0..number % FUNCTIONS_IN_A_GROUP {
            let head = Head::read(self.whole, at)?;
            let (places, calls) = head.pair;
            first_place = first_place.wrapping_add(places);
            first_call = first_call.wrapping_add(calls);
            line = moved(line, head.third);
            at = head.next();
        }
        let head = Head::read(self.whole, at)?;
        let (places, calls) = head.pair;
        Some(Function {
            name_at: u32::try_from(head.name_at).ok()?,
            name_bytes: u16::try_from(head.name_bytes).ok()?,
            group_file: self.functions.field(group, 3)?,
            line: moved(line, head.third),
            first_place,
            places,
            first_call,
            calls,
        })
    }

    /// Where something is that is so far into the texts.
    fn in_texts(&self, offset: u32) -> Option<usize> {
        self.texts.checked_add(usize::try_from(offset).ok()?)
    }

    /// Where in the sources a place of a function is.
    #[inline(always)]
    pub(super) fn place(&self, place: u32, number: u16, function: &Function) -> Option<Place> {
        let Some(wide) = place.checked_sub(self.wide_from) else {
            let below = place.wrapping_shr(self.column_bits.into());
            let mask = 1u32.wrapping_shl(self.column_bits.into()).wrapping_sub(1);
            return Some(Place {
                file: self.file_of(number, function.group_file),
                // 0 is no line; from 1 on they are counted from the function's first.
                line: match below.checked_sub(1) {
                    Some(below) => function.line.checked_add(below)?,
                    None => 0,
                },
                column: place & mask,
            });
        };
        let wide = self.wide_places.element(usize::try_from(wide).ok()?)?;
        Some(Place {
            file: u16::try_from(self.wide_places.field(wide, 0)?).ok()?,
            line: self.wide_places.field(wide, 2)?,
            column: self.wide_places.field(wide, 1)?,
        })
    }

    /// The file that a function is in. Files are sorted by their first function, and every group of functions
    /// says which file its first one is in.
    #[inline(always)]
    fn file_of(&self, function: u16, group_file: u32) -> u16 {
        let mut file = usize::try_from(group_file).unwrap_or(usize::MAX);
        // The functions of a group are in as many files at most, but for files that none is in.
        while let Some(first) = self.files.get(file, 1)
            && first <= u32::from(function)
        {
            file = file.wrapping_add(1);
        }
        // There are no more files than that.
        file as u16
    }

    /// The name of a function.
    pub(super) fn name_of(&self, function: u16) -> Option<Text<'a>> {
        Some(self.text_of(&self.function(function)?))
    }

    /// The same of one that is known.
    pub(super) fn text_of(&self, function: &Function) -> Text<'a> {
        Text::new(self.whole, function.name_at, function.name_bytes)
    }

    /// How many functions there are.
    pub(super) fn function_count(&self) -> u16 {
        let groups = self.functions.count();
        u16::try_from(groups.saturating_mul(FUNCTIONS_IN_A_GROUP)).unwrap_or(u16::MAX)
    }

    pub(super) fn paths(&self) -> Paths<'a> {
        Paths {
            index: self.whole,
            texts: self.texts,
            files: self.files,
        }
    }
}

/// What the paths of files are read from: less than the whole index, since it is copied with every answer.
#[derive(Clone, Copy)]
pub(super) struct Paths<'a> {
    pub(super) index: &'a [u8],
    texts: usize,
    files: Table<'a, 2>,
}

impl<'a> Paths<'a> {
    pub(super) const fn none() -> Self {
        Paths {
            index: &[],
            texts: 0,
            files: Table::none(),
        }
    }

    /// The path of a file, counted from 1; 0 is none.
    #[inline(always)]
    pub(super) fn path(&self, file: u16) -> Option<Text<'a>> {
        let number = usize::from(file).checked_sub(1)?;
        let at = usize::try_from(self.files.get(number, 0)?).ok()?;
        let (at, bytes) = varint_at(self.index, self.texts.checked_add(at)?)?;
        Some(Text::new(
            self.index,
            u32::try_from(at).ok()?,
            u16::try_from(bytes).ok()?,
        ))
    }
}
