//! What the program was called with.

use core::ffi::c_char;

/// The words of the command line, the program's name first.
#[derive(Clone, Copy, Debug)]
pub struct Arguments {
    pointers: &'static [*const c_char],
    word: fn(*const c_char) -> &'static [u8],
}

impl Arguments {
    pub(crate) fn new(
        pointers: &'static [*const c_char],
        word: fn(*const c_char) -> &'static [u8],
    ) -> Self {
        Self { pointers, word }
    }

    /// The word at `index`, 0 being the program's name.
    #[must_use]
    pub fn bytes(&self, index: usize) -> Option<&'static [u8]> {
        self.pointers
            .get(index)
            .map(|pointer| (self.word)(*pointer))
    }

    /// The same as text; `None` also where it is not UTF-8.
    #[must_use]
    pub fn text(&self, index: usize) -> Option<&'static str> {
        str::from_utf8(self.bytes(index)?).ok()
    }

    /// The same as a decimal number, or `otherwise` where there is none.
    #[must_use]
    pub fn number(&self, index: usize, otherwise: u64) -> u64 {
        self.text(index)
            .and_then(|word| word.parse().ok())
            .unwrap_or(otherwise)
    }

    /// How many words there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.pointers.len()
    }
}
