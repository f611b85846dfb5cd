//! The PS/2 keyboard: which key of a US keyboard types a character, by QEMU's names.

use std::time::Duration;

use serde_json::{Value, json};

use crate::guest::{Failure, Guest, Trouble};

impl Guest {
    /// Presses keys of the PS/2 keyboard, one after another, by QEMU's names: `a`, `ret`, `shift-a`.
    ///
    /// # Errors
    ///
    /// When QEMU does not know a key.
    pub fn press(&mut self, keys: &[&str]) -> Result<(), Failure> {
        for key in keys {
            let parts: Vec<Value> = key
                .split('-')
                .map(|part| json!({ "type": "qcode", "data": part }))
                .collect();
            self.qmp("send-key", json!({ "keys": parts, "hold-time": 20 }))?;
            // The next key before this one is let go would be a chord.
            std::thread::sleep(Duration::from_millis(45));
        }
        Ok(())
    }

    /// Types text on the PS/2 keyboard, as a US keyboard has it; `\n` is Enter.
    ///
    /// # Errors
    ///
    /// For a character that is not on it, or when QEMU refuses.
    pub fn type_keys(&mut self, text: &str) -> Result<(), Failure> {
        for character in text.chars() {
            let key = key_of(character).ok_or_else(|| {
                self.link
                    .failure(Trouble::Monitor(format!("no key for {character:?}")))
            })?;
            self.press(&[&key])?;
        }
        Ok(())
    }
}

/// The key, with `shift-` before it where it needs that.
fn key_of(character: char) -> Option<String> {
    const PLAIN: &str = "`1234567890-=[]\\;',./ \n\t\x08\x1b";
    const SHIFTED: &str = "~!@#$%^&*()_+{}|:\"<>?";
    const NAMES: [&str; 26] = [
        "grave_accent",
        "1",
        "2",
        "3",
        "4",
        "5",
        "6",
        "7",
        "8",
        "9",
        "0",
        "minus",
        "equal",
        "bracket_left",
        "bracket_right",
        "backslash",
        "semicolon",
        "apostrophe",
        "comma",
        "dot",
        "slash",
        "spc",
        "ret",
        "tab",
        "backspace",
        "esc",
    ];
    if character.is_ascii_lowercase() {
        return Some(character.to_string());
    }
    if character.is_ascii_uppercase() {
        return Some(format!("shift-{}", character.to_ascii_lowercase()));
    }
    let name_at = |keys: &str| {
        let place = keys.chars().position(|key| key == character)?;
        NAMES.get(place).copied()
    };
    name_at(PLAIN)
        .map(str::to_owned)
        .or_else(|| name_at(SHIFTED).map(|name| format!("shift-{name}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_printable_ascii_character_has_a_key() {
        for code in 0x20..0x7f_u8 {
            assert!(key_of(code.into()).is_some(), "{:?}", char::from(code));
        }
        assert_eq!(key_of('A').as_deref(), Some("shift-a"));
        assert_eq!(key_of('_').as_deref(), Some("shift-minus"));
        assert_eq!(key_of('"').as_deref(), Some("shift-apostrophe"));
        assert_eq!(key_of('?').as_deref(), Some("shift-slash"));
        assert_eq!(key_of('\n').as_deref(), Some("ret"));
        assert_eq!(key_of('é'), None);
    }
}
