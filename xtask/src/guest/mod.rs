//! A booted kernel in QEMU, as a value: boot it, ask it, look at it from outside, let it go.
//!
//! ```no_run
//! # fn main() -> anyhow::Result<()> {
//! use xtask::guest::{Firmware, Guest};
//!
//! let built = xtask::built::prepare(&[])?;
//! let mut guest = Guest::boot(&built.options(Firmware::Uefi))?;
//! let reply = guest.command("map leaves")?;
//! let tlb = guest.hmp("info tlb")?;
//! # drop((reply, tlb)); Ok(()) }
//! ```

mod evidence;
mod frame;
mod keys;
pub mod link;
mod logs;
pub mod machine;
mod options;
pub mod qmp;
mod text;
mod trouble;
pub mod wire;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

pub use builder::steps::excerpt;
pub use link::{Boot, PROMPT, Reply};
pub use options::{Accel, Firmware, Options};
pub use text::plain;
pub use trouble::{Evidence, Failure, Left, Place, Trouble};

use link::Link;
use machine::{Machine, Started};
use qmp::Qmp;
use wire::{Limits, Wire};

/// A machine that is running. Dropping it ends it.
#[derive(Debug)]
pub struct Guest {
    // First, so that its sockets close before the machine is waited for.
    link: Link,
    qmp: Qmp,
    machine: Machine,
    options: Options,
    boot: Boot,
    end: Instant,
}

impl Guest {
    /// Starts a machine and waits for the kernel's prompt.
    ///
    /// # Errors
    ///
    /// Where the boot stopped and how, with the evidence.
    pub fn boot(options: &Options) -> Result<Self, Failure> {
        let mut guest = Self::start(options)?;
        guest.wait_for_prompt()?;
        Ok(guest)
    }

    /// Starts a machine and waits for nothing.
    ///
    /// # Errors
    ///
    /// When QEMU does not come up.
    pub fn start(options: &Options) -> Result<Self, Failure> {
        let failed = |why: String| Failure {
            trouble: Trouble::Start(why),
            place: Place::Firmware,
            evidence: Box::default(),
        };
        let log = logs::new(options).map_err(|error| failed(error.to_string()))?;
        let Started {
            mut machine,
            serial,
            monitor,
        } = Machine::start(options).map_err(failed)?;
        let wire = Wire::new(serial, Some(&log)).map_err(|error| failed(error.to_string()))?;
        let link = Link::new(wire, machine.began);
        let qmp = Qmp::new(monitor).map_err(|why| failed(machine.no_start(&why)))?;
        let end = Limits::from_now(options.timeout, options.silence).end;
        Ok(Self {
            link,
            qmp,
            machine,
            options: options.clone(),
            boot: Boot::default(),
            end,
        })
    }

    /// Reads up to the first prompt. Part of [`Guest::boot`].
    ///
    /// # Errors
    ///
    /// As [`Guest::boot`].
    pub fn wait_for_prompt(&mut self) -> Result<(), Failure> {
        let limits = self.limits();
        self.boot = self
            .link
            .wait_for_prompt(limits)
            .or_else(|failure| self.explain(failure))?;
        if let (Some(guest), Some(file)) = (&self.boot.build_id, &self.options.build_id)
            && guest != file
        {
            let (guest, file) = (guest.clone(), file.clone());
            return Err(self.link.failure(Trouble::Stale { guest, file }));
        }
        Ok(())
    }

    /// How the boot went.
    #[must_use]
    pub fn boot_report(&self) -> &Boot {
        &self.boot
    }

    /// What it was booted with.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// From now on everything together may take this long, not what the options said.
    pub fn set_timeout(&mut self, timeout: Duration) {
        self.end = Limits::from_now(timeout, self.options.silence).end;
    }

    /// From now on the serial line may be silent for this long.
    pub fn set_silence(&mut self, silence: Duration) {
        self.options.silence = silence;
    }

    /// Each wait gets the whole time of the options again: a test's guest lives long.
    pub fn rewind(&mut self) {
        self.set_timeout(self.options.timeout);
    }

    fn limits(&self) -> Limits {
        Limits {
            end: self.end,
            silence: self.options.silence,
        }
    }

    /// Runs one line and returns its framed answer. Turns framing on first if it is off.
    ///
    /// # Errors
    ///
    /// Everything that makes the answer unfit for use. A command that merely failed is a [`Reply`].
    pub fn command(&mut self, line: &str) -> Result<Reply, Failure> {
        self.framing(true)?;
        let limits = self.limits();
        self.link
            .command(line, limits)
            .or_else(|failure| self.explain(failure))
    }

    /// Runs one line that crashes the kernel: the lines of its report, and the framed answer of the
    /// shell, which survives it.
    ///
    /// # Errors
    ///
    /// When there is no report, or the shell does not survive.
    pub fn crash(&mut self, line: &str) -> Result<(Vec<String>, Reply), Failure> {
        self.framing(true)?;
        let limits = self.limits();
        self.link
            .crash(line, limits)
            .or_else(|failure| self.explain(failure))
    }

