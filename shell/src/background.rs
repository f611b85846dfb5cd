//! Processes in the background: what they have written, and which of them are dead, told to a
//! person before the next prompt.

use core::fmt::{self, Write};

use heapless::Vec;

use crate::foreign::ForeignText;
use crate::output::Output;
use crate::process::{Pids, exit_place, processes};
use crate::render::Count;
use crate::{Error, Pid, ProcessInfo, ProcessState, Target};

/// How many lines of one process are shown before one prompt. More come before the next one:
/// who writes without end must not push what a person is doing off the screen.
const MOST_LINES: u32 = 20;

/// Which dead ones have been mentioned already.
pub(crate) struct Mentioned(Vec<Pid, 64>);

impl Mentioned {
    pub(crate) const fn new() -> Self {
        Mentioned(Vec::new())
    }

    /// Shows what there is to know, each line with the pid it is about.
    pub(crate) fn report(&mut self, target: &mut dyn Target, out: &mut Output<'_>) {
        // Without processes there is nothing to tell; and whoever stopped reading knows it.
        let _ = self.try_report(target, out);
        out.finish_line();
    }

    fn try_report(&mut self, target: &mut dyn Target, out: &mut Output<'_>) -> Result<(), Error> {
        let mut pids = Pids::all(target)?;
        let found = processes(target)?;
        self.0.retain(|pid| found.info(*pid).is_some());
        while let Some(info) = pids.next(target) {
            show(target, out, &info)?;
            // Children of a process are for it to bury.
            if let Some(exit) = info.state.exit().filter(|_| info.parent == 0)
                && !self.0.contains(&info.pid)
            {
                // With more of them than there is room for, some are mentioned again.
                let _ = self.0.push(info.pid);
                write!(out, "[{}] {} {exit}", info.pid, info.name)?;
                match exit_place(target, &info.name, exit) {
                    Some(place) => writeln!(out, ", in {place}")?,
                    None => writeln!(out)?,
                }
            }
        }
        Ok(())
    }
}

/// Shows the lines that a process has finished. The last one, unfinished, stays with the process
/// until its line feed comes or can come no more, so that no line is shown in two halves.
fn show(target: &mut dyn Target, out: &mut Output<'_>, info: &ProcessInfo) -> Result<(), Error> {
    let waiting = Waiting::of(target, info)?;
    let mut text = ForeignText::new();
    let mut lines = Prefixed {
        out,
        pid: info.pid,
        is_inside: false,
    };
    let mut left = waiting.shown;
    while left > 0 {
        let room = text.room();
        let length = room.len().min(left);
        let piece = room.get_mut(..length).unwrap_or_default();
        let taken = processes(target)?.take_output(info.pid, piece);
        if taken == 0 {
            break;
        }
        left = left.saturating_sub(taken);
        text.write(taken, &mut lines)?;
    }
    text.finish(&mut lines)?;
    lines.out.finish_line();
    let more = waiting.bytes.saturating_sub(waiting.shown);
    if waiting.lines == MOST_LINES && more > 0 {
        let (pid, more) = (info.pid, Count(more as u64, "byte"));
        writeln!(out, "[{pid}] ... {more} more; `wait {pid}` shows them")?;
    }
    Ok(())
}

/// What a process has written that nobody has seen.
struct Waiting {
    bytes: usize,
    /// How many lines of it are shown now, and in how many bytes.
    lines: u32,
    shown: usize,
}

impl Waiting {
    fn of(target: &mut dyn Target, info: &ProcessInfo) -> Result<Self, Error> {
        let processes = processes(target)?;
        let mut chunk = [0; 256];
        let (mut bytes, mut lines, mut shown) = (0_usize, 0, 0);
        loop {
            let count = processes.peek_output(info.pid, bytes, &mut chunk);
            if count == 0 {
                break;
            }
            for byte in chunk.iter().take(count) {
                bytes = bytes.saturating_add(1);
                if *byte == b'\n' && lines < MOST_LINES {
                    lines += 1;
                    shown = bytes;
                }
            }
        }
        let never_ends = match info.state {
            ProcessState::Dead(_) => lines < MOST_LINES,
            // There is no room for the line feed.
            ProcessState::BlockedOnOutput => lines == 0,
            _ => false,
        };
        if never_ends {
            shown = bytes;
        }
        Ok(Waiting {
            bytes,
            lines,
            shown,
        })
    }
}

/// Each line of what is written through it begins with the pid of who wrote it.
struct Prefixed<'o, 'a> {
    out: &'o mut Output<'a>,
    pid: Pid,
    is_inside: bool,
}

impl Write for Prefixed<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for line in text.split_inclusive('\n') {
            if !self.is_inside {
                write!(self.out, "[{}] ", self.pid)?;
            }
            self.out.write_str(line)?;
            self.is_inside = !line.ends_with('\n');
        }
        Ok(())
    }
}
