//! One frame of the shell's answer, checked line by line as it comes in.

use shell::Status;
use shell::framing::{Checksum, Line};

use crate::guest::trouble::Trouble;

/// Longer lines are refused by the shell, and need not be repeated by it in full.
const LONGEST_COMMAND: usize = 1000;

/// One frame while it comes in.
pub(super) struct Frame<'a> {
    seq: u64,
    command: &'a str,
    begun: bool,
    pub(super) output: Vec<String>,
    pub(super) errors: Vec<String>,
    pub(super) notes: Vec<String>,
    sum: Checksum,
}

impl<'a> Frame<'a> {
    pub(super) fn new(seq: u64, command: &'a str) -> Self {
        let (output, errors, notes) = (Vec::new(), Vec::new(), Vec::new());
        Self {
            seq,
            command,
            begun: false,
            output,
            errors,
            notes,
            sum: Checksum::new(),
        }
    }

    /// Takes the next line; its status, if it was the last.
    pub(super) fn take(&mut self, text: &str) -> Result<Option<Status>, Trouble> {
        let missing = |marker| Trouble::Missing {
            marker,
            got: text.to_owned(),
        };
        match (Line::parse(text), self.begun) {
            (Line::Begin { seq, command }, false) => {
                self.check_sequence(seq)?;
                let comparable = self.command.len() < LONGEST_COMMAND
                    && !self.command.contains(char::is_control);
                if comparable && command != self.command {
                    let (sent, received) = (self.command.to_owned(), command.to_owned());
                    return Err(Trouble::Misheard { sent, received });
                }
                self.begun = true;
            }
            // What was running was given up: the kernel begins again, and says why.
            (Line::Begin { seq, .. }, true) if seq == self.seq => {
                self.output.clear();
                self.errors.clear();
                self.sum = Checksum::new();
            }
            (Line::Output(line), true) => {
                self.add(text);
                self.output.push(line.to_owned());
            }
            (Line::Error(line), true) => {
                self.add(text);
                self.errors.push(line.to_owned());
            }
            (
                Line::End {
                    seq,
                    lines,
                    crc,
                    status,
                },
                true,
            ) => {
                self.check_sequence(seq)?;
                return self.check_end(lines, crc).map(|()| Some(status));
            }
            (Line::Other(""), _) => {}
            (Line::Other(line), _) if line.starts_with("note: ") => {
                self.notes.push(line.to_owned())
            }
            (Line::Other(line), _) => {
                return Err(Trouble::Torn {
                    line: line.to_owned(),
                });
            }
            (_, false) => return Err(missing("@begin")),
            (_, true) => return Err(missing("@end")),
        }
        Ok(None)
    }

    fn add(&mut self, text: &str) {
        self.sum.add(text.as_bytes());
        self.sum.add(b"\n");
    }

    fn check_sequence(&self, got: u64) -> Result<(), Trouble> {
        let expected = self.seq;
        if got == expected {
            Ok(())
        } else {
            Err(Trouble::Sequence { expected, got })
        }
    }

    fn check_end(&self, announced: u64, crc: u32) -> Result<(), Trouble> {
        let counted = self.output.len() + self.errors.len();
        let counted = u64::try_from(counted).unwrap_or(u64::MAX);
        if announced != counted {
            return Err(Trouble::Count { announced, counted });
        }
        let computed = self.sum.value();
        if crc != computed {
            return Err(Trouble::Checksum {
                announced: crc,
                computed,
            });
        }
        Ok(())
    }
}
