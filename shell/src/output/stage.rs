//! A filter at work.

use core::ops::Range;

use super::filter::By;
use super::store::Store;
use crate::error::Excerpt;

/// A filter at work. Words are places in the room.
pub(super) enum Stage {
    Grep {
        text: Range<usize>,
        inverted: bool,
        any_case: bool,
    },
    Head {
        left: u64,
    },
    Tail {
        count: u64,
        store: Store,
        slot: usize,
    },
    Skip {
        left: u64,
    },
    Sort {
        by: Place,
        reverse: bool,
        store: Store,
        slot: usize,
    },
    Count {
        lines: u64,
        json: bool,
    },
}

/// What lines are sorted by.
pub(super) enum Place {
    Column(u64),
    Field(Excerpt),
}

impl Place {
    pub(super) fn as_by(&self) -> By<'_> {
        match self {
            Place::Column(column) => By::Column(*column),
            Place::Field(name) => By::Field(name),
        }
    }
}

impl Stage {
    pub(super) fn slot(&self) -> Option<usize> {
        match self {
            Stage::Tail { slot, .. } | Stage::Sort { slot, .. } => Some(*slot),
            _ => None,
        }
    }

    /// Where its words end.
    pub(super) fn words_end(&self) -> usize {
        match self {
            Stage::Grep { text, .. } => text.end,
            _ => 0,
        }
    }

    pub(super) fn has_enough(&self) -> bool {
        match self {
            Stage::Head { left } => *left == 0,
            Stage::Tail { store, .. } | Stage::Sort { store, .. } => store.has_overflowed(),
            _ => false,
        }
    }
}
