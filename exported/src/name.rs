//! Short texts in place.

use core::fmt;

use heapless::String;

use crate::record::{Record, records};

records! {
    /// A text of up to 32 bytes, filled up with NULs.
    Name {
        /// UTF-8.
        bytes: [u8; 32],
    }
}

impl Name {
    /// As much of a text as fits.
    pub fn new(text: &str) -> Name {
        let mut name = Name::ZERO;
        let mut left: &mut [u8] = &mut name.bytes;
        for character in text.chars() {
            let Some((place, rest)) = left.split_at_mut_checked(character.len_utf8()) else {
                break;
            };
            character.encode_utf8(place);
            left = rest;
        }
        name
    }

    /// The text; nothing if it is none.
    pub fn text(&self) -> &str {
        let mut parts = self.bytes.split(|byte| *byte == 0);
        let text = parts.next().unwrap_or_default();
        core::str::from_utf8(text).unwrap_or_default()
    }

    /// The text, to keep.
    pub fn string(&self) -> String<32> {
        String::try_from(self.text()).unwrap_or_default()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_too_long_is_cut_between_characters() {
        assert_eq!(Name::new("hello").text(), "hello");
        let long = "äöü".repeat(6);
        let name = Name::new(&long);
        assert_eq!(name.text(), long.get(..32).expect("a boundary"));
        let odd = std::format!("x{long}");
        assert_eq!(Name::new(&odd).text(), odd.get(..31).expect("a boundary"));
        assert_eq!(Name { bytes: [0xff; 32] }.text(), "");
    }
}
