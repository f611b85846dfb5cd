//! Running commands, and showing what they print.

use std::io::{BufRead as _, Write as _};

use shell::framing::Line;

use crate::complete;
use crate::conversation::Conversation;
use crate::dump::Dump;
use crate::find;
use crate::framed::Framed;
use crate::memory::Memory;
use crate::options::{From, HELP, Options};
use crate::outside::Outside;
use crate::source::Source;
use crate::stub;

/// Does what was asked; whether all of it went well.
pub(crate) fn run(options: Options) -> anyhow::Result<bool> {
    let (from, commands) = match options {
        Options::Help => {
            print!("{HELP}");
            return Ok(true);
        }
        Options::Run { from, commands } => (from, commands),
        Options::Where(From::Dump(path)) => {
            println!("{}", whereabouts(Box::new(Dump::open(&path)?))?);
            return Ok(true);
        }
        Options::Where(From::Conversation) => {
            return Ok(answer(|out| {
                out(&whereabouts(Box::new(Conversation::new()))?);
                Ok(true)
            }));
        }
        Options::Complete { from, line } => {
            return match from {
                From::Dump(path) => {
                    for word in complete::words(Box::new(Dump::open(&path)?), &line) {
                        println!("{word}");
                    }
                    Ok(true)
                }
                From::Conversation => Ok(answer(|out| {
                    for word in complete::words(Box::new(Conversation::new()), &line) {
                        out(&word);
                    }
                    Ok(true)
                })),
            };
        }
        Options::Stub(path) => {
            let (input, output) = (std::io::stdin().lock(), std::io::stdout().lock());
            stub::serve(&path, input, output)?;
            return Ok(true);
        }
    };
    match from {
        From::Dump(path) => {
            let mut out = |line: &str| println!("{line}");
            let source = Dump::open(&path)?;
            let mut session = Session::new(Box::new(source))?;
            match commands.is_empty() {
                true => {
                    let mut all_well = true;
                    for line in std::io::stdin().lock().lines() {
                        all_well &= session.command(&line?, &mut out);
                    }
                    Ok(all_well)
                }
                false => Ok(session.all(&commands, &mut out)),
            }
        }
        From::Conversation => Ok(answer(|out| {
            let mut session = Session::new(Box::new(Conversation::new()))?;
            Ok(session.all(&commands, out))
        })),
    }
}

/// Everything that is to be shown goes to GDB, errors too; whether all went well.
fn answer(run: impl FnOnce(&mut dyn FnMut(&str)) -> anyhow::Result<bool>) -> bool {
    let mut out = |line: &str| println!("|{line}");
    let is_well = run(&mut out).unwrap_or_else(|why| {
        out(&format!("rw: {why:#}"));
        false
    });
    println!("end");
    let _ = std::io::stdout().flush();
    is_well
}

/// The kernel's build, and where its image begins, by its own word.
fn whereabouts(source: Box<dyn Source>) -> anyhow::Result<String> {
    let header = find::find(&mut Memory::new(source))?.header;
    Ok(format!("{} {:#x}", header.build.text(), header.image))
}

/// A kernel, and a shell that looks at it.
pub(crate) struct Session {
    kernel: Outside,
    shell: Framed,
}

impl Session {
    pub(crate) fn new(source: Box<dyn Source>) -> anyhow::Result<Session> {
        let mut kernel = Outside::look(Memory::new(source))?;
        let shell = Framed::new(&mut kernel, ROOM);
        Ok(Session { kernel, shell })
    }

    /// Runs each line, also behind one that failed; whether all went well.
    fn all(&mut self, lines: &[String], out: &mut dyn FnMut(&str)) -> bool {
        let mut all_well = true;
        for line in lines {
            all_well &= self.command(line, out);
        }
        all_well
    }

    /// Runs a line, and shows what it prints; whether it went well.
    pub(crate) fn command(&mut self, line: &str, out: &mut dyn FnMut(&str)) -> bool {
        let line = match self.kernel.in_full(line) {
            Ok(line) => line,
            Err(why) => {
                out(&format!("rw: {why:#}"));
                return false;
            }
        };
        let mut is_well = true;
        let sent = self.shell.send(&mut self.kernel, &line);
        for framed in sent.lines().map(Line::parse) {
            match framed {
                Line::Output(text) => out(text),
                Line::Error(text) => {
                    is_well = false;
                    out(text);
                }
                _ => {}
            }
        }
        for note in self.kernel.doubts().iter().chain(self.kernel.notes()) {
            out(&format!("note: {note}"));
        }
        if let Some(trouble) = self.kernel.trouble() {
            out(&format!("note: {trouble}"));
        }
        is_well
    }
}

/// What filters of pipes may use: as much as the kernel's have.
const ROOM: usize = 517 << 10;
