//! Signs of life while a big file is being read, or many addresses named.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// What is quicker than this says nothing.
const QUIET: Duration = Duration::from_secs(1);

/// A bar on standard error, if that is a terminal and it takes long enough to be seen.
pub(super) struct Progress {
    bar: ProgressBar,
    since: Instant,
}

impl Progress {
    pub(super) fn new(what: &str, of: u64) -> Self {
        let bar = ProgressBar::with_draw_target(Some(of), ProgressDrawTarget::hidden());
        let style = ProgressStyle::with_template("{msg} [{bar:40}] {percent} %, {elapsed}");
        if let Ok(style) = style {
            bar.set_style(style.progress_chars("##-"));
        }
        bar.set_message(what.to_owned());
        Progress {
            bar,
            since: Instant::now(),
        }
    }

    /// So far it is done.
    pub(super) fn at(&mut self, done: u64) {
        if self.bar.is_hidden() && self.since.elapsed() > QUIET {
            // Where that is no terminal, nothing is drawn.
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        self.bar.set_position(done);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
