//! A machine behind GDB: its Python asks QEMU what is asked here.
//!
//! Each question is a line on standard output, each answer a line on standard input:
//!
//! ```text
//! read ADDRESS BYTES       ok, then the bytes in hexadecimal; or: no, and why
//! registers                ok, then what `info registers` prints, each byte in hexadecimal
//! memory                   ok, then the end of RAM, in decimal
//! beacon                   ok, then the virtual address of the kernel's beacon and the page that was
//!                          told by `found`, each or `-`
//! search FROM TO MARK      ok, then the pages in between that begin with these bytes
//! found PAGE               ok; the beacon is on this physical page
//! ```
//!
//! What is to be shown follows as lines that begin with `|`, and the last one is `end`.

use std::fmt::Write as _;
use std::io::{BufRead as _, Stdin, Write as _};

use anyhow::{Context as _, bail};
use exported::PhysRange;
use machine::Registers;

use crate::monitor;
use crate::source::{Hint, Source};

/// Standard input and output, with somebody who answers.
pub(crate) struct Conversation {
    input: Stdin,
}

impl Conversation {
    pub(crate) fn new() -> Self {
        Conversation {
            input: std::io::stdin(),
        }
    }

    fn ask(&mut self, question: &str) -> anyhow::Result<String> {
        let mut output = std::io::stdout().lock();
        writeln!(output, "{question}")?;
        output.flush()?;
        let mut line = String::new();
        self.input.lock().read_line(&mut line)?;
        let line = line.trim_end();
        match line.split_once(' ').unwrap_or((line, "")) {
            ("ok", answer) => Ok(answer.to_owned()),
            ("no", why) => bail!("{why}"),
            _ => bail!("GDB does not answer"),
        }
    }
}

/// Two digits for each byte.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// The bytes of a text in hexadecimal.
pub(crate) fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| (byte as char).to_digit(16);
    let pairs = hex.as_bytes().chunks(2);
    pairs
        .map(|pair| match pair {
            [high, low] => Some((digit(*high)? << 4 | digit(*low)?) as u8),
            _ => None,
        })
        .collect()
}

impl Source for Conversation {
    fn read(&mut self, at: u64, buf: &mut [u8]) -> anyhow::Result<()> {
        let answer = self.ask(&format!("read {at:#x} {}", buf.len()))?;
        let bytes = bytes(&answer).filter(|bytes| bytes.len() == buf.len());
        buf.copy_from_slice(&bytes.context("GDB answers with other bytes than were asked for")?);
        Ok(())
    }

    fn registers(&mut self) -> anyhow::Result<Registers> {
        let answer = self.ask("registers")?;
        let text = bytes(&answer).context("GDB answers with something else than registers")?;
        monitor::registers(&String::from_utf8_lossy(&text))
    }

    fn ram(&mut self) -> anyhow::Result<Vec<PhysRange>> {
        /// Devices from here on; what RAM does not fit below is above 4 GiB.
        const HOLE: u64 = 0xc000_0000;
        let end: u64 = self.ask("memory")?.parse()?;
        // From here on: below are the real-mode structures and the screen of a PC.
        Ok(vec![PhysRange {
            start: 0x10_0000,
            end: end.min(HOLE),
        }])
    }

    fn hint(&mut self) -> Hint {
        let answer = self.ask("beacon").unwrap_or_default();
        let mut words = answer.split_whitespace();
        let mut next = || u64::from_str_radix(words.next()?.trim_start_matches("0x"), 16).ok();
        Hint {
            virt: next(),
            page: next(),
        }
    }

    fn search(&mut self, range: PhysRange, mark: &[u8]) -> Option<Vec<u64>> {
        let mark = hex(mark);
        let question = format!("search {:#x} {:#x} {mark}", range.start, range.end);
        let answer = self.ask(&question).ok()?;
        let number = |word: &str| u64::from_str_radix(word.trim_start_matches("0x"), 16).ok();
        answer.split_whitespace().map(number).collect()
    }

    fn found(&mut self, page: u64) {
        // It only makes the next search shorter.
        drop(self.ask(&format!("found {page:#x}")));
    }
}
