//! Tab: completes, then lists, then shows how the command is used.

use core::fmt::Write;

use heapless::String;

use super::Editor;
use crate::complete::{Completion, LONGEST};
use crate::{Sink, Target, Terminal};

impl Editor {
    /// One Tab, after so many others that did not decide. Each step is shown once, so that
    /// a flood of Tabs is no flood of lists.
    pub(super) fn complete(
        &mut self,
        before: u8,
        terminal: &mut dyn Terminal,
        target: &mut dyn Target,
        echo: Sink,
    ) {
        let completion = Completion::of(self.text.before());
        let mut count = 0_usize;
        let mut common = String::<LONGEST>::new();
        let mut longest = 0;
        completion.each(target, &mut |candidate| {
            match count {
                // Nothing longer is offered.
                0 => drop(common.push_str(candidate)),
                _ => common.truncate(shared(&common, candidate).len()),
            }
            count = count.saturating_add(1);
            longest = candidate.len().max(longest);
        });

        if count == 0 {
            self.tabs = before.saturating_add(1);
            return match completion.usage() {
                Some(_) if before > 0 => {}
                Some(synopsis) => {
                    let mut line = String::<160>::new();
                    let _ = write!(
                        line,
                        "
usage: {synopsis}
"
                    );
                    terminal.write(echo, &line);
                    self.view.begin(&self.text, terminal, echo);
                }
                None => terminal.write(echo, "\x07"),
            };
        }
        let missing = common.get(completion.typed().len()..).unwrap_or("");
        if !missing.is_empty() || count == 1 {
            // The value follows `name=` without one.
            let blank = count == 1 && completion.ends_word() && !common.ends_with('=');
            for c in missing.chars() {
                self.insert(c, terminal, echo);
            }
            if blank {
                self.insert(' ', terminal, echo);
            }
            return;
        }
        self.tabs = before.saturating_add(1);
        match before {
            0 => return terminal.write(echo, "\x07"),
            1 => {}
            _ => return,
        }

        let (columns, _) = terminal.size();
        let cell = longest + 2;
        let across = (usize::from(columns).saturating_sub(1) / cell).max(1);
        let mut index = 0_usize;
        completion.each(target, &mut |candidate| {
            let first = index.is_multiple_of(across);
            terminal.write(echo, if first { "\n" } else { "" });
            terminal.write(echo, candidate);
            index = index.saturating_add(1);
            if !index.is_multiple_of(across) && index < count {
                for _ in candidate.len()..cell {
                    terminal.write(echo, " ");
                }
            }
        });
        terminal.write(echo, "\n");
        self.view.begin(&self.text, terminal, echo);
    }
}

/// What two words begin with.
fn shared<'a>(a: &'a str, b: &str) -> &'a str {
    let same = a.chars().zip(b.chars()).take_while(|(a, b)| a == b);
    let bytes = same.map(|(a, _)| a.len_utf8()).sum::<usize>();
    a.get(..bytes).unwrap_or("")
}
