//! What the program was called with.

use core::ffi::c_char;

use crate::{calls, println};

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

    /// The same as a decimal number, or `otherwise` where there is no such word. A word that is no
    /// number ends the program: one line, and exit code 2.
    #[must_use]
    pub fn number(&self, index: usize, otherwise: u64) -> u64 {
        let Some(word) = self.bytes(index) else {
            return otherwise;
        };
        let number = self.text(index).and_then(|word| word.parse().ok());
        number.unwrap_or_else(|| {
            let name = self.text(0).unwrap_or("?");
            println!(
                "{name}: `{}` is not a number from 0 to {}",
                word.escape_ascii(),
                u64::MAX
            );
            calls::exit(2)
        })
    }

    /// How many words there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.pointers.len()
    }
}
