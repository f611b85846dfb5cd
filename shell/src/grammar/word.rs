//! A command into words: blanks between them, except inside quotes and parentheses.

use core::fmt::{self, Write};

use crate::Error;

/// One word, with the quotes it was typed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Word<'a>(pub(crate) &'a str);

impl<'a> Word<'a> {
    /// The first word of a text and what follows it; `None` if there are only blanks.
    ///
    /// Blanks inside parentheses do not end a word, so `walk ($rsp + 8)` needs no quotes.
    pub(crate) fn first(text: &'a str) -> Option<(Word<'a>, &'a str)> {
        let text = text.trim_start();
        let mut quote = None;
        let mut depth = 0_usize;
        let mut end = text.len();
        for (at, c) in text.char_indices() {
            match (quote, c) {
                (Some(open), _) if c == open => quote = None,
                (Some(_), _) => {}
                (None, '"' | '\'') => quote = Some(c),
                (None, '(') => depth = depth.saturating_add(1),
                (None, ')') => depth = depth.saturating_sub(1),
                (None, _) if c.is_whitespace() && depth == 0 => {
                    end = at;
                    break;
                }
                (None, _) => {}
            }
        }
        let (word, rest) = text.split_at_checked(end)?;
        (!word.is_empty()).then_some((Word(word), rest))
    }

    /// The word without its quotes.
    ///
    /// # Errors
    ///
    /// Only a part of the word is quoted. `echo` can show such a word; nothing else needs one.
    pub(crate) fn text(self) -> Result<&'a str, Error> {
        let inner = ['"', '\''].into_iter().find_map(|quote| {
            let inner = self.0.strip_prefix(quote)?.strip_suffix(quote)?;
            (!inner.contains(quote)).then_some(inner)
        });
        match inner {
            Some(inner) => Ok(inner),
            None if self.0.contains(['"', '\'']) => Err(Error::PartlyQuoted),
            None => Ok(self.0),
        }
    }

    /// Whether all of it is one quotation.
    pub(crate) fn is_quoted(self) -> bool {
        self.0.starts_with(['"', '\'']) && self.text().is_ok()
    }
}

impl fmt::Display for Word<'_> {
    /// The word without its quotes, wherever they are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut quote = None;
        for c in self.0.chars() {
            match quote {
                Some(open) if c == open => quote = None,
                None if c == '"' || c == '\'' => quote = Some(c),
                _ => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<&str> {
        let mut rest = text;
        core::iter::from_fn(|| {
            let (word, after) = Word::first(rest)?;
            rest = after;
            Some(word.0)
        })
        .collect()
    }

    #[test]
    fn blanks_separate_outside_quotes_and_parentheses() {
        assert_eq!(words("  walk\t1  master "), ["walk", "1", "master"]);
        assert_eq!(words("echo 'a b' c\"d e\""), ["echo", "'a b'", "c\"d e\""]);
        assert_eq!(
            words("walk ($rsp + (2 * 8)) cr3"),
            ["walk", "($rsp + (2 * 8))", "cr3"]
        );
        assert_eq!(words(" \t "), [""; 0]);
        assert_eq!(words("echo ) x ( y"), ["echo", ")", "x", "( y"]);
    }

    #[test]
    fn quotes_come_off() {
        assert_eq!(Word("'a b'").text(), Ok("a b"));
        assert_eq!(Word("\"it's\"").text(), Ok("it's"));
        assert_eq!(Word("plain").text(), Ok("plain"));
        assert_eq!(Word("''").text(), Ok(""));
        assert_eq!(Word("a'b'").text(), Err(Error::PartlyQuoted));
        assert_eq!(Word("'a''b'").text(), Err(Error::PartlyQuoted));
        assert_eq!(Word("a'b c'\"d\"").to_string(), "ab cd");
        assert!(Word("'a'").is_quoted());
        assert!(!Word("a").is_quoted());
    }
}
