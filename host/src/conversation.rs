//! A machine behind GDB: its Python asks QEMU what is asked here.
//!
//! Each question is a line on standard output, each answer a line on standard input:
//!
//! ```text
//! read ADDRESS BYTES       ok, then the bytes in hexadecimal; or: no, and why
//! registers                ok, then what `info registers` prints, each byte in hexadecimal
//! memory                   ok, then the end of RAM, in decimal
//! beacon                   ok, then the virtual address of the kernel's beacon
//! ```
//!
//! What is to be shown follows as lines that begin with `|`, and the last one is `end`.

use std::io::{BufRead as _, Stdin, Write as _};

use anyhow::{Context as _, bail};
use exported::PhysRange;
use machine::Registers;

use crate::monitor;
use crate::source::Source;

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
        match line.trim_end().split_once(' ') {
            Some(("ok", answer)) => Ok(answer.to_owned()),
            Some(("no", why)) => bail!("{why}"),
            _ => bail!("GDB does not answer"),
        }
    }
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
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

    fn hint(&mut self) -> Option<u64> {
        let answer = self.ask("beacon").ok()?;
        u64::from_str_radix(answer.trim_start_matches("0x"), 16).ok()
    }
}
