//! Processes in the background: what they have written, and which of them are dead, told to a
//! person before the next prompt.

use core::fmt::{self, Write};

use heapless::Vec;

use crate::foreign::ForeignText;
use crate::output::Output;
use crate::process::{Pids, processes};
use crate::{Error, Pid, ProcessInfo, Target};

/// How much of one process is shown before one prompt. More comes before the next one: who
/// writes without end must not keep the prompt away.
const MOST: usize = 16 << 10;

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
                writeln!(out, "[{}] {} {exit}", info.pid, info.name)?;
            }
        }
        Ok(())
    }
}

fn show(target: &mut dyn Target, out: &mut Output<'_>, info: &ProcessInfo) -> Result<(), Error> {
    let mut text = ForeignText::new();
    let mut lines = Prefixed {
        out,
        pid: info.pid,
        is_inside: false,
    };
    let mut shown = 0;
    while shown < MOST {
        let taken = processes(target)?.take_output(info.pid, text.room());
        if taken == 0 {
            break;
        }
        shown += taken;
        text.write(taken, &mut lines)?;
    }
    text.finish(&mut lines)?;
    lines.out.finish_line();
    Ok(())
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
