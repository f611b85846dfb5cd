//! Rows: what holds from which address on.

use super::Index;
use super::bytes::{Cursor, moved, u24_at, u32_at};
use super::format::{
    BLOCK_BYTES, CONTEXTS_IN_A_GROUP, LONG_DISTANCE, NEW_CONTEXT, OTHER_CONTEXT, OTHER_PLACE,
    PARENT_CONTEXT, Part, ROWS_IN_A_BLOCK,
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

/// A row as it stands: which context it is in is known but for some steps outwards.
#[derive(Clone, Copy)]
pub(super) struct Passed {
    pub(super) offset: u32,
    /// The last context that a row named.
    context: u32,
    /// How often rows went from there to the parent.
    outwards: u32,
    place: u32,
}

/// The rows of a block, one after the other.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    cursor: Cursor<'a>,
    row: Passed,
    newest: u32,
    left: usize,
}

impl<'a> Rows<'a> {
    pub(super) fn of_block(index: &Index<'a>, block: usize) -> Option<Self> {
        let element = index.element(Part::Blocks, block)?;
        Some(Rows {
            cursor: Cursor::new(index.part(Part::Rows), u24_at(element, 4)?)?,
            row: Passed {
                offset: u32_at(element, 0)?,
                context: u24_at(element, 7)?,
                outwards: 0,
                place: 0,
            },
            newest: u24_at(element, 10)?,
            left: ROWS_IN_A_BLOCK,
        })
    }

    #[inline]
    pub(super) fn next(&mut self) -> Option<Passed> {
        self.left = self.left.checked_sub(1)?;
        let first = self.cursor.byte()?;
        let mut distance = u32::from(first & 15);
        if distance == u32::from(LONG_DISTANCE) {
            distance = distance.checked_add(self.cursor.varint()?)?;
        }
        self.row.offset = self.row.offset.checked_add(distance)?;
        match first >> 4 & 3 {
            NEW_CONTEXT => self.name(self.newest.checked_add(1)?),
            // Who that is matters to the last row only.
            PARENT_CONTEXT => self.row.outwards = self.row.outwards.wrapping_add(1),
            OTHER_CONTEXT => {
                let context = match self.cursor.varint()?.checked_sub(1) {
                    None => 0,
                    Some(zigzag) => moved(self.row.context, zigzag),
                };
                self.name(context);
            }
            _ => {}
        }
        self.row.place = (first >> 6).into();
        if self.row.place == u32::from(OTHER_PLACE) {
            self.row.place = self.row.place.checked_add(self.cursor.varint()?)?;
        }
        Some(self.row)
    }

    #[inline]
    fn name(&mut self, context: u32) {
        self.row.context = context;
        self.row.outwards = 0;
        self.newest = self.newest.max(context);
    }
}

impl Index<'_> {
    /// The row that holds at an offset.
    pub(super) fn row_at(&self, offset: u32) -> Option<Row> {
        let block = self.last_not_above::<BLOCK_BYTES>(Part::Blocks, offset)?;
        let mut rows = Rows::of_block(self, block)?;
        let mut best = None;
        while let Some(row) = rows.next() {
            if row.offset > offset {
                break;
            }
            best = Some(row);
        }
        self.row(best?)
    }

    /// A row in full.
    pub(super) fn row(&self, passed: Passed) -> Option<Row> {
        let mut context = passed.context;
        // At most as often as a block has rows.
        for _ in 0..passed.outwards {
            context = self.context(context)?.parent;
        }
        Some(Row {
            offset: passed.offset,
            context,
            place: passed.place,
        })
    }

    /// A context, counted from 1.
    pub(super) fn context(&self, number: u32) -> Option<Context> {
        let position = usize::try_from(number.checked_sub(1)?).ok()?;
        let group = self.element(Part::ContextGroups, position / CONTEXTS_IN_A_GROUP)?;
        let mut records = Cursor::new(self.part(Part::Contexts), u24_at(group, 0)?)?;
        records.pass_nibbles(position % CONTEXTS_IN_A_GROUP)?;
        let (call, back) = records.nibbles()?;
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
