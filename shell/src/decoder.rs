//! Bytes from a serial line become keys.
//!
//! A small state machine of our own rather than a terminal emulator's parser turned
//! round: here every control character ends whatever sequence is open, so that no garbage
//! (an OSC that is never closed, say) can swallow an Enter or a Ctrl-C.

use crate::Key;

/// Turns bytes into keys. Feed it every byte in order.
///
/// A lone Escape is held back until the next byte shows what it was the start of.
pub struct Decoder {
    state: State,
    /// LF right after CR belongs to it.
    after_cr: bool,
}

#[derive(Clone, Copy)]
enum State {
    Ground,
    /// After ESC.
    Escape,
    /// After ESC O.
    Ss3,
    /// After ESC [: the first two parameters, and which of them is being read.
    Csi {
        numbers: [u8; 2],
        at: usize,
    },
    /// After ESC [ [, as the Linux console sends function keys: one more byte.
    LinuxFunction,
    /// Inside a UTF-8 sequence: the bytes so far and how many belong to it.
    Utf8 {
        bytes: [u8; 4],
        have: usize,
        want: usize,
    },
}

impl Decoder {
    /// A decoder that has seen nothing.
    pub const fn new() -> Self {
        Decoder {
            state: State::Ground,
            after_cr: false,
        }
    }

    /// Takes one byte and calls `key` for each key it completes: none, one or two.
    pub fn feed(&mut self, byte: u8, mut key: impl FnMut(Key)) {
        let after_cr = core::mem::replace(&mut self.after_cr, byte == b'\r');
        if byte == b'\n' && after_cr {
            return;
        }
        match self.state {
            State::Ground => self.ground(byte, &mut key),
            State::Escape => self.escape(byte, &mut key),
            // A control character ends any sequence and then means itself.
            _ if byte < 0x20 => {
                if let State::Utf8 { .. } = self.state {
                    key(Key::Char(char::REPLACEMENT_CHARACTER));
                }
                self.ground(byte, &mut key);
            }
            State::Ss3 => {
                self.state = State::Ground;
                if let Some(found) = letter(byte, 0) {
                    key(found);
                }
            }
            State::Csi { numbers, at } => self.csi(byte, numbers, at, &mut key),
            State::LinuxFunction => self.state = State::Ground,
            State::Utf8 { bytes, have, want } => self.utf8(byte, bytes, have, want, &mut key),
        }
    }

    fn ground(&mut self, byte: u8, key: &mut impl FnMut(Key)) {
        self.state = State::Ground;
        match byte {
            b'\r' | b'\n' => key(Key::Enter),
            b'\t' => key(Key::Tab),
            0x08 | 0x7f => key(Key::Backspace),
            0x1b => self.state = State::Escape,
            0x01..=0x1a => key(Key::Ctrl(char::from(byte - 1 + b'a'))),
            0x00 | 0x1c..=0x1f => {}
            0x20..=0x7e => key(Key::Char(char::from(byte))),
            _ => {
                let want = match byte {
                    0xc2..=0xdf => 2,
                    0xe0..=0xef => 3,
                    0xf0..=0xf4 => 4,
                    _ => return key(Key::Char(char::REPLACEMENT_CHARACTER)),
                };
                self.state = State::Utf8 {
                    bytes: [byte, 0, 0, 0],
                    have: 1,
                    want,
                };
            }
        }
    }

    fn escape(&mut self, byte: u8, key: &mut impl FnMut(Key)) {
        self.state = State::Ground;
        match byte {
            b'[' => {
                self.state = State::Csi {
                    numbers: [0; 2],
                    at: 0,
                }
            }
            b'O' => self.state = State::Ss3,
            0x08 | 0x7f => key(Key::Ctrl('w')),
            0x20..=0x7e => key(Key::Alt(char::from(byte))),
            _ => {
                key(Key::Escape);
                self.ground(byte, key);
            }
        }
    }

    fn csi(&mut self, byte: u8, mut numbers: [u8; 2], at: usize, key: &mut impl FnMut(Key)) {
        match byte {
            b'0'..=b'9' => {
                if let Some(number) = numbers.get_mut(at) {
                    *number = number.saturating_mul(10).saturating_add(byte - b'0');
                }
                self.state = State::Csi { numbers, at };
            }
            b';' => {
                let at = at.saturating_add(1);
                self.state = State::Csi { numbers, at };
            }
            b'[' if at == 0 && numbers == [0, 0] => self.state = State::LinuxFunction,
            // Other parameter and intermediate bytes: no key of ours, but part of it.
            0x20..=0x3f => {}
            0x40..=0x7e => {
                self.state = State::Ground;
                let [first, modifier] = numbers;
                let found = match byte {
                    b'~' => match first {
                        1 | 7 => Some(Key::Home),
                        3 => Some(Key::Delete),
                        4 | 8 => Some(Key::End),
                        5 => Some(Key::PageUp),
                        6 => Some(Key::PageDown),
                        _ => None,
                    },
                    // A lower-case final is an answer to a question we never asked.
                    b'a'..=b'z' => None,
                    _ => letter(byte, modifier),
                };
                if let Some(found) = found {
                    key(found);
                }
            }
            _ => self.ground(byte, key),
        }
    }

