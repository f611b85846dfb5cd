//! Functions: what each is called, and which file and which lines are its own.

use super::Index;
use super::bytes::{Head, moved, varint_at};
use super::format::FUNCTIONS_IN_A_GROUP;
use super::frames::Place;
use super::table::Table;
use super::text::Text;

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
