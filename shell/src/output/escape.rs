//! Control characters, made visible: what was read from memory, typed or written by a process
//! may hold some, and a terminal would obey them.

use core::fmt::{self, Write};

use heapless::String;

/// A text with the bytes of its control characters written `\xNN`.
pub(super) struct Escaped<'a>(pub(super) &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for_each_escaped(self.0, &mut |piece| f.write_str(piece))
    }
}

pub(super) fn for_each_escaped(
    text: &str,
    each: &mut dyn FnMut(&str) -> fmt::Result,
) -> fmt::Result {
    // Not only those below the blank: some terminals obey U+009B as they do ESC [.
    for piece in text.split_inclusive(char::is_control) {
        let last = piece.chars().next_back().filter(|c| c.is_control());
        let plain = piece.len() - last.map_or(0, char::len_utf8);
        if let Some(plain) = piece.get(..plain).filter(|plain| !plain.is_empty()) {
            each(plain)?;
        }
        for byte in piece.bytes().skip(plain) {
            let mut escape = String::<4>::new();
            write!(escape, "\\x{byte:02x}")?;
            each(&escape)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_control_character_is_shown_as_its_bytes() {
        let text = "a\x1b[2Jb\tc\x7f\u{9b}é字\0";
        assert_eq!(
            Escaped(text).to_string(),
            "a\\x1b[2Jb\\x09c\\x7f\\xc2\\x9bé字\\x00"
        );
    }
}
