//! What `sort` goes by: a column of a line of text, or a field of a record.
//!
//! Numbers come before words and are compared by their value: decimal, hex with `0x`, sizes such as
//! `64K`, raw values of sixteen hex digits, of a range its beginning.

use core::cmp::Ordering;

use super::filter::By;

/// Of one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key<'a> {
    Number(i128),
    Text(&'a str),
}

/// The key of a line; `None` if it has no such column or field.
pub(super) fn key<'a>(line: &'a str, by: By<'_>) -> Option<Key<'a>> {
    let word = match by {
        By::Column(column) => {
            let index = usize::try_from(column.checked_sub(1)?).ok()?;
            line.split_whitespace().nth(index)?
        }
        By::Field(name) => match field(line, name)? {
            "null" => return None,
            value => value.trim_matches('"'),
        },
    };
    Some(value(word).map_or(Key::Text(word), Key::Number))
}

/// The order of two keys. Lines without one come last, whichever way it goes.
pub(super) fn order(left: Option<Key<'_>>, right: Option<Key<'_>>, reverse: bool) -> Ordering {
    match (left, right) {
        (Some(left), Some(right)) if reverse => right.cmp(&left),
        (Some(left), Some(right)) => left.cmp(&right),
        (left, right) => left.is_none().cmp(&right.is_none()),
    }
}

/// What a word is worth, if it is a number.
fn value(word: &str) -> Option<i128> {
    let word = word.split("..").next().unwrap_or(word);
    let word = word.trim_end_matches([',', ';', ':']);
    if word.len() == 16 && word.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return i128::from_str_radix(word, 16).ok();
    }
    let (sign, word) = match word.strip_prefix('-') {
        Some(word) => (-1, word),
        None => (1, word.strip_prefix('+').unwrap_or(word)),
    };
    if let Some(digits) = word.strip_prefix("0x") {
        return digits_of(digits, 16)?.checked_mul(sign);
    }
    let units = [("B", 0), ("K", 10), ("M", 20), ("G", 30), ("T", 40)];
    let unit = units
        .into_iter()
        .find_map(|(unit, shift)| Some((word.strip_suffix(unit)?, shift)));
    let (digits, shift) = unit.unwrap_or((word, 0));
    digits_of(digits, 10)?.checked_mul(sign << shift)
}

fn digits_of(text: &str, radix: u32) -> Option<i128> {
    let mut value = None;
    for c in text.chars().filter(|c| *c != '_') {
        let digit = i128::from(c.to_digit(radix)?);
        let before: i128 = value.unwrap_or(0);
        value = Some(before.checked_mul(radix.into())?.checked_add(digit)?);
    }
    value
}

/// The value of a field of a record, as it is written. Records are flat.
fn field<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = line.strip_prefix('{')?;
    loop {
        let (key, after) = token(rest)?;
        let (value, after) = token(after.strip_prefix(':')?)?;
        if key.strip_prefix('"')?.strip_suffix('"')? == name {
            return Some(value);
        }
        rest = after.strip_prefix(',')?;
    }
}

/// A string with its quotes, or a word up to the next `,` or `}`; and what follows.
fn token(text: &str) -> Option<(&str, &str)> {
    let end = match text.strip_prefix('"') {
        None => text.find([',', '}'])?,
        Some(inside) => {
            let mut is_escaped = false;
            let close = inside.find(|c| {
                let closes = c == '"' && !is_escaped;
                is_escaped = c == '\\' && !is_escaped;
                closes
            })?;
            // Both quotes.
            close.checked_add(2)?
        }
    };
    text.split_at_checked(end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Key::{Number, Text};

    #[test]
    fn numbers_count_by_their_value_in_every_form_that_is_printed() {
        for (word, number) in [
            ("12", 12),
            ("+12", 12),
            ("-12", -12),
            ("0x1_000", 0x1000),
            ("0xffff_ffff_ffff_ffff", 0xffff_ffff_ffff_ffff),
            ("0x0000_1000..0x0000_1fff", 0x1000),
            ("0000000000002007", 0x2007),
            ("64K", 64 << 10),
            ("3M", 3 << 20),
            ("0B", 0),
            ("7,", 7),
        ] {
            let line = format!("name {word} 5");
            assert_eq!(key(&line, By::Column(2)), Some(Number(number)), "{word}");
        }
        for word in [
            "0x",
            "K",
            "-",
            "12g",
            "urwx",
            "1.5",
            "",
            "9999999999999999999999999999999999999999",
        ] {
            assert_eq!(value(word), None, "{word}");
        }
        assert_eq!(key("a b", By::Column(2)), Some(Text("b")));
        assert_eq!(key("a b", By::Column(3)), None);
        assert_eq!(key("a b", By::Column(0)), None);
    }

    #[test]
    fn a_field_is_found_by_its_name_and_nowhere_else() {
        let line = r#"{"row":"a\"b,at","n":3,"at":"0x10","no":null,"yes":true,"q":"\\"}"#;
        for (name, found) in [
            ("n", Some(Number(3))),
            ("at", Some(Number(16))),
            ("no", None),
            ("yes", Some(Text("true"))),
            ("q", Some(Text(r"\\"))),
            ("b", None),
            ("missing", None),
        ] {
            assert_eq!(key(line, By::Field(name)), found, "{name}");
        }
        for line in [
            "",
            "{",
            "{\"",
            "{}",
            "{\"a\"",
            "{\"a\":",
            "{\"a\":\"",
            "{\"a\":1",
            "text",
        ] {
            assert_eq!(key(line, By::Field("b")), None, "{line}");
        }
    }

    #[test]
    fn lines_without_a_key_come_last_both_ways() {
        let (low, high) = (Some(Number(1)), Some(Text("a")));
        assert_eq!(order(low, high, false), Ordering::Less);
        assert_eq!(order(low, high, true), Ordering::Greater);
        for reverse in [false, true] {
            assert_eq!(order(low, None, reverse), Ordering::Less);
            assert_eq!(order(None, high, reverse), Ordering::Greater);
            assert_eq!(order(None, None, reverse), Ordering::Equal);
        }
    }
}
