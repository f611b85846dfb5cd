//! The room that filters may use: the shell was given it, and nothing else is allocated.

/// How many of them may keep lines.
pub(super) const STORES: usize = 4;

/// The words that filters were given. All come from one line, which is no longer.
const WORDS: usize = 1024;

/// The longest line that goes through a filter.
const LINE: usize = 4096;

/// The room that filters may use.
#[derive(Default)]
pub(crate) struct Room<'a> {
    pub(super) words: &'a mut [u8],
    pub(super) line: &'a mut [u8],
    /// For one filter each; the first has half of all there is.
    pub(super) stores: [&'a mut [u8]; STORES],
}

impl<'a> Room<'a> {
    /// Shares out what there is. With too little of it there is none.
    pub(crate) fn new(all: &'a mut [u8]) -> Self {
        let Some((words, rest)) = all.split_at_mut_checked(WORDS) else {
            return Room::default();
        };
        let Some((line, mut rest)) = rest.split_at_mut_checked(LINE) else {
            return Room::default();
        };
        let mut stores = <[&mut [u8]; STORES]>::default();
        for store in &mut stores {
            let (half, other) = rest.split_at_mut(rest.len() / 2);
            (*store, rest) = (half, other);
        }
        Room {
            words,
            line,
            stores,
        }
    }
}
