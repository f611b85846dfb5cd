//! From names and lines to addresses.

use core::ops::ControlFlow;

use super::Index;
use super::found::{Found, Symbol};
use super::frames::Frames;
use super::rows::Rows;
use super::text::Text;

/// Addresses without a gap between them that one answer holds for.
#[derive(Clone, Copy, Debug)]
pub struct Stretch<'a> {
    index: Index<'a>,
    /// The first one, as the linker numbers them.
    pub address: u64,
    /// How many there are.
    pub bytes: u64,
    /// The function that is there as such.
    pub symbol: Option<Symbol<'a>>,
}

impl<'a> Stretch<'a> {
    /// The first address, named.
    #[must_use]
    pub fn found(&self) -> Option<Found<'a>> {
        self.index.lookup(self.address)
    }
}

impl<'a> Index<'a> {
    /// Every function and variable, by address.
    pub fn symbols(&self) -> impl Iterator<Item = Symbol<'a>> + use<'a> {
        let index = *self;
        (0..index.symbols.count()).filter_map(move |number| index.symbol(number))
    }

    /// The path of every source file.
    pub fn files(&self) -> impl Iterator<Item = Text<'a>> + use<'a> {
        let index = *self;
        let count = u16::try_from(index.files.count()).unwrap_or(u16::MAX);
        (1..=count).filter_map(move |file| index.paths().path(file))
    }

    /// Hands out every function whose name has this somewhere, and that is nowhere as such.
    pub fn inlined_only(&self, name: &str, mut visit: impl FnMut(Text<'a>) -> ControlFlow<()>) {
        for number in 1..self.function_count() {
            let Some(found) = self.name_of(number) else {
                return;
            };
            let is_wanted = !found.is_empty() && found.contains(name);
            if is_wanted && !self.is_somewhere(number) && visit(found).is_break() {
                return;
            }
        }
    }

    /// Whether a symbol has the name of this function.
    fn is_somewhere(&self, function: u16) -> bool {
        let symbols = 0..self.symbols.count();
        let mut functions = symbols.filter_map(|number| self.symbols.get(number, 3));
        functions.any(|named| named == u32::from(function))
    }

    /// Hands out the code of functions whose name has this somewhere, where it was inlined.
    pub fn inlined(&self, name: &str, visit: impl FnMut(Stretch<'a>) -> ControlFlow<()>) {
        let mut wanted = Set::new();
        for number in 1..self.function_count() {
            match self.name_of(number) {
                Some(found) if found.contains(name) => wanted.insert(number),
                Some(_) => {}
                None => break,
            }
        }
        self.stretches(
            |frames| frames.inlined().any(|function| wanted.contains(function)),
            visit,
        );
    }

    /// The paths that are this one, or end with it at the beginning of a name.
    pub fn files_ending_with(&self, file: &str) -> impl Iterator<Item = Text<'a>> {
        self.files().filter(move |path| is_file(path, file))
    }

    /// Hands out the code of a line: of the line itself, and of what is inlined there. `file` is a path or the
    /// end of one.
    ///
    /// Gives back the nearest line behind it that has code, for when this one has none.
    pub fn line(
        &self,
        file: &str,
        line: u32,
        visit: impl FnMut(Stretch<'a>) -> ControlFlow<()>,
    ) -> Option<u32> {
        let mut nearest: Option<u32> = None;
        let mut files = Set::new();
        for (number, path) in (1..).zip(self.files()) {
            if is_file(&path, file) {
                files.insert(number);
            }
        }
        self.stretches(
            |frames| {
                let mut is_there = false;
                for (_, place) in frames.all().filter(|(_, place)| files.contains(place.file)) {
                    is_there |= place.line == line;
                    if place.line > line {
                        nearest =
                            Some(nearest.map_or(place.line, |nearest| nearest.min(place.line)));
                    }
                }
                is_there
            },
            visit,
        );
        nearest
    }

    /// Hands out the addresses whose frames are wanted.
    fn stretches(
        &self,
        mut is_wanted: impl FnMut(&Frames<'a>) -> bool,
        mut visit: impl FnMut(Stretch<'a>) -> ControlFlow<()>,
    ) {
        let mut open: Option<(u32, Option<Symbol<'a>>)> = None;
        for block in 0..self.blocks.count() {
            let Some(mut rows) = Rows::of_block(self, block) else {
                return;
            };
            while let Some(row) = rows.next().and_then(|row| self.row(row)) {
                let address = self.base.saturating_add(row.offset.into());
                let symbol = self.symbol_at(address).filter(|symbol| symbol.is_code);
                let root = symbol.map_or(0, |symbol| symbol.function);
                let wanted = self
                    .frames_of(row, root)
                    .is_some_and(|frames| is_wanted(&frames));
                let is_same = |known: &Option<Symbol<'a>>| {
                    known.map(|known| known.address) == symbol.map(|symbol| symbol.address)
                };
                match open {
                    Some((_, known)) if wanted && is_same(&known) => continue,
                    Some((start, symbol)) => {
                        let stretch = Stretch {
                            index: *self,
                            address: self.base.saturating_add(start.into()),
                            bytes: row.offset.saturating_sub(start).into(),
                            symbol,
                        };
                        if visit(stretch).is_break() {
                            return;
                        }
                    }
                    None => {}
                }
                open = wanted.then_some((row.offset, symbol));
            }
        }
    }
}

/// Numbers of functions or files.
struct Set([u64; Set::WORDS]);

impl Set {
    /// Room for 32,768. Of more, those that do not fit are not found.
    const WORDS: usize = 512;

    const fn new() -> Self {
        Set([0; Self::WORDS])
    }

    fn insert(&mut self, number: u16) {
        if let Some(word) = self.0.get_mut(usize::from(number / 64)) {
            *word |= 1 << (number % 64);
        }
    }

    fn contains(&self, number: u16) -> bool {
        let word = self.0.get(usize::from(number / 64)).copied().unwrap_or(0);
        word & 1 << (number % 64) != 0
    }
}

/// Whether a path is this one, or ends with it at the beginning of a name.
fn is_file(path: &Text<'_>, wanted: &str) -> bool {
    if path.is(wanted) {
        return true;
    }
    let mut buffer = [0u8; 256];
    let Some(place) = buffer.get_mut(1..wanted.len().saturating_add(1)) else {
        return false;
    };
    place.copy_from_slice(wanted.as_bytes());
    if let Some(first) = buffer.first_mut() {
        *first = b'/';
    }
    let tail = buffer
        .get(..wanted.len().saturating_add(1))
        .unwrap_or_default();
    core::str::from_utf8(tail).is_ok_and(|tail| path.ends_with(tail))
}
