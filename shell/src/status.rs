//! How a line ended.

use core::fmt;

/// How a line of commands ended; of several commands, the worst.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// Every command did what was asked. `$?` is 0.
    #[default]
    Ok,
    /// At least one command failed, or the line could not be read. `$?` is 1.
    Failed,
    /// Ctrl-C ended it. `$?` is 2.
    Interrupted,
}

impl Status {
    /// The number that `$?` shows.
    pub fn code(self) -> u64 {
        match self {
            Status::Ok => 0,
            Status::Failed => 1,
            Status::Interrupted => 2,
        }
    }

    /// The word at the end of a frame.
    pub fn word(self) -> &'static str {
        match self {
            Status::Ok => "ok",
            Status::Failed => "failed",
            Status::Interrupted => "interrupted",
        }
    }

    /// The status with this word.
    pub fn from_word(word: &str) -> Option<Status> {
        [Status::Ok, Status::Failed, Status::Interrupted]
            .into_iter()
            .find(|status| status.word() == word)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
