//! Where a command ends and the filters behind it begin: `map cr3 | grep stack | head 3`.
//!
//! `|` is an operator of expressions as well. No value begins with a letter, except for `sym:`;
//! so a `|` with a letter behind it begins a filter. Within quotes and parentheses none does.

use super::line::is_on;

/// A text up to its first filter, and what follows the `|` if there is one.
pub(crate) fn split(text: &str) -> (&str, Option<&str>) {
    // What `on` remembers has pipes of its own.
    if is_on(text) {
        return (text, None);
    }
    let (mut quote, mut depth) = (None, 0_usize);
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '(') => depth = depth.saturating_add(1),
            (None, ')') => depth = depth.saturating_sub(1),
            // Both of them are one operator.
            (None, '|') if chars.next_if(|(_, next)| *next == '|').is_some() => {}
            (None, '|') if depth == 0 => {
                let (before, after) = text.split_at(at);
                let after = after.get(1..).unwrap_or("").trim_start();
                if begins_filter(after) {
                    return (before.trim(), Some(after));
                }
            }
            (None, _) => {}
        }
    }
    (text, None)
}

/// Whether it cannot be the rest of an expression. A `|` with nothing behind it is neither.
fn begins_filter(after: &str) -> bool {
    let is_letter = |c: char| c.is_alphabetic();
    after.is_empty() || (after.starts_with(is_letter) && !after.starts_with("sym:"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_behind_the_bar_makes_it_a_pipe() {
        for (text, before, after) in [
            ("map | head 3", "map", Some("head 3")),
            ("map|head 3|count", "map", Some("head 3|count")),
            ("map  |  gerp x", "map", Some("gerp x")),
            ("walk 1 | 2 | count", "walk 1 | 2", Some("count")),
            ("map |", "map", Some("")),
            ("| head", "", Some("head")),
            ("map | é", "map", Some("é")),
            ("eval 1 | 2", "eval 1 | 2", None),
            ("eval $a |$b", "eval $a |$b", None),
            ("eval 1 | sym:main", "eval 1 | sym:main", None),
            ("assert 1 || count", "assert 1 || count", None),
            ("assert 1 || 0 | count", "assert 1 || 0", Some("count")),
            ("eval (1 | head)", "eval (1 | head)", None),
            ("echo 'a | head' \"| b\"", "echo 'a | head' \"| b\"", None),
            ("echo 'a' | head", "echo 'a'", Some("head")),
            ("", "", None),
        ] {
            assert_eq!(split(text), (before, after), "{text}");
        }
    }
}
