//! How long a part may look, and how often it looks up for Ctrl-C.

use crate::Error;
use crate::command::Context;

/// The most entries of one space that are looked at: as many as 16 GiB in small pages have.
/// Corrupt tables can lead to each other in more ways than anybody could wait for.
const MOST: u64 = 1 << 22;

/// How many entries are looked at without looking up. Looking up lets processes run, and a
/// space that changes halfway is neither of two.
const STRIDE: u64 = 1 << 16;

#[derive(Default)]
pub(super) struct Pace {
    next: u64,
}

impl Pace {
    /// Whether there is time for more, after so many entries. Fails if Ctrl-C has been pressed.
    pub(super) fn goes_on(
        &mut self,
        context: &mut Context<'_>,
        visited: u64,
    ) -> Result<bool, Error> {
        if self.next == 0 {
            self.next = STRIDE;
        }
        if visited >= self.next {
            self.next = visited.saturating_add(STRIDE);
            context.check_interrupt()?;
        }
        Ok(visited <= MOST)
    }
}
