//! The functions at an address, one inlined into the next.

use core::fmt;

use super::format::DEEPEST;
use super::found::Frame;
use super::functions::Paths;
use super::text::Text;

/// Where in the sources.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) file: u16,
    pub(super) line: u32,
    pub(super) column: u32,
}

/// A function on the way to an address, and where in it. Of its name only where it is: this is copied with every answer.
#[derive(Clone, Copy)]
pub(super) struct Level {
    pub(super) name_at: u32,
    /// Before it is known: which call of the next level this one is.
    pub(super) line: u32,
    pub(super) column: u32,
    pub(super) name_bytes: u16,
    pub(super) file: u16,
    pub(super) function: u16,
}

impl Level {
    const NONE: Level = Level {
        name_at: 0,
        line: 0,
        column: 0,
        name_bytes: 0,
        file: 0,
        function: 0,
    };

    fn place(&self) -> Place {
        Place {
            file: self.file,
            line: self.line,
            column: self.column,
        }
    }
}

/// The frames of an address, innermost first.
#[derive(Clone, Copy)]
pub struct Frames<'a> {
    pub(super) paths: Paths<'a>,
    /// How far into the outermost function the address is.
    pub(super) offset: Option<u64>,
    /// Innermost first.
    pub(super) levels: [Level; DEEPEST + 1],
    /// How many levels have been handed out.
    next: usize,
    /// How many there are.
    pub(super) all: usize,
}

impl fmt::Debug for Frames<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(*self).finish()
    }
}

impl<'a> Frames<'a> {
    pub(super) const fn none() -> Self {
        Frames {
            paths: Paths::none(),
            offset: None,
            levels: [Level::NONE; DEEPEST + 1],
            next: 0,
            all: 0,
        }
    }

    /// Whether nobody is known to be there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.next >= self.all
    }

    /// Every function, the innermost first, and where in it.
    pub(super) fn all(&self) -> impl Iterator<Item = (u16, Place)> {
        let known = self.levels.iter().take(self.all);
        known.map(|level| (level.function, level.place()))
    }

    /// Those that were inlined.
    pub(super) fn inlined(&self) -> impl Iterator<Item = u16> {
        let inlined = self.levels.iter().take(self.all.saturating_sub(1));
        inlined.map(|level| level.function)
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Frame<'a>;

    fn next(&mut self) -> Option<Frame<'a>> {
        if self.is_empty() {
            return None;
        }
        let level = self.levels.get(self.next)?;
        self.next = self.next.checked_add(1)?;
        let is_inlined = self.next < self.all;
        Some(Frame {
            function: Text::new(self.paths.index, level.name_at, level.name_bytes),
            file: self.paths.path(level.file).unwrap_or(Text::none()),
            line: level.line,
            column: level.column,
            is_inlined,
            offset: match is_inlined {
                true => None,
                false => self.offset,
            },
        })
    }
}
