//! Rows: what holds from which address on.

use super::Index;
use super::bytes::{Cursor, moved, u24_at, u32_at};
use super::format::{
    CONTEXTS_IN_A_GROUP, LONG_DISTANCE, NEW_CONTEXT, OTHER_CONTEXT, OTHER_PLACE, PARENT_CONTEXT,
    Part, ROWS_IN_A_BLOCK,
};

/// What holds from an address on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Row {
    /// From the index's base.
    pub(super) offset: u32,
    /// The innermost inlined call; 0 is none.
    pub(super) context: u32,
    /// Which place of the function that the context is in.
    pub(super) place: u32,
}

/// An inlined call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context {
    /// 0 is none.
    pub(super) parent: u32,
    /// Which call of the function that the parent is in.
    pub(super) call: u32,
}

/// The rows of a block, one after the other.
#[derive(Clone, Copy)]
pub(super) struct Rows<'i, 'a> {
    index: &'i Index<'a>,
    cursor: Cursor<'a>,
    row: Row,
    newest: u32,
    left: usize,
}

impl<'i, 'a> Rows<'i, 'a> {
    pub(super) fn of_block(index: &'i Index<'a>, block: usize) -> Option<Self> {
        let element = index.element(Part::Blocks, block)?;
        Some(Rows {
            index,
            cursor: Cursor::new(index.part(Part::Rows), u24_at(element, 4)?)?,
            row: Row {
                offset: u32_at(element, 0)?,
                context: u24_at(element, 7)?,
                place: 0,
            },
            newest: u24_at(element, 10)?,
            left: ROWS_IN_A_BLOCK,
        })
    }

    pub(super) fn next(&mut self) -> Option<Row> {
        self.left = self.left.checked_sub(1)?;
        let first = self.cursor.byte()?;
        let mut distance = u32::from(first & 15);
        if distance == u32::from(LONG_DISTANCE) {
            distance = distance.checked_add(self.cursor.varint()?)?;
        }
        self.row.offset = self.row.offset.checked_add(distance)?;
        match first >> 4 & 3 {
            NEW_CONTEXT => self.row.context = self.newest.checked_add(1)?,
            PARENT_CONTEXT => self.row.context = self.index.context(self.row.context)?.parent,
            OTHER_CONTEXT => {
                self.row.context = match self.cursor.varint()?.checked_sub(1) {
                    None => 0,
                    Some(zigzag) => moved(self.row.context, zigzag)?,
                };
            }
            _ => {}
        }
        self.newest = self.newest.max(self.row.context);
        self.row.place = (first >> 6).into();
        if self.row.place == u32::from(OTHER_PLACE) {
            self.row.place = self.row.place.checked_add(self.cursor.varint()?)?;
        }
        Some(self.row)
    }
}

impl Index<'_> {
    /// The row that holds at an offset.
    pub(super) fn row_at(&self, offset: u32) -> Option<Row> {
        let mut rows = Rows::of_block(self, self.last_not_above(Part::Blocks, offset)?)?;
        let mut best = None;
        while let Some(row) = rows.next() {
            if row.offset > offset {
                break;
            }
            best = Some(row);
        }
        best
    }

    /// A context, counted from 1.
    pub(super) fn context(&self, number: u32) -> Option<Context> {
        let position = usize::try_from(number.checked_sub(1)?).ok()?;
        let group = self.element(Part::ContextGroups, position / CONTEXTS_IN_A_GROUP)?;
        let mut records = Cursor::new(self.part(Part::Contexts), u24_at(group, 0)?)?;
        let (mut call, mut back) = records.nibbles()?;
        for _ in 0..position % CONTEXTS_IN_A_GROUP {
            (call, back) = records.nibbles()?;
        }
        let context = Context {
            parent: match back {
                0 => 0,
                back => number.checked_sub(back)?,
            },
            call,
        };
        // Nothing is inside of what comes after it: so every walk outwards ends.
        (context.parent < number).then_some(context)
    }
}