    /// Turns framing on or off; at the prompt it is off.
    ///
    /// # Errors
    ///
    /// When the shell does not answer as agreed.
    pub fn framing(&mut self, on: bool) -> Result<(), Failure> {
        let limits = self.limits();
        let result = match (self.link.is_framed(), on) {
            (false, true) => self
                .link
                .begin_framing(self.options.build_id.as_deref(), limits),
            (true, false) => self.link.end_framing(limits),
            _ => Ok(()),
        };
        result.or_else(|failure| self.explain(failure))
    }

    /// Sends bytes as if typed at the serial line.
    ///
    /// # Errors
    ///
    /// When the guest takes no more.
    pub fn send_raw(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let result = self.link.wire().send(bytes);
        let why = |error: std::io::Error| {
            Trouble::Monitor(format!("the serial line takes no more: {error}"))
        };
        result
            .map_err(|error| self.link.failure(why(error)))
            .or_else(|failure| self.explain(failure))
    }

    /// Everything on the serial line up to and including `wanted`, raw.
    ///
    /// # Errors
    ///
    /// When it did not come in time.
    pub fn read_until(&mut self, wanted: &[u8]) -> Result<Vec<u8>, Failure> {
        let limits = self.limits();
        let result = self.link.wire().until(wanted, limits);
        result
            .map_err(|stop| self.link.stopped(stop))
            .or_else(|failure| self.explain(failure))
    }

    /// Waits for a prompt and returns the lines before it. For unframed input.
    ///
    /// # Errors
    ///
    /// When it did not come in time.
    pub fn prompt(&mut self) -> Result<Vec<String>, Failure> {
        let limits = self.limits();
        self.link
            .prompt_again(limits)
            .or_else(|failure| self.explain(failure))
    }

    /// Everything on the serial line until it is quiet for a while, raw. Never fails.
    pub fn drain(&mut self, quiet: Duration) -> Vec<u8> {
        // Output may go on for ever.
        let longest = self.options.timeout.min(quiet.saturating_mul(200));
        self.link.wire().drain(quiet, longest)
    }

    /// A line for QEMU's human monitor, such as `info tlb`, and what it prints.
    ///
    /// # Errors
    ///
    /// When the monitor does not answer.
    pub fn hmp(&mut self, line: &str) -> Result<String, Failure> {
        let answer = self.qmp.human(line);
        answer.map_err(|why| self.link.failure(Trouble::Monitor(why)))
    }

    /// A QMP request.
    ///
    /// # Errors
    ///
    /// When QEMU refuses it.
    pub fn qmp(&mut self, command: &str, arguments: Value) -> Result<Value, Failure> {
        let answer = self.qmp.execute(command, arguments);
        answer.map_err(|why| self.link.failure(Trouble::Monitor(why)))
    }

    /// Saves what the screen shows as PNG.
    ///
    /// # Errors
    ///
    /// When this QEMU cannot, or the file cannot be written.
    pub fn screenshot(&mut self, file: &Path) -> Result<(), Failure> {
        let name = std::path::absolute(file).unwrap_or_else(|_| file.to_path_buf());
        self.qmp("screendump", json!({ "filename": name, "format": "png" }))?;
        Ok(())
    }

    /// Waits for the machine to end by itself, and says how it did.
    ///
    /// # Errors
    ///
    /// When it is still there after the time for everything.
    pub fn wait_for_end(&mut self) -> Result<Left, Failure> {
        loop {
            let limits = self.limits();
            match self.link.wire().line(limits) {
                Ok(_) => {}
                Err(wire::Stop::Closed) => {
                    // As in `explain`.
                    self.machine.left(None);
                    let reason = self.qmp.shutdown_reason();
                    return Ok(self.machine.left(reason));
                }
                Err(stop) => return Err(self.link.stopped(stop)),
            }
        }
    }

    /// The QEMU process.
    #[must_use]
    pub fn process(&self) -> u32 {
        self.machine.id()
    }

    /// A folder that lives as long as this guest.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.machine.folder()
    }

    /// Adds to a failure what only the machine knows.
    fn explain<T>(&mut self, mut failure: Failure) -> Result<T, Failure> {
        if let Trouble::Left(left) = &mut failure.trouble {
            // The last event may still be on its way while the serial line is closed already.
            self.machine.left(None);
            *left = self.machine.left(self.qmp.shutdown_reason());
        } else if matches!(
            failure.trouble,
            Trouble::Silent { .. } | Trouble::TimeUp { .. }
        ) && let Ok(registers) = self.qmp.human("info registers")
        {
            let seen = evidence::Cpu::read(&registers);
            if failure.place == Place::Firmware && self.options.firmware == Firmware::Bios {
                failure.place = evidence::place_under_seabios(&self.machine.firmware_messages());
            }
            if matches!(failure.place, Place::Firmware | Place::Bootloader)
                && seen.is_in_the_upper_half()
            {
                failure.place = Place::Boot { stage: None };
            }
            failure.evidence.notes.push(seen.to_string());
        }
        failure.evidence.notes.extend(
            self.machine
                .messages()
                .into_iter()
                .map(|line| format!("QEMU: {line}")),
        );
        Err(failure)
    }
}
