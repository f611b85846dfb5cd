//! An option that one command takes once: a second one is a slip, and whichever of the two won
//! would be the wrong one half the time.

use crate::Error;
use crate::error::excerpt;

/// What was chosen, and the word that chose it.
pub(crate) struct Once<'a, T>(Option<(&'a str, T)>);

impl<T> Default for Once<'_, T> {
    fn default() -> Self {
        Once(None)
    }
}

impl<'a, T> Once<'a, T> {
    /// Chooses, for the first time.
    ///
    /// # Errors
    ///
    /// It was chosen before, by another word or the same.
    pub(crate) fn set(&mut self, word: &'a str, value: T) -> Result<(), Error> {
        match &self.0 {
            Some((before, _)) if *before == word => Err(Error::Twice(excerpt(word))),
            Some((before, _)) => Err(Error::Contradicts(excerpt(word), excerpt(before))),
            None => {
                self.0 = Some((word, value));
                Ok(())
            }
        }
    }

    /// What was chosen, if anything was.
    pub(crate) fn get(self) -> Option<T> {
        self.0.map(|(_, value)| value)
    }

    /// Whether anything was.
    pub(crate) fn is_set(&self) -> bool {
        self.0.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_choice_is_refused_and_the_first_one_stays() {
        let mut size = Once::default();
        assert!(!size.is_set());
        assert_eq!(size.set("4k", 12), Ok(()));
        let says = |error: Result<(), Error>| error.expect_err("it is the second").to_string();
        assert_eq!(says(size.set("2m", 21)), "`2m` contradicts `4k`");
        assert_eq!(says(size.set("4k", 12)), "`4k` is given twice");
        assert_eq!(size.get(), Some(12));
        assert_eq!(Once::<u8>::default().get(), None);
    }
}
