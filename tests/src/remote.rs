//! QEMU's GDB stub, spoken to as GDB does: stop the machine at an instruction, go on by one
//! instruction, read a register. Here the *test* decides between which two instructions
//! something happens.
//!
//! The protocol: `$TEXT#SUM`, SUM being two hex digits, answered by `+` or `-`; `}` escapes a
//! character and `*` repeats the one before it. See GDB's manual, "Remote Protocol". Whoever
//! connects stops the machine; whoever goes lets it run.

use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use xtask::signals;

use crate::deviations::STEP_NOT_BEGUN;

/// How long an answer may take; a stop may take longer and has a limit of its own.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often a wait looks up to see whether it was interrupted.
const SLICE: Duration = Duration::from_millis(50);
/// How often a step may be reported that was not begun.
const NOT_BEGUN: u32 = 50;
/// No answer that is asked for here is longer.
const LONGEST: usize = 1 << 16;

/// A register, by QEMU's number for it (its `gdb-xml/i386-64bit.xml`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Register {
    /// The stack pointer.
    Rsp = 7,
    /// The instruction that comes next.
    Rip = 16,
    /// The code segment's selector; its low two bits are the ring.
    Cs = 18,
    /// What GS adds to an address.
    GsBase = 25,
    /// The root of the page tables.
    Cr3 = 29,
}

/// A connection to the stub.
#[derive(Debug)]
pub struct Remote {
    stream: UnixStream,
    /// What came and was not asked for yet.
    pending: Vec<u8>,
}

