//! Signs of life while many addresses are being named.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

/// What is quicker than this says nothing.
const QUIET: Duration = Duration::from_secs(1);
/// How often the bar is drawn.
const AGAIN: Duration = Duration::from_millis(200);
const WIDTH: usize = 40;

/// A bar on the terminal, if there is one and it takes long enough to be seen.
pub(super) struct Progress {
    what: &'static str,
    of: usize,
    done: usize,
    is_shown: bool,
    since: Instant,
    last: Instant,
    is_terminal: bool,
}

impl Progress {
    pub(super) fn new(what: &'static str, of: usize) -> Self {
        let now = Instant::now();
        Progress {
            what,
            of,
            done: 0,
            is_shown: false,
            since: now,
            last: now,
            is_terminal: io::stderr().is_terminal(),
        }
    }

    pub(super) fn step(&mut self) {
        self.done = self.done.saturating_add(1);
        if self.is_terminal && self.since.elapsed() > QUIET && self.last.elapsed() > AGAIN {
            self.last = Instant::now();
            self.is_shown = true;
            let full = self
                .done
                .saturating_mul(WIDTH)
                .checked_div(self.of)
                .unwrap_or(0)
                .min(WIDTH);
            let (bar, gap) = ("#".repeat(full), " ".repeat(WIDTH.saturating_sub(full)));
            let mut err = io::stderr().lock();
            // A closed stderr is no reason to stop.
            let _ = write!(
                err,
                "\r[{bar}{gap}] {} of {} {}",
                self.done, self.of, self.what
            );
            let _ = err.flush();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.is_shown {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}
