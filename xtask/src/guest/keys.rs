//! Which key of a US keyboard types a character, by QEMU's names.

/// The key, with `shift-` before it where it needs that.
pub(crate) fn key_of(character: char) -> Option<String> {
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
