//! The text of source files.

/// Access to the sources of the code that the target runs.
pub trait Sources {
    /// The text of the file with this path, as the index of symbols spells it.
    fn text(&self, path: &str) -> Option<&[u8]>;
}
