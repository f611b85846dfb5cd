//! Makes plain text of what a serial line carries: no colours, no cursor movements.

/// The text of some bytes without ANSI sequences, CR, LF and other control characters but tabs.
/// Bytes that are not UTF-8 become replacement characters.
#[must_use]
pub fn plain(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        if character == '\x1b' {
            if characters.next_if_eq(&'[').is_some() {
                // Parameters and intermediates, then one final character from @ to ~.
                while characters
                    .next_if(|c| ('\x20'..='\x3f').contains(c))
                    .is_some()
                {}
                characters.next_if(|c| ('\x40'..='\x7e').contains(c));
            } else {
                characters.next_if(|c| ('\x20'..='\x7e').contains(c));
            }
        } else if character == '\t' || !character.is_control() {
            out.push(character);
        }
    }
    out
}

/// How many bytes at the end may be the beginning of an ANSI sequence whose rest has not come yet.
#[must_use]
pub(super) fn unfinished(bytes: &[u8]) -> usize {
    let Some(escape) = bytes.iter().rposition(|byte| *byte == 0x1b) else {
        return 0;
    };
    let sequence = bytes.get(escape..).unwrap_or_default();
    match sequence {
        [_] => sequence.len(),
        [_, b'[', rest @ ..] if rest.iter().all(|byte| (0x20..=0x3f).contains(byte)) => {
            sequence.len()
        }
        _ => 0,
    }
}

/// Does a line that belongs to nobody begin the kernel's or the bootloader's report of its death?
#[must_use]
pub(super) fn begins_a_fault_report(line: &str) -> bool {
    let line = line.trim_start().to_ascii_lowercase();
    let starts = [
        "panic",
        "kernel panic",
        "fault",
        "exception",
        "double fault",
        "fatal",
        "page fault",
        "[panic]",
    ];
    starts.iter().any(|start| line.starts_with(start)) || line.contains("panicked at")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_cursor_movements_and_line_ends_are_not_text() {
        let cases: [(&[u8], &str); 6] = [
            (b"\x1b[1mringwalk> \x1b[0m", "ringwalk> "),
            (
                b"\x1b[2J\x1b[01;01H\x1b[=3hBdsDxe: loading\r\n",
                "BdsDxe: loading",
            ),
            (b"a\tb\x08\x07", "a\tb"),
            (b"\x1b", ""),
            (b"\x1b[31", ""),
            (b"\xff!", "\u{fffd}!"),
        ];
        for (bytes, text) in cases {
            assert_eq!(plain(bytes), text, "{bytes:?}");
        }
    }

    #[test]
    fn only_a_sequence_without_its_last_character_is_unfinished() {
        for (bytes, count) in [
            (&b""[..], 0),
            (b"ringwalk> ", 0),
            (b"ringwalk> \x1b", 1),
            (b"ringwalk> \x1b[", 2),
            (b"\x1b[1mringwalk> \x1b[01;0", 6),
            (b"ringwalk> \x1b[0m", 0),
            (b"ringwalk> \x1b[0m ", 0),
            (b"ringwalk> \x1bc", 0),
        ] {
            assert_eq!(unfinished(bytes), count, "{bytes:?}");
        }
    }

    #[test]
    fn a_death_is_told_from_chatter() {
        for line in [
            "panic: out of frames",
            "PANIC: oh",
            "fault: #PF page fault",
            "thread panicked at x",
        ] {
            assert!(begins_a_fault_report(line), "{line}");
        }
        for line in ["boot: memory", "Ringwalk 0.1.0 build 0", "default", ""] {
            assert!(!begins_a_fault_report(line), "{line}");
        }
    }
}
