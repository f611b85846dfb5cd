//! Control characters, made visible: what was read from memory or typed may hold some, and
//! a terminal would obey them.

use core::fmt::{self, Write};

use heapless::String;

/// A text with its control characters written `\xNN`.
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
    for piece in text.split_inclusive(|c| c < ' ') {
        let last = piece.chars().next_back().filter(|c| *c < ' ');
        let Some(control) = last else {
            each(piece)?;
            continue;
        };
        let plain = piece.get(..piece.len() - 1).unwrap_or("");
        if !plain.is_empty() {
            each(plain)?;
        }
        let mut escape = String::<4>::new();
        write!(escape, "\\x{:02x}", u32::from(control))?;
        each(&escape)?;
    }
    Ok(())
}
