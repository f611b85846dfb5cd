//! The filters between a command and its reader. Whole lines go through them one by one, and
//! nothing here allocates: what has to be kept goes into room that the shell was given.

use core::fmt::{self, Write};
use core::ops::Range;

use heapless::Vec;

use super::filter::{By, Filter, contains_any_case};
use super::key::{key, order};
use super::room::{Room, STORES};
use super::sheet::Sheet;
use super::stage::{Place, Stage};
use super::store::Store;
use crate::Error;
use crate::error::excerpt;
use crate::record::Record;
use crate::render::Count;

/// How many filters there may be at once, those of commands inside commands included.
const MOST: usize = 8;

/// The filters there are. A line goes through the newest first.
pub(super) struct Pipe<'a> {
    stages: Vec<Stage, MOST>,
    room: Room<'a>,
    /// How much of a line has come.
    begun: usize,
    /// Whether a line was longer than there is room for.
    too_long: bool,
}

impl<'a> Pipe<'a> {
    pub(super) fn new(room: Room<'a>) -> Self {
        Pipe {
            stages: Vec::new(),
            room,
            begun: 0,
            too_long: false,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.stages.len()
    }

    /// Whether more lines would change nothing.
    pub(super) fn has_enough(&self) -> bool {
        self.too_long || self.stages.iter().any(Stage::has_enough)
    }

    pub(super) fn push(&mut self, filter: Filter<'_>) -> Result<(), Error> {
        const TOO_MANY: Error = Error::Said("there are too many filters");
        if self.room.line.is_empty() {
            return Err(Error::Lacks("room for filters"));
        }
        let is_free = |slot: &usize| !self.stages.iter().any(|stage| stage.slot() == Some(*slot));
        let slot = (0..STORES).find(is_free);
        if filter.keeps_lines() && slot.is_none() {
            return Err(TOO_MANY);
        }
        let (slot, store) = (slot.unwrap_or(0), Store::default());
        let stage = match filter {
            Filter::Grep {
                text,
                inverted,
                any_case,
            } => Stage::Grep {
                text: self.word(text)?,
                inverted,
                any_case,
            },
            Filter::Head(left) => Stage::Head { left },
            Filter::Tail(count) => Stage::Tail { count, store, slot },
            Filter::Skip(left) => Stage::Skip { left },
            Filter::Sort { by, reverse } => Stage::Sort {
                by: match by {
                    By::Column(column) => Place::Column(column),
                    // No field has a name as long as that.
                    By::Field(name) => Place::Field(excerpt(name)),
                },
                reverse,
                store,
                slot,
            },
            Filter::Count { json } => Stage::Count { lines: 0, json },
        };
        self.stages.push(stage).map_err(|_| TOO_MANY)
    }

    /// Keeps a word behind those that are kept.
    fn word(&mut self, word: &str) -> Result<Range<usize>, Error> {
        let start = self.stages.iter().map(Stage::words_end).max().unwrap_or(0);
        let range = start..start.saturating_add(word.len());
        let room = self.room.words.get_mut(range.clone());
        room.ok_or(Error::Said("the filters have too much text"))?
            .copy_from_slice(word.as_bytes());
        Ok(range)
    }

    /// Text on its way to the reader, in whatever pieces it comes.
    pub(super) fn write(&mut self, text: &str, sheet: &mut Sheet<'_>) -> fmt::Result {
        for piece in text.split_inclusive('\n') {
            // What was shown last may have been the last that is wanted.
            if self.has_enough() || sheet.ended().is_some() {
                return Err(fmt::Error);
            }
            let (piece, ends) = match piece.strip_suffix('\n') {
                Some(piece) => (piece, true),
                None => (piece, false),
            };
            let room = self.room.line.get_mut(self.begun..).unwrap_or_default();
            let Some(room) = room.get_mut(..piece.len()) else {
                self.too_long = true;
                return Err(fmt::Error);
            };
            room.copy_from_slice(piece.as_bytes());
            self.begun = self.begun.saturating_add(piece.len());
            if ends {
                self.end_line(sheet)?;
            }
        }
        Ok(())
    }

    /// Ends a line that has been begun.
    pub(super) fn finish_line(&mut self, sheet: &mut Sheet<'_>) -> fmt::Result {
        match self.begun {
            0 => Ok(()),
            _ => self.end_line(sheet),
        }
    }

    fn end_line(&mut self, sheet: &mut Sheet<'_>) -> fmt::Result {
        let length = core::mem::take(&mut self.begun);
        let buffer = core::mem::take(&mut self.room.line);
        let line = buffer.get(..length).unwrap_or_default();
        let result = self.pass(self.stages.len(), text(line), sheet);
        self.room.line = buffer;
        result?;
        // Of a line that is kept back, nobody else asks.
        match sheet.interrupted() {
            true => Err(fmt::Error),
            false => Ok(()),
        }
    }

    /// Takes a line through the first so many stages, the last of them first.
    fn pass(&mut self, stages: usize, line: &str, sheet: &mut Sheet<'_>) -> fmt::Result {
        let Room { words, stores, .. } = &mut self.room;
        for stage in self.stages.iter_mut().take(stages).rev() {
            match stage {
                Stage::Grep {
                    text: word,
                    inverted,
                    any_case,
                } => {
                    let word = text(words.get(word.clone()).unwrap_or_default());
                    let is_in = match any_case {
                        true => contains_any_case(line, word),
                        false => line.contains(word),
                    };
                    if is_in == *inverted {
                        return Ok(());
                    }
                }
                Stage::Head { left } => match left.checked_sub(1) {
                    Some(fewer) => *left = fewer,
                    None => return Ok(()),
                },
                Stage::Skip { left } => {
                    if let Some(fewer) = left.checked_sub(1) {
                        *left = fewer;
                        return Ok(());
                    }
                }
                Stage::Count { lines, .. } => {
                    *lines = lines.saturating_add(1);
                    return Ok(());
                }
                Stage::Tail { count, store, slot } => {
                    if let Some(buffer) = stores.get_mut(*slot) {
                        store.push_last(buffer, line, *count);
                    }
                    return Ok(());
                }
                Stage::Sort { store, slot, .. } => {
                    if let Some(buffer) = stores.get_mut(*slot) {
                        store.push_to_sort(buffer, line);
                    }
                    return Ok(());
                }
            }
        }
        sheet.write_str(line)?;
        sheet.write_str("\n")
    }

    /// Takes off the newest stage, and with it all that it has kept.
    pub(super) fn discard(&mut self) {
        self.begun = 0;
        self.too_long = false;
        drop(self.stages.pop());
    }

    /// Ends the newest stage.
    pub(super) fn pop(&mut self, sheet: &mut Sheet<'_>) -> Result<Option<u64>, Error> {
        let Some(stage) = self.stages.pop() else {
            return Ok(None);
        };
        if core::mem::take(&mut self.too_long) {
            return Err(Error::LongLine(self.room.line.len()));
        }
        let slot = stage.slot().and_then(|slot| self.room.stores.get_mut(slot));
        let buffer = slot.map(core::mem::take).unwrap_or_default();
        let result = self.end(&stage, buffer, sheet);
        let slot = stage.slot().and_then(|slot| self.room.stores.get_mut(slot));
        if let Some(slot) = slot {
            *slot = buffer;
        }
        result
    }

    /// What a stage has to say at its end. It has been taken off already.
    fn end(
        &mut self,
        stage: &Stage,
        buffer: &mut [u8],
        sheet: &mut Sheet<'_>,
    ) -> Result<Option<u64>, Error> {
        if let Stage::Count { lines, json } = stage {
            let mut line = heapless::String::<64>::new();
            let _ = match json {
                true => Record::new(&mut line, COUNT).number("lines", *lines).end(),
                false => writeln!(line, "{}", Count(*lines, "line")),
            };
            // Its own stage is gone: a reader who has left does not keep it from counting.
            let _ = self.pass_all(&mut line.lines(), sheet);
            return Ok(Some(*lines));
        }
        let (Stage::Tail { store, .. } | Stage::Sort { store, .. }) = stage else {
            return Ok(None);
        };
        if store.has_overflowed() {
            return Err(Error::NoRoom(buffer.len() as u64));
        }
        let mut store = *store;
        let _ = match stage {
            Stage::Tail { count, .. } => {
                store.drop_all_but(buffer, *count);
                self.pass_all(&mut store.lines(buffer), sheet)
            }
            Stage::Sort { by, reverse, .. } => {
                let by = by.as_by();
                let mut lines = store.lines(buffer).peekable();
                if lines.peek().is_some() && !lines.any(|line| key(line, by).is_some()) {
                    return Err(match by {
                        By::Column(column) => Error::NoColumn(column),
                        By::Field(name) => Error::NoField(excerpt(name)),
                    });
                }
                drop(lines);
                let reverse = *reverse;
                let mut order =
                    |left: &str, right: &str| order(key(left, by), key(right, by), reverse);
                self.pass_all(&mut store.sorted(buffer, &mut order), sheet)
            }
            _ => Ok(()),
        };
        Ok(None)
    }

    /// Passes lines on, as long as they are wanted.
    fn pass_all(
        &mut self,
        lines: &mut dyn Iterator<Item = &str>,
        sheet: &mut Sheet<'_>,
    ) -> fmt::Result {
        for line in lines {
            if self.has_enough() {
                break;
            }
            self.pass(self.stages.len(), line, sheet)?;
        }
        Ok(())
    }
}

/// The record that `count` writes.
pub(crate) const COUNT: &str = "count";

/// It was text when it came.
fn text(bytes: &[u8]) -> &str {
    core::str::from_utf8(bytes).unwrap_or("")
}
