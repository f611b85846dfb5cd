//! Lines that a filter keeps, in a buffer that does not grow.
//!
//! Lines stand one after the other, each with its line feed. For sorting, the other end of the
//! buffer takes the places where they begin.

use core::cmp::Ordering;

/// How much of a buffer is in use. The buffer itself is given to each call.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Store {
    /// Bytes in use.
    used: usize,
    /// Lines in them.
    lines: u64,
    /// Whether a line did not fit.
    overflowed: bool,
}

/// What one line's place takes.
const PLACE: usize = size_of::<u32>();

impl Store {
    /// Whether something is missing.
    pub(super) fn has_overflowed(&self) -> bool {
        self.overflowed
    }

    /// Keeps a line, and so much more for each line.
    fn push(&mut self, buffer: &mut [u8], line: &str, more: usize) {
        let bytes = line.len().saturating_add(1);
        let lines = usize::try_from(self.lines).unwrap_or(usize::MAX);
        let places = lines.saturating_add(1).saturating_mul(more);
        let needed = self.used.saturating_add(bytes).saturating_add(places);
        let room = buffer.get_mut(self.used..).unwrap_or_default();
        let fits = needed <= self.used.saturating_add(room.len());
        match room.get_mut(..bytes).and_then(<[u8]>::split_last_mut) {
            Some((end, text)) if fits => {
                text.copy_from_slice(line.as_bytes());
                *end = b'\n';
                self.used = self.used.saturating_add(bytes);
                self.lines = self.lines.saturating_add(1);
            }
            _ => self.overflowed = true,
        }
    }

    /// Keeps a line that will be sorted.
    pub(super) fn push_to_sort(&mut self, buffer: &mut [u8], line: &str) {
        self.push(buffer, line, PLACE);
    }

    /// Keeps a line, of which only the last so many will be wanted.
    pub(super) fn push_last(&mut self, buffer: &mut [u8], line: &str, wanted: u64) {
        if wanted == 0 {
            return;
        }
        let needed = self.used.saturating_add(line.len()).saturating_add(1);
        if needed > buffer.len() {
            self.drop_all_but(buffer, wanted.saturating_sub(1));
        }
        self.push(buffer, line, 0);
    }

    /// Lets go of the oldest lines, if there are more than so many.
    pub(super) fn drop_all_but(&mut self, buffer: &mut [u8], wanted: u64) {
        let mut excess = self.lines.saturating_sub(wanted);
        let kept = buffer.get(..self.used).unwrap_or_default();
        let ends = kept.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
        let mut first = 0;
        for (at, _) in ends {
            if excess == 0 {
                break;
            }
            excess -= 1;
            self.lines = self.lines.saturating_sub(1);
            first = at.saturating_add(1);
        }
        if first > 0 && self.used <= buffer.len() {
            buffer.copy_within(first..self.used, 0);
            self.used = self.used.saturating_sub(first);
        }
    }

    /// The lines in the order in which they came.
    pub(super) fn lines<'b>(&self, buffer: &'b [u8]) -> impl Iterator<Item = &'b str> {
        let kept = buffer.get(..self.used).unwrap_or_default();
        let lines = kept.split_inclusive(|byte| *byte == b'\n');
        lines.map(text)
    }

    /// The lines in another order; those that are equal in the order in which they came.
    pub(super) fn sorted<'b>(
        &self,
        buffer: &'b mut [u8],
        order: &mut dyn FnMut(&str, &str) -> Ordering,
    ) -> impl Iterator<Item = &'b str> + use<'b> {
        let used = self.used.min(buffer.len());
        let (kept, rest) = buffer.split_at_mut(used);
        let kept = &*kept;
        let (places, _) = rest.as_chunks_mut::<PLACE>();
        let count = usize::try_from(self.lines).unwrap_or(usize::MAX);
        // There is room for them all: `push_to_sort` has seen to it.
        let places = places.get_mut(..count).unwrap_or_default();
        let mut start = 0_usize;
        let lines = kept.split_inclusive(|byte| *byte == b'\n');
        for (place, line) in places.iter_mut().zip(lines) {
            *place = u32::try_from(start).unwrap_or(u32::MAX).to_le_bytes();
            start = start.saturating_add(line.len());
        }
        places.sort_unstable_by(|left, right| {
            let by_key = order(line_at(kept, *left), line_at(kept, *right));
            let before = |place: &[u8; PLACE]| u32::from_le_bytes(*place);
            by_key.then_with(|| before(left).cmp(&before(right)))
        });
        places.iter().map(|place| line_at(kept, *place))
    }
}

fn line_at(kept: &[u8], place: [u8; PLACE]) -> &str {
    let start = usize::try_from(u32::from_le_bytes(place)).unwrap_or(usize::MAX);
    let rest = kept.get(start..).unwrap_or_default();
    text(
        rest.split_inclusive(|byte| *byte == b'\n')
            .next()
            .unwrap_or_default(),
    )
}

/// A line without its line feed. It was text when it came.
fn text(line: &[u8]) -> &str {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    core::str::from_utf8(line).unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_does_not_fit_is_noticed() {
        let (mut store, mut buffer) = (Store::default(), [0; 12]);
        store.push_to_sort(&mut buffer, "abc");
        assert!(!store.has_overflowed());
        // Four bytes of text and four of place are left; "def" needs five of text.
        store.push_to_sort(&mut buffer, "defg");
        assert!(store.has_overflowed());
        assert_eq!(store.lines(&buffer).collect::<Vec<_>>(), ["abc"]);
    }

    #[test]
    fn the_last_lines_push_out_the_oldest() {
        let (mut store, mut buffer) = (Store::default(), [0; 8]);
        for line in ["a", "b", "c", "d", "e", "f"] {
            store.push_last(&mut buffer, line, 2);
        }
        store.drop_all_but(&mut buffer, 2);
        assert!(!store.has_overflowed());
        assert_eq!(store.lines(&buffer).collect::<Vec<_>>(), ["e", "f"]);
        store.push_last(&mut buffer, "longer", 2);
        assert!(store.has_overflowed());
    }

    proptest! {
        #[test]
        fn sorting_is_that_of_a_vector(lines in proptest::collection::vec("[a-c]{0,3}", 0..60)) {
            let (mut store, mut buffer) = (Store::default(), [0; 1024]);
            for line in &lines {
                store.push_to_sort(&mut buffer, line);
            }
            prop_assert!(!store.has_overflowed());
            // By length only, so that it shows whether equal ones keep their order.
            let mut expected = lines.clone();
            expected.sort_by_key(String::len);
            let found = store.sorted(&mut buffer, &mut |a, b| a.len().cmp(&b.len()));
            prop_assert_eq!(found.collect::<Vec<_>>(), expected);
        }

        #[test]
        fn the_last_are_those_of_a_vector(
            lines in proptest::collection::vec("[a-cé]{0,3}", 0..60),
            wanted in 0_u64..5,
            size in 40_usize..100,
        ) {
            let (mut store, mut buffer) = (Store::default(), vec![0; size]);
            for line in &lines {
                store.push_last(&mut buffer, line, wanted);
            }
            store.drop_all_but(&mut buffer, wanted);
            let first = lines.len().saturating_sub(wanted as usize);
            prop_assert!(!store.has_overflowed());
            prop_assert_eq!(store.lines(&buffer).collect::<Vec<_>>(), &lines[first..]);
        }
    }
}
