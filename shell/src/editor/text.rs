//! The line being typed and where the cursor is in it. Nothing here draws.

use heapless::String;

/// The longest line, in bytes. Longer ones are refused as a whole.
pub(crate) const LINE_BYTES: usize = 1024;

/// A line and a cursor. The cursor is a byte index, always between two characters.
pub(crate) struct Text {
    line: String<LINE_BYTES>,
    cursor: usize,
}

impl Text {
    /// An empty line.
    pub(crate) const fn new() -> Self {
        Text {
            line: String::new(),
            cursor: 0,
        }
    }

    /// The whole line.
    pub(crate) fn as_str(&self) -> &str {
        &self.line
    }

    /// What is left of the cursor.
    pub(crate) fn before(&self) -> &str {
        self.line.get(..self.cursor).unwrap_or("")
    }

    /// What is right of the cursor.
    pub(crate) fn after(&self) -> &str {
        self.line.get(self.cursor..).unwrap_or("")
    }

    /// Replaces everything and puts the cursor at the end; too long a line leaves none.
    pub(crate) fn set(&mut self, line: &str) {
        self.line.clear();
        let _ = self.line.push_str(line);
        self.cursor = self.line.len();
    }

    /// Inserts at the cursor; whether it fitted.
    pub(crate) fn insert(&mut self, c: char) -> bool {
        let fitted = self.line.insert(self.cursor, c).is_ok();
        if fitted {
            self.cursor += c.len_utf8();
        }
        fitted
    }

    /// Deletes left of the cursor up to where `back` says a motion would go.
    pub(crate) fn delete_back(&mut self, back: fn(&Text) -> usize) {
        let to = back(self).min(self.cursor);
        self.line.drain(to..self.cursor);
        self.cursor = to;
    }

    /// Deletes right of the cursor up to where `ahead` says a motion would go.
    pub(crate) fn delete_ahead(&mut self, ahead: fn(&Text) -> usize) {
        let to = ahead(self).max(self.cursor);
        self.line.drain(self.cursor..to);
    }

    /// Moves the cursor to where `motion` says.
    pub(crate) fn go(&mut self, motion: fn(&Text) -> usize) {
        self.cursor = motion(self);
    }

    /// Motion: the start.
    pub(crate) fn start(&self) -> usize {
        0
    }

    /// Motion: the end.
    pub(crate) fn end(&self) -> usize {
        self.line.len()
    }

    /// Motion: a character left.
    pub(crate) fn left(&self) -> usize {
        let last = self.before().chars().next_back();
        self.cursor - last.map_or(0, char::len_utf8)
    }

    /// Motion: a character right.
    pub(crate) fn right(&self) -> usize {
        let next = self.after().chars().next();
        self.cursor + next.map_or(0, char::len_utf8)
    }

    /// Motion: to the start of the word left of the cursor. Words are of letters,
    /// digits and `_`, so that the parts of an expression can be stepped through.
    pub(crate) fn word_left(&self) -> usize {
        let gap = self.before().trim_end_matches(|c| !is_word(c));
        gap.trim_end_matches(is_word).len()
    }

    /// Motion: to the end of the word right of the cursor.
    pub(crate) fn word_right(&self) -> usize {
        let gap = self.after().trim_start_matches(|c| !is_word(c));
        self.line.len() - gap.trim_start_matches(is_word).len()
    }

    /// Motion: to the start of the blank-separated word left of the cursor.
    pub(crate) fn blank_left(&self) -> usize {
        let gap = self.before().trim_end();
        gap.trim_end_matches(|c: char| !c.is_whitespace()).len()
    }

    /// Swaps the two characters around the cursor (at the end, the last two), and moves
    /// right; with fewer than two, nothing.
    pub(crate) fn transpose(&mut self) {
        let mut edge = self.cursor;
        if edge == self.line.len() {
            edge = self.left();
        }
        let (Some(before), Some(after)) = (self.line.get(..edge), self.line.get(edge..)) else {
            return;
        };
        let (Some(a), Some(b)) = (before.chars().next_back(), after.chars().next()) else {
            return;
        };
        let at = edge - a.len_utf8();
        self.line.drain(at..edge + b.len_utf8());
        // They fit: they have just been taken out.
        let _ = self.line.insert(at, a);
        let _ = self.line.insert(at, b);
        self.cursor = edge + b.len_utf8();
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(before: &str, after: &str) -> Text {
        let mut text = Text::new();
        text.set(&[before, after].concat());
        text.cursor = before.len();
        text
    }

    fn halves(text: &Text) -> (&str, &str) {
        (text.before(), text.after())
    }

    #[test]
    fn words_end_at_punctuation_and_blank_words_do_not() {
        let line = text("walk ($cr3+0x1_0", "");
        assert_eq!(line.word_left(), "walk ($cr3+".len());
        assert_eq!(line.blank_left(), "walk ".len());
        let line = text("", "  walk 1");
        assert_eq!(line.word_right(), "  walk".len());
    }

    #[test]
    fn transposing_swaps_around_the_cursor_and_at_the_end_the_last_two() {
        let mut line = text("a", "bc");
        line.transpose();
        assert_eq!(halves(&line), ("ba", "c"));
        line.transpose();
        assert_eq!(halves(&line), ("bca", ""));
        line.transpose();
        assert_eq!(halves(&line), ("bac", ""));
        let mut line = text("", "ab");
        line.transpose();
        assert_eq!(halves(&line), ("", "ab"));
        let mut line = text("aé", "b");
        line.transpose();
        assert_eq!(halves(&line), ("abé", ""));
    }

    #[test]
    fn a_full_line_takes_no_more_and_stays_as_it_was() {
        let mut line = Text::new();
        for _ in 0..LINE_BYTES - 1 {
            assert!(line.insert('x'));
        }
        assert!(!line.insert('é'));
        assert!(line.insert('y'));
        assert!(!line.insert('z'));
        assert_eq!(line.as_str().len(), LINE_BYTES);
        assert!(line.as_str().ends_with("xy"));
    }

    #[test]
    fn deleting_goes_as_far_as_the_motion() {
        let mut line = text("one two", " three");
        line.delete_back(Text::word_left);
        assert_eq!(halves(&line), ("one ", " three"));
        line.delete_ahead(Text::word_right);
        assert_eq!(halves(&line), ("one ", ""));
        line.delete_ahead(Text::right);
        line.delete_back(Text::start);
        assert_eq!(halves(&line), ("", ""));
        line.delete_back(Text::left);
        assert_eq!(halves(&line), ("", ""));
    }
}
