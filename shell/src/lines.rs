//! Text that comes in pieces, as records of a line each: what a program writes, what `version`
//! says.

use core::fmt;

use heapless::String;

/// The line that has been begun. A longer one is given in several pieces.
#[derive(Default)]
pub(crate) struct Lines {
    text: String<512>,
}

impl Lines {
    /// Takes a piece of text, and gives each line as soon as it ends: with `true`, or with
    /// `false` where more of it comes.
    pub(crate) fn write(
        &mut self,
        text: &str,
        give: &mut dyn FnMut(&str, bool) -> fmt::Result,
    ) -> fmt::Result {
        for piece in text.split_inclusive('\n') {
            for c in piece.trim_end_matches('\n').chars() {
                if self.text.push(c).is_err() {
                    give(&self.text, false)?;
                    self.text.clear();
                    // There is room for one now.
                    let _ = self.text.push(c);
                }
            }
            if piece.ends_with('\n') {
                give(&self.text, true)?;
                self.text.clear();
            }
        }
        Ok(())
    }

    /// Gives a line that has not ended, when nothing more comes.
    pub(crate) fn finish(
        &mut self,
        give: &mut dyn FnMut(&str, bool) -> fmt::Result,
    ) -> fmt::Result {
        if self.text.is_empty() {
            return Ok(());
        }
        let result = give(&self.text, false);
        self.text.clear();
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_given_whole_and_long_ones_in_pieces() {
        let mut given = Vec::new();
        let mut give = |text: &str, ends: bool| {
            given.push((text.len(), ends));
            Ok(())
        };
        let mut lines = Lines::default();
        for piece in ["a", "b\n\nc", "d", "\n", &"x".repeat(600), "\ne"] {
            lines.write(piece, &mut give).expect("it takes all");
        }
        lines.finish(&mut give).expect("it takes all");
        lines.finish(&mut give).expect("it takes all");
        let expected = [
            (2, true),
            (0, true),
            (2, true),
            (512, false),
            (88, true),
            (1, false),
        ];
        assert_eq!(given, expected);
    }
}
