//! What stands behind a `|`, as values.

/// A filter and what it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filter<'l> {
    /// Lines that contain a text, or that do not.
    Grep {
        text: &'l str,
        inverted: bool,
        any_case: bool,
    },
    /// The first lines, of which there may be so many; then the command ends.
    Head(u64),
    /// The last lines, of which there may be so many.
    Tail(u64),
    /// All but so many of the first lines.
    Skip(u64),
    /// All lines in order.
    Sort { by: By<'l>, reverse: bool },
    /// How many lines there are, as a record or as text.
    Count { json: bool },
}

/// What of a line decides its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By<'l> {
    /// The column with this number, from 1.
    Column(u64),
    /// The field of a record.
    Field(&'l str),
}

impl Filter<'_> {
    /// Whether it has to keep lines before it can pass any on.
    pub(super) fn keeps_lines(&self) -> bool {
        matches!(self, Filter::Tail(_) | Filter::Sort { .. })
    }
}

/// Whether a line contains a text, be letters capitals or not.
pub(super) fn contains_any_case(line: &str, text: &str) -> bool {
    let begins_so = |rest: &str| {
        let mut letters = rest.chars().flat_map(char::to_lowercase);
        text.chars()
            .flat_map(char::to_lowercase)
            .all(|c| letters.next() == Some(c))
    };
    let starts = line.char_indices().map(|(at, _)| at);
    // The empty text is in an empty line as well.
    starts
        .chain([line.len()])
        .any(|at| line.get(at..).is_some_and(begins_so))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_the_same_in_either_case() {
        for (line, text, is_in) in [
            ("Kernel Stack", "kernel", true),
            ("Kernel Stack", "L s", true),
            ("Kernel Stack", "stacks", false),
            ("STRASSE É", "é", true),
            ("", "", true),
            ("", "a", false),
            ("aab", "AB", true),
        ] {
            assert_eq!(contains_any_case(line, text), is_in, "{line} {text}");
        }
    }
}
