//! A process in the foreground: it has the terminal until it ends.
//!
//! Its output is shown as it comes and is not paged. Keys are for it only while it reads; what
//! is typed meanwhile waits, for it or for the shell, whoever reads next.

use core::fmt::{self, Write};

use heapless::String;

use crate::command::Context;
use crate::foreign::ForeignText;
use crate::going::heed;
use crate::lines::Lines;
use crate::output::Output;
use crate::process::{Named, processes};
use crate::record::{Row, flag, number, text};
use crate::stop;
use crate::{DebugError, Error, Exit, Key, Pid, ProcessInfo, ProcessState, Target, Typed, Went};

/// Stays with a process until it is dead; how it ended. Its exit has not been taken. Fails on
/// Ctrl-C, with the process as it is.
pub(crate) fn attend(context: &mut Context<'_>, pid: Pid) -> Result<(Named, Exit), Error> {
    if stop::is_stopped(context.target) {
        return Err(Error::Debug(DebugError::Stopped));
    }
    // A script's next line is not this program's input.
    if context.state.framed {
        processes(context.target)?.end_input(pid);
    }
    let pages = context.out.without_pauses();
    let result = until_dead(context, pid);
    context.out.finish_line();
    context.out.pause_again(pages);
    result
}

fn until_dead(context: &mut Context<'_>, pid: Pid) -> Result<(Named, Exit), Error> {
    let mut text = Written::new(pid);
    let mut line = TypedLine::default();
    loop {
        let Context { target, out, .. } = context;
        // Asked before the output is taken: of a dead one that is then all of it.
        let info = processes(*target)?.info(pid).ok_or(Error::Gone(pid))?;
        let end = info.state.exit();
        let shown = show(*target, out, &mut text, end.is_some());
        if out.interrupted() {
            return Err(Error::Interrupted);
        }
        shown?;
        if let Some(exit) = end {
            return Ok((Named::of(&info), exit));
        }
        line.serve(*target, out, &info)?;
        processes(*target)?.run();
        if stop::is_stopped(*target) && heed(context)? == Went::Stopped {
            return Err(Error::Stopped);
        }
    }
}

/// Shows what a process has written: some of it, or `all`.
fn show(
    target: &mut dyn Target,
    out: &mut Output<'_>,
    written: &mut Written,
    all: bool,
) -> Result<(), Error> {
    // As much as it can have written before it has to wait.
    const MOST: usize = 16 << 10;
    let mut shown = 0;
    while all || shown < MOST {
        let taken = processes(target)?.take_output(written.pid, written.text.room());
        if taken == 0 {
            break;
        }
        shown += taken;
        written.pass(taken, out)?;
    }
    if all {
        written.finish(out)?;
    }
    Ok(())
}

/// What a process has written, on its way to the reader.
struct Written {
    pid: Pid,
    text: ForeignText,
    lines: Lines,
}

impl Written {
    fn new(pid: Pid) -> Self {
        Written {
            pid,
            text: ForeignText::new(),
            lines: Lines::default(),
        }
    }

    /// Passes on so many bytes that have come.
    fn pass(&mut self, added: usize, out: &mut Output<'_>) -> fmt::Result {
        let Written { pid, text, lines } = self;
        match out.is_json() {
            true => text.write(
                added,
                &mut Records {
                    out,
                    pid: *pid,
                    lines,
                },
            ),
            false => text.write(added, out),
        }
    }

    /// Passes on what is left when no more comes.
    fn finish(&mut self, out: &mut Output<'_>) -> fmt::Result {
        let Written { pid, text, lines } = self;
        if !out.is_json() {
            return text.finish(out);
        }
        let pid = *pid;
        text.finish(&mut Records { out, pid, lines })?;
        lines.finish(&mut |text, ends| record(out, pid, text, ends))
    }
}

/// A record for each line of what a process writes.
struct Records<'o, 'a> {
    out: &'o mut Output<'a>,
    pid: Pid,
    lines: &'o mut Lines,
}

impl Write for Records<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let Records { out, pid, lines } = self;
        lines.write(text, &mut |text, ends| record(out, *pid, text, ends))
    }
}

/// What such a record says.
pub(crate) const OUTPUT: Row = Row {
    name: "output",
    about: "a line that the process wrote",
    fields: &[
        number("pid", "its pid"),
        text(
            "text",
            "the line, in pieces of 512 bytes at most; bytes that are no text as \\xNN",
        ),
        flag("ends", "whether the line ends with this piece"),
    ],
};

fn record(out: &mut Output<'_>, pid: Pid, text: &str, ends: bool) -> fmt::Result {
    out.record(OUTPUT.name)
        .number("pid", pid)
        .text("text", text)
        .flag("ends", ends)
        .end()
}

/// The line being typed for a process, then on its way to it.
#[derive(Default)]
struct TypedLine {
    text: String<512>,
    /// How much of a finished line has been taken; `None` while it is being typed.
    given: Option<usize>,
}

impl TypedLine {
    /// Gives the process what it has room for, or reads keys for it, at most to the end of a
    /// line: the next one may not be for it.
    fn serve(
        &mut self,
        target: &mut dyn Target,
        out: &mut Output<'_>,
        info: &ProcessInfo,
    ) -> Result<(), Error> {
        while self.given.is_none() && info.state == ProcessState::Reading {
            let key = match out.poll() {
                Typed::Key(key) => key,
                Typed::Nothing => break,
                Typed::Closed => Key::Ctrl('d'),
            };
            if key == Key::Ctrl('d') && self.text.is_empty() {
                processes(target)?.end_input(info.pid);
                break;
            }
            self.key(key, out);
        }
        if let Some(given) = self.given {
            let rest = self.text.as_bytes().get(given..).unwrap_or_default();
            let taken = processes(target)?.give_input(info.pid, rest);
            self.given = match taken < rest.len() {
                true => Some(given.saturating_add(taken)),
                false => {
                    self.text.clear();
                    None
                }
            };
        }
        Ok(())
    }

    fn key(&mut self, key: Key, out: &mut Output<'_>) {
        match key {
            Key::Enter => {
                // One byte was kept free for it.
                let _ = self.text.push('\n');
                out.echo('\n');
                self.given = Some(0);
            }
            Key::Ctrl('d') => self.given = Some(0),
            Key::Char(c) if !c.is_control() => {
                let fits = self.text.len() + c.len_utf8() < self.text.capacity();
                match fits && self.text.push(c).is_ok() {
                    true => out.echo(c),
                    false => out.control("\x07"),
                }
            }
            Key::Backspace | Key::Ctrl('h') => {
                let erased = self.text.pop();
                out.rub_out(erased.iter().count());
            }
            Key::Ctrl('u') => {
                out.rub_out(self.text.chars().count());
                self.text.clear();
            }
            _ => {}
        }
    }
}
