//! A line into commands: `;` between them, `#` before a comment, quotes around either, and braces
//! around those that `on` is to remember.

use crate::Error;

/// What to be careful of while looking through a line.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Inside {
    /// A word that has not been quoted.
    Plain,
    /// The blanks between two words.
    Blank,
    /// Quotes opened with this character.
    Quotes(char),
}

/// Refuses a line with an unfinished quote, before any of it is run.
pub(crate) fn check(line: &str) -> Result<(), Error> {
    let mut rest = line;
    loop {
        let (_, next, open) = cut(rest);
        if let Some(quote) = open {
            return Err(Error::OpenQuote(quote));
        }
        match next {
            Some(next) => rest = next,
            None => return Ok(()),
        }
    }
}

/// The first command of a line, trimmed, and what follows its `;` if there is one.
pub(crate) fn first_command(line: &str) -> (&str, Option<&str>) {
    let (command, rest, _) = cut(line);
    (command, rest)
}

/// As [`first_command`], and the quote that is still open at the line's end.
fn cut(line: &str) -> (&str, Option<&str>, Option<char>) {
    let mut inside = Inside::Blank;
    let has_braces = is_on(line);
    let mut depth = 0_usize;
    for (at, c) in line.char_indices() {
        let before = line.get(..at).unwrap_or("").trim();
        match (inside, c) {
            (Inside::Quotes(quote), _) if c == quote => inside = Inside::Plain,
            (Inside::Quotes(_), _) => {}
            (_, '"' | '\'') => inside = Inside::Quotes(c),
            (_, '{') if has_braces => depth = depth.saturating_add(1),
            (_, '}') if has_braces => depth = depth.saturating_sub(1),
            (_, _) if depth > 0 => {}
            (_, ';') => return (before, line.get(at + 1..), None),
            (Inside::Blank, '#') => return (before, None, None),
            (_, _) if c.is_whitespace() => inside = Inside::Blank,
            (_, _) => inside = Inside::Plain,
        }
    }
    let open = match inside {
        Inside::Quotes(quote) => Some(quote),
        _ if depth > 0 => Some('{'),
        _ => None,
    };
    (line.trim(), None, open)
}

/// Whether a text begins with the command that takes others in braces.
pub(crate) fn is_on(text: &str) -> bool {
    text.split_whitespace().next() == Some("on")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commands(line: &str) -> Vec<&str> {
        let mut commands = Vec::new();
        let mut rest = Some(line);
        while let Some(line) = rest {
            let (command, next) = first_command(line);
            commands.push(command);
            rest = next;
        }
        commands
    }

    #[test]
    fn semicolons_separate_outside_quotes() {
        assert_eq!(commands("a 1; b ;c"), ["a 1", "b", "c"]);
        assert_eq!(commands("echo 'a;b' \";\"; c"), ["echo 'a;b' \";\"", "c"]);
        assert_eq!(commands(""), [""]);
        assert_eq!(commands(";"), ["", ""]);
    }

    #[test]
    fn braces_hold_commands_together_behind_on_alone() {
        assert_eq!(
            commands("on fault { a; b 'x}' # c }; d"),
            ["on fault { a; b 'x}' # c }", "d"]
        );
        assert_eq!(commands("echo {; b }"), ["echo {", "b }"]);
        assert_eq!(check("a; on fault { b"), Err(Error::OpenQuote('{')));
        assert!(check("on fault { b }").is_ok());
    }

    #[test]
    fn a_comment_begins_where_a_word_could() {
        assert_eq!(commands("# all of it; this too"), [""]);
        assert_eq!(commands("walk 1 # the first; page"), ["walk 1"]);
        assert_eq!(commands("echo a#b '#' ; c"), ["echo a#b '#'", "c"]);
    }

    #[test]
    fn an_unfinished_quote_is_an_error_wherever_it_is() {
        assert!(check("echo 'a' \"b'c\"").is_ok());
        assert_eq!(check("echo 'a"), Err(Error::OpenQuote('\'')));
        assert_eq!(check("a; b; echo \"x;y"), Err(Error::OpenQuote('"')));
        assert!(check("echo # it's fine").is_ok());
    }
}