    fn utf8(
        &mut self,
        byte: u8,
        mut bytes: [u8; 4],
        have: usize,
        want: usize,
        key: &mut impl FnMut(Key),
    ) {
        if !(0x80..=0xbf).contains(&byte) {
            key(Key::Char(char::REPLACEMENT_CHARACTER));
            return self.ground(byte, key);
        }
        if let Some(slot) = bytes.get_mut(have) {
            *slot = byte;
        }
        let have = have + 1;
        if have < want {
            self.state = State::Utf8 { bytes, have, want };
            return;
        }
        self.state = State::Ground;
        let text = bytes.get(..have).map(core::str::from_utf8);
        let found = match text {
            Some(Ok(text)) => text.chars().next(),
            _ => Some(char::REPLACEMENT_CHARACTER),
        };
        if let Some(found) = found.filter(|c| !c.is_control()) {
            key(Key::Char(found));
        }
    }
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

/// The key with this final letter. Modifier 3 is Alt, 5 Ctrl, as xterm numbers them;
/// rxvt sends lower-case letters for Ctrl.
fn letter(byte: u8, modifier: u8) -> Option<Key> {
    let by_word = matches!(modifier, 3 | 5 | 7);
    match byte {
        b'A' => Some(Key::Up),
        b'B' => Some(Key::Down),
        b'C' if by_word => Some(Key::WordRight),
        b'D' if by_word => Some(Key::WordLeft),
        b'C' => Some(Key::Right),
        b'D' => Some(Key::Left),
        b'c' => Some(Key::WordRight),
        b'd' => Some(Key::WordLeft),
        b'H' => Some(Key::Home),
        b'F' => Some(Key::End),
        b'M' => Some(Key::Enter),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(bytes: &[u8]) -> Vec<Key> {
        let mut decoder = Decoder::new();
        let mut keys = Vec::new();
        for &byte in bytes {
            decoder.feed(byte, |key| keys.push(key));
        }
        keys
    }

    #[test]
    fn the_three_line_ends_are_one_enter_each() {
        assert_eq!(keys(b"\r\n\r\n"), [Key::Enter; 2]);
        assert_eq!(keys(b"\n\n\r\r"), [Key::Enter; 4]);
        assert_eq!(keys(b"\n\r\n"), [Key::Enter; 2]);
    }

    #[test]
    fn both_bytes_of_the_backspace_key_delete() {
        assert_eq!(keys(b"\x08\x7f"), [Key::Backspace; 2]);
    }

    #[test]
    fn arrows_come_in_two_spellings() {
        let arrows = [Key::Up, Key::Down, Key::Right, Key::Left];
        assert_eq!(keys(b"\x1b[A\x1b[B\x1b[C\x1b[D"), arrows);
        assert_eq!(keys(b"\x1bOA\x1bOB\x1bOC\x1bOD"), arrows);
    }

    #[test]
    fn ctrl_and_alt_arrows_move_by_words() {
        let both = [Key::WordRight, Key::WordLeft];
        assert_eq!(keys(b"\x1b[1;5C\x1b[1;5D"), both);
        assert_eq!(keys(b"\x1b[1;3C\x1b[1;3D"), both);
        assert_eq!(keys(b"\x1bOc\x1bOd"), both);
    }

    #[test]
    fn home_end_delete_and_pages_are_numbered_or_lettered() {
        assert_eq!(keys(b"\x1b[H\x1b[1~\x1b[7~\x1bOH"), [Key::Home; 4]);
        assert_eq!(keys(b"\x1b[F\x1b[4~\x1b[8~\x1bOF"), [Key::End; 4]);
        let rest = [Key::Delete, Key::PageUp, Key::PageDown];
        assert_eq!(keys(b"\x1b[3~\x1b[5~\x1b[6~"), rest);
    }

    #[test]
    fn escape_and_a_letter_is_alt_and_a_lone_escape_waits() {
        assert_eq!(keys(b"\x1bb\x1bf"), [Key::Alt('b'), Key::Alt('f')]);
        assert_eq!(keys(b"\x1b"), []);
        assert_eq!(keys(b"\x1b\x1bb"), [Key::Escape, Key::Alt('b')]);
        assert_eq!(keys(b"\x1b\x7f"), [Key::Ctrl('w')]);
    }

    #[test]
    fn an_open_sequence_cannot_swallow_enter_or_ctrl_c() {
        assert_eq!(keys(b"\x1b[1;2\r"), [Key::Enter]);
        assert_eq!(keys(b"\x1b]0;title\r").last(), Some(&Key::Enter));
        assert_eq!(keys(b"\x1bP\x03").last(), Some(&Key::Ctrl('c')));
        assert_eq!(keys(b"\x1bO\r"), [Key::Enter]);
        assert_eq!(keys(b"\xe2\x82\r").last(), Some(&Key::Enter));
    }

    #[test]
    fn unknown_sequences_are_eaten_whole() {
        assert_eq!(keys(b"\x1b[200~a"), [Key::Char('a')]);
        assert_eq!(keys(b"\x1b[?1;2ca"), [Key::Char('a')]);
        assert_eq!(keys(b"\x1b[[Aa"), [Key::Char('a')]);
        assert_eq!(keys(b"\x1b[Za"), [Key::Char('a')]);
    }

    #[test]
    fn utf_8_is_read_and_broken_utf_8_is_marked() {
        assert_eq!(keys("é€".as_bytes()), [Key::Char('é'), Key::Char('€')]);
        let bad = Key::Char(char::REPLACEMENT_CHARACTER);
        assert_eq!(keys(b"\xffa"), [bad, Key::Char('a')]);
        assert_eq!(keys(b"\xe2\x82a"), [bad, Key::Char('a')]);
        assert_eq!(keys(b"\xe2\x82\xc3\xa9"), [bad, Key::Char('é')]);
        // An encoded surrogate is three bytes that fit together and mean nothing.
        assert_eq!(keys(b"\xed\xa0\x80"), [bad]);
    }

    #[test]
    fn control_letters_are_lower_case_and_nul_is_nothing() {
        assert_eq!(keys(b"\x00\x01\x1a\x1c"), [Key::Ctrl('a'), Key::Ctrl('z')]);
        assert_eq!(keys(b"\t"), [Key::Tab]);
    }
}