impl Remote {
    /// Connects to the stub's socket, which stops the machine; it must be running.
    ///
    /// # Errors
    ///
    /// When nobody listens there, or it does not say that the machine has stopped.
    pub fn connect(socket: &Path) -> Result<Self> {
        let stream = UnixStream::connect(socket)
            .with_context(|| format!("no GDB stub at {}", socket.display()))?;
        stream.set_read_timeout(Some(SLICE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let pending = Vec::new();
        let mut remote = Self { stream, pending };
        remote.stopped(PATIENCE)?;
        // Who has not asked what registers there are is refused single ones.
        let known = remote.ask("qXfer:features:read:target.xml:0,100")?;
        ensure!(known.starts_with(['l', 'm']), "no registers: {known:?}");
        Ok(remote)
    }

    /// A register's value.
    ///
    /// # Errors
    ///
    /// When the stub does not answer with one.
    pub fn register(&mut self, register: Register) -> Result<u64> {
        let answer = self.ask(&format!("p{:x}", register as u32))?;
        // CS has four bytes, the others eight.
        little_endian(&answer).with_context(|| format!("{register:?}: {answer:?}"))
    }

    /// The 64-bit words at a virtual address.
    ///
    /// # Errors
    ///
    /// When there is no memory to read.
    pub fn words(&mut self, at: u64, count: usize) -> Result<Vec<u64>> {
        let answer = self.ask(&format!("m{at:x},{:x}", count * 8))?;
        let words = answer.as_bytes().chunks(16).map(|digits| {
            let digits = std::str::from_utf8(digits).ok()?;
            little_endian(digits).filter(|_| digits.len() == 16)
        });
        words
            .collect::<Option<Vec<u64>>>()
            .filter(|words| words.len() == count)
            .with_context(|| format!("{count} words at {at:#x}: {answer:?}"))
    }

    /// Stops whoever comes to this address, before the instruction there.
    ///
    /// # Errors
    ///
    /// When the stub refuses.
    pub fn set_breakpoint(&mut self, at: u64) -> Result<()> {
        self.agreed(&format!("Z1,{at:x},1"))
    }

    /// Stops nobody there any more.
    ///
    /// # Errors
    ///
    /// When the stub refuses.
    pub fn clear_breakpoint(&mut self, at: u64) -> Result<()> {
        self.agreed(&format!("z1,{at:x},1"))
    }

    /// Executes one instruction. QEMU holds back the timer and interrupts meanwhile, an NMI not.
    ///
    /// A step after which every register is as before was not begun, and is made again: so
    /// do not step over a jump to itself.
    ///
    /// # Errors
    ///
    /// When the machine does not stop after it.
    pub fn step(&mut self) -> Result<()> {
        let before = self.ask("g")?;
        for _ in 0..NOT_BEGUN {
            self.send("s")?;
            self.stopped(PATIENCE)?;
            if self.ask("g")? != before {
                return Ok(());
            }
        }
        bail!(
            "{NOT_BEGUN} steps that change no register: more than {} excuses",
            STEP_NOT_BEGUN.id
        )
    }

    /// Lets the machine run and does not wait.
    ///
    /// # Errors
    ///
    /// When the stub is gone.
    pub fn go(&mut self) -> Result<()> {
        self.send("c")
    }

    /// Stops a machine that runs, wherever it is.
    ///
    /// # Errors
    ///
    /// When it does not stop.
    pub fn stop(&mut self) -> Result<()> {
        self.stream.write_all(b"\x03")?;
        self.stopped(PATIENCE)
    }

    /// Waits until the machine has stopped.
    ///
    /// # Errors
    ///
    /// When it does not.
    pub fn stopped(&mut self, patience: Duration) -> Result<()> {
        let said = self
            .packet(patience)
            .context("the machine has not stopped")?;
        ensure!(said.starts_with(['T', 'S']), "no stop but {said:?}");
        Ok(())
    }

    /// Stops the machine a last time, removes every breakpoint, lets it run and leaves.
    ///
    /// # Errors
    ///
    /// When the stub refuses.
    pub fn detach(mut self) -> Result<()> {
        self.stop()?;
        self.agreed("D")
    }

    fn agreed(&mut self, text: &str) -> Result<()> {
        let answer = self.ask(text)?;
        ensure!(answer == "OK", "{text}: {answer:?}");
        Ok(())
    }

    fn ask(&mut self, text: &str) -> Result<String> {
        self.send(text)?;
        self.packet(PATIENCE).with_context(|| text.to_owned())
    }

    fn send(&mut self, text: &str) -> Result<()> {
        let packet = format!("${text}#{:02x}", sum(text.as_bytes()));
        self.stream.write_all(packet.as_bytes())?;
        let until = Instant::now() + PATIENCE;
        match self.byte(until).with_context(|| text.to_owned())? {
            b'+' => Ok(()),
            // Nothing is lost on a socket, so it is our sum that is wrong.
            other => bail!("{text}: {:?} instead of +", char::from(other)),
        }
    }

    /// The text of the next packet.
    fn packet(&mut self, patience: Duration) -> Result<String> {
        let until = Instant::now() + patience;
        let first = self.byte(until)?;
        ensure!(first == b'$', "{:?} instead of $", char::from(first));
        let mut raw = Vec::new();
        loop {
            match self.byte(until)? {
                b'#' => break,
                byte => raw.push(byte),
            }
            ensure!(raw.len() < LONGEST, "a packet that does not end");
        }
        let digits = [self.byte(until)?, self.byte(until)?];
        let claimed = u8::from_str_radix(std::str::from_utf8(&digits)?, 16)?;
        ensure!(claimed == sum(&raw), "wrong sum: {raw:?} {claimed:#x}");
        self.stream.write_all(b"+")?;
        expand(&raw)
    }

    fn byte(&mut self, until: Instant) -> Result<u8> {
        while self.pending.is_empty() {
            ensure!(!signals::asked_to_stop(), "interrupted");
            ensure!(Instant::now() < until, "the GDB stub is silent");
            let mut buffer = [0; 4096];
            match self.stream.read(&mut buffer) {
                Ok(0) => bail!("the GDB stub has left"),
                // Last byte first, so that taking one is cheap.
                Ok(count) => self.pending.extend(buffer.iter().take(count).rev()),
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted => {}
                    _ => return Err(error.into()),
                },
            }
        }
        self.pending.pop().context("no byte")
    }
}

fn sum(text: &[u8]) -> u8 {
    text.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
}

/// Undoes escapes and repetitions.
fn expand(raw: &[u8]) -> Result<String> {
    let mut text: Vec<u8> = Vec::new();
    let mut bytes = raw.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b'}' => text.push(bytes.next().context("nothing escaped")? ^ 0x20),
            b'*' => {
                let count = bytes.next().and_then(|count| count.checked_sub(29));
                let count = count.context("repeated how often?")?;
                let last = *text.last().context("nothing to repeat")?;
                text.extend(std::iter::repeat_n(last, usize::from(count)));
            }
            byte => text.push(byte),
        }
    }
    Ok(String::from_utf8(text)?)
}

/// Up to eight bytes in hex, the lowest first.
fn little_endian(digits: &str) -> Option<u64> {
    if digits.is_empty() || digits.len() > 16 || !digits.len().is_multiple_of(2) {
        return None;
    }
    let value = u64::from_str_radix(digits, 16).ok()?;
    Some(value.swap_bytes() >> (64 - 4 * digits.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repetition_counts_from_29_and_an_escape_flips_a_bit() {
        assert_eq!(expand(b"0* ").unwrap(), "0000");
        assert_eq!(expand(b"1f0*\"2").unwrap(), "1f0000002");
        assert_eq!(expand(b"a}\x03b").unwrap(), "a#b");
        for broken in [&b"*!"[..], b"a*", b"a*\x01", b"a}"] {
            assert!(expand(broken).is_err(), "{broken:?}");
        }
    }

    #[test]
    fn numbers_have_their_lowest_byte_first() {
        assert_eq!(little_endian("23000000"), Some(0x23));
        assert_eq!(
            little_endian("1032547698badcfe"),
            Some(0xfedc_ba98_7654_3210)
        );
        for broken in ["", "1", "E01", "xx", "001032547698badcfe"] {
            assert_eq!(little_endian(broken), None, "{broken:?}");
        }
        assert_eq!(sum(b"OK"), 0x9a);
    }
}
