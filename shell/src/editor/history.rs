//! Lines typed before.

use heapless::String;

/// How many lines are remembered.
pub(crate) const HISTORY_LINES: usize = 64;

const HISTORY_BYTES: usize = 8192;

/// The last lines typed, oldest first, in one buffer: each ends with a line feed.
///
/// Long lines push out more of the old ones than short lines do.
pub(crate) struct History {
    lines: String<HISTORY_BYTES>,
    count: usize,
    /// How many have been dropped from the front, so that numbers stay.
    dropped: usize,
}

impl History {
    /// Nothing yet.
    pub(crate) const fn new() -> Self {
        History {
            lines: String::new(),
            count: 0,
            dropped: 0,
        }
    }

    /// Remembers a line, unless it is blank or the same as the last one.
    pub(crate) fn push(&mut self, line: &str) {
        let line = line.trim();
        if line.is_empty() || line.contains('\n') || self.back(1) == Some(line) {
            return;
        }
        let full = |history: &History| {
            history.count == HISTORY_LINES || history.lines.len() + line.len() + 1 > HISTORY_BYTES
        };
        while full(self) {
            let Some(end) = self.lines.find('\n') else {
                return;
            };
            self.lines.drain(..=end);
            self.count -= 1;
            self.dropped = self.dropped.wrapping_add(1);
        }
        let _ = self.lines.push_str(line);
        let _ = self.lines.push('\n');
        self.count += 1;
    }

    /// The line typed `age` lines ago; 1 is the last one.
    pub(crate) fn back(&self, age: usize) -> Option<&str> {
        self.lines.lines().rev().nth(age.checked_sub(1)?)
    }

    /// Numbers and lines, oldest first; the first line of the session is number 1.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, &str)> {
        let first = self.dropped.wrapping_add(1);
        self.lines
            .lines()
            .enumerate()
            .map(move |(index, line)| (first.wrapping_add(index), line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixty_four_lines_stay_and_their_numbers_with_them() {
        let mut history = History::new();
        for number in 1..=100 {
            history.push(&format!("echo {number}"));
        }
        assert_eq!(history.iter().count(), 64);
        assert_eq!(history.back(1), Some("echo 100"));
        assert_eq!(history.back(64), Some("echo 37"));
        assert_eq!(history.back(65), None);
        assert_eq!(history.back(0), None);
        assert_eq!(history.iter().next(), Some((37, "echo 37")));
    }

    #[test]
    fn the_same_line_twice_in_a_row_is_kept_once() {
        let mut history = History::new();
        for line in ["a", "a ", "", "  ", "b", "a"] {
            history.push(line);
        }
        assert_eq!(
            history.iter().map(|(_, line)| line).collect::<String<9>>(),
            "aba"
        );
    }

    #[test]
    fn long_lines_push_out_as_many_as_they_need() {
        let mut history = History::new();
        for letter in 'a'..='z' {
            history.push(&letter.to_string().repeat(1024));
        }
        assert_eq!(history.iter().count(), 7);
        assert!(history.back(7).is_some_and(|line| line.starts_with('t')));
    }
}
