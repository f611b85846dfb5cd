//! Rows: what holds from which address on.

use super::Index;
use super::bytes::{Cursor, moved, nibbles_behind};
use super::format::{
    CONTEXT_SHIFT, CONTEXTS_IN_A_GROUP, LONG_DISTANCE, LONG_PLACE, LONGEST_CONTEXT, NEAR_CONTEXT,
    NEW_CONTEXT, OTHER_CONTEXT, PARENT_CONTEXT, PLACE_SHIFT, ROW_CODE_BYTES, ROWS_IN_A_BLOCK,
    SAME_CONTEXT,
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
    codes: &'a [[u8; ROW_CODE_BYTES]],
    cursor: Cursor<'a>,
    row: Passed,
    newest: u32,
    left: usize,
}

impl<'a> Rows<'a> {
    pub(super) fn of_block(index: &Index<'a>, block: usize) -> Option<Self> {
        let (codes, _) = index.row_codes.as_chunks();
        let element = index.blocks.element(block)?;
        let field = |field| index.blocks.field(element, field);
        Some(Rows {
            codes,
            cursor: Cursor::new(index.rows, field(1)?)?,
            row: Passed {
                offset: field(0)?,
                context: field(2)?,
                outwards: 0,
                place: 0,
            },
            newest: field(3)?,
            left: ROWS_IN_A_BLOCK,
        })
    }

    #[inline]
    pub(super) fn next(&mut self) -> Option<Passed> {
        self.left = self.left.checked_sub(1)?;
        let code = self.codes.get(usize::from(self.cursor.byte()?))?;
        let code = u16::from_le_bytes(*code);
        let distance = match code & LONG_DISTANCE {
            LONG_DISTANCE => self.cursor.varint()?,
            short => short.into(),
        };
        self.row.offset = self.row.offset.checked_add(distance)?;
        match code >> CONTEXT_SHIFT & LONGEST_CONTEXT {
            SAME_CONTEXT => {}
            NEW_CONTEXT => self.name(self.newest.checked_add(1)?),
            // Who that is matters to the last row only.
            PARENT_CONTEXT => self.row.outwards = self.row.outwards.wrapping_add(1),
            OTHER_CONTEXT => {
                let other = self.cursor.varint()?;
                self.name_other(other);
            }
            near => self.name_other(near.wrapping_sub(NEAR_CONTEXT).into()),
        }
        self.row.place = match code >> PLACE_SHIFT {
            LONG_PLACE => self.cursor.varint()?,
            short => short.into(),
        };
        Some(self.row)
    }

    #[inline]
    fn name_other(&mut self, other: u32) {
        self.name(match other.checked_sub(1) {
            None => 0,
            Some(zigzag) => moved(self.row.context, zigzag),
        });
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
        let block = self.blocks.last_not_above(offset)?;
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
    #[inline(always)]
    pub(super) fn context(&self, number: u32) -> Option<Context> {
        let position = usize::try_from(number.checked_sub(1)?).ok()?;
        let first = self.context_groups.get(position / CONTEXTS_IN_A_GROUP, 0)?;
        let records = self.contexts.get(usize::try_from(first).ok()?..)?;
        let (call, back) = nibbles_behind(records, position % CONTEXTS_IN_A_GROUP)?;
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
