//! Looking for something in a text while it is put together.

use super::text::Text;

/// The last bytes of a text that is going by, as many as the one that is searched for has.
pub(super) struct Window {
    bytes: [u8; Window::LONGEST],
    /// Where the next byte goes.
    next: usize,
    pub(super) contains: bool,
    pub(super) ends: bool,
}

impl Window {
    /// Nobody types more.
    const LONGEST: usize = 256;

    pub(super) fn search(text: &Text<'_>, wanted: &str) -> Self {
        let mut window = Window {
            bytes: [0; Self::LONGEST],
            next: 0,
            contains: wanted.is_empty(),
            ends: wanted.is_empty(),
        };
        let wanted = wanted.as_bytes();
        let Some((last, _)) = wanted
            .split_last()
            .filter(|_| wanted.len() <= Self::LONGEST)
        else {
            return window;
        };
        text.each(|character| {
            let mut buffer = [0; 4];
            for byte in character.encode_utf8(&mut buffer).bytes() {
                window.push(byte, wanted.len());
                window.ends = byte == *last && window.holds(wanted);
                window.contains |= window.ends;
            }
            true
        });
        window
    }

    fn push(&mut self, byte: u8, length: usize) {
        if let Some(place) = self.bytes.get_mut(self.next) {
            *place = byte;
        }
        self.next = self.next.saturating_add(1);
        if self.next >= length {
            self.next = 0;
        }
    }

    /// The window is a ring: what was pushed first stands where the next byte will go.
    fn holds(&self, wanted: &[u8]) -> bool {
        let ring = self.bytes.get(..wanted.len()).unwrap_or_default();
        let (newer, older) = ring.split_at(self.next.min(ring.len()));
        let (first, second) = wanted.split_at(older.len().min(wanted.len()));
        older == first && newer == second
    }
}
