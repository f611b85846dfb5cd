//! A conversation with the kernel's shell over a [`Wire`]: the boot lines, the prompt, the frames.
//!
//! It knows nothing of QEMU, so a test can hold the other end and misbehave in every way.

use std::time::{Duration, Instant};

use shell::Status;
use shell::framing::{Line, VERSION};

use crate::guest::excerpt;
use crate::guest::frame::Frame;
use crate::guest::text::begins_a_fault_report;
use crate::guest::trouble::{Evidence, Failure, Left, Place, Trouble};
use crate::guest::wire::{Limits, Stop, Wire};

/// What the shell shows when it waits for a line.
pub const PROMPT: &str = "ringwalk> ";
/// How long a dying kernel may pause within its report.
const REPORT_PAUSE: Duration = Duration::from_secs(1);
/// How long one that goes on may: its report has an end, and what comes behind it is the answer.
const SURVIVOR_PAUSE: Duration = Duration::from_secs(8);
/// How long a report may take in all.
const REPORT_TIME: Duration = Duration::from_secs(10);
/// How the last line of a report begins.
const REPORT_END: &str = "halted";
/// The most lines of a report that are kept.
const REPORT_LINES: usize = 200;

/// How a boot went.
#[derive(Clone, Debug, Default)]
pub struct Boot {
    /// Each stage the kernel announced and when, counted from the machine's start.
    pub stages: Vec<(String, Duration)>,
    /// When the prompt stood there.
    pub prompt: Duration,
    /// The build id in the banner.
    pub build_id: Option<String>,
    /// Every line up to the prompt, the firmware's too.
    pub lines: Vec<String>,
}

/// The answer to one line.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Its frame's number, from 1.
    pub seq: u64,
    /// The line that was answered.
    pub command: String,
    /// What was printed.
    pub output: Vec<String>,
    /// The messages of commands that failed.
    pub errors: Vec<String>,
    /// Lines of the kernel itself that came meanwhile, about something it survived.
    pub notes: Vec<String>,
    /// How it ended.
    pub status: Status,
    /// How long it took, as seen from here.
    pub took: Duration,
}

impl Reply {
    /// Did every command of the line succeed?
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.status == Status::Ok
    }

    /// The printed lines as one text, each with its line end.
    #[must_use]
    pub fn text(&self) -> String {
        self.output.iter().map(|line| format!("{line}\n")).collect()
    }
}

/// The kernel's shell, at the other end of a serial line.
#[derive(Debug)]
pub struct Link {
    wire: Wire,
    place: Place,
    began: Instant,
    framed: bool,
    seq: u64,
}

impl Link {
    /// Begins to listen; the machine was started at `began`.
    #[must_use]
    pub fn new(wire: Wire, began: Instant) -> Self {
        Self {
            wire,
            place: Place::default(),
            began,
            framed: false,
            seq: 0,
        }
    }

    /// The line itself, for whoever wants bytes.
    pub fn wire(&mut self) -> &mut Wire {
        &mut self.wire
    }

    /// Is the shell framing its output?
    #[must_use]
    pub fn is_framed(&self) -> bool {
        self.framed
    }

    /// Wraps up what went wrong with what is known here.
    #[must_use]
    pub fn failure(&self, trouble: Trouble) -> Failure {
        Failure {
            trouble,
            place: self.place.clone(),
            evidence: Box::new(Evidence {
                notes: Vec::new(),
                last: self.wire.last(),
                log: self.wire.log(),
            }),
        }
    }

    /// The same for a wait that ended.
    #[must_use]
    pub fn stopped(&self, stop: Stop) -> Failure {
        let partial = excerpt(&self.wire.partial());
        self.failure(match stop {
            Stop::Silent(silence) => Trouble::Silent { silence, partial },
            Stop::TimeUp(silence) => Trouble::TimeUp {
                after: self.began.elapsed(),
                silence,
            },
            Stop::Closed => Trouble::Left(Left::Unknown),
            Stop::Interrupted => Trouble::Interrupted,
        })
    }

    /// Reads the boot lines up to the prompt.
    ///
    /// # Errors
    ///
    /// Where the boot stopped, and how.
    pub fn wait_for_prompt(&mut self, limits: Limits) -> Result<Boot, Failure> {
        let mut boot = Boot::default();
        loop {
            let next = self
                .wire
                .line_or(limits, |partial| partial.ends_with(PROMPT));
            let line = match next.map_err(|stop| self.stopped(stop))? {
                Ok(line) => line,
                Err(_prompt) => break,
            };
            if begins_a_fault_report(&line) {
                return Err(self.fault(vec![line]));
            }
            self.place_of_boot_line(&line, &mut boot);
            boot.lines.push(line);
        }
        boot.prompt = self.began.elapsed();
        self.place = Place::Prompt;
        Ok(boot)
    }

    fn place_of_boot_line(&mut self, line: &str, boot: &mut Boot) {
        if let Some(stage) = line.strip_prefix("boot: ") {
            boot.stages.push((stage.to_owned(), self.began.elapsed()));
            self.place = Place::Boot {
                stage: Some(stage.to_owned()),
            };
        } else if let Some(banner) = line.strip_prefix("Ringwalk ") {
            let mut words = banner
                .split_whitespace()
                .skip_while(|word| *word != "build");
            boot.build_id = words.nth(1).map(|id| id.trim_end_matches(',').to_owned());
        } else if line.contains("BdsDxe: starting") && self.place == Place::Firmware {
            self.place = Place::Bootloader;
        }
    }

    /// Waits for the prompt after something typed by hand.
    ///
    /// # Errors
    ///
    /// Why it did not come.
    pub fn prompt_again(&mut self, limits: Limits) -> Result<Vec<String>, Failure> {
        let mut lines = Vec::new();
        loop {
            let next = self
                .wire
                .line_or(limits, |partial| partial.ends_with(PROMPT));
            match next.map_err(|stop| self.stopped(stop))? {
                Ok(line) if begins_a_fault_report(&line) => return Err(self.fault(vec![line])),
                Ok(line) => lines.push(line),
                Err(_prompt) => return Ok(lines),
            }
        }
    }

    /// Turns framing on; `build_id` is compared with what the shell says, unless it is `None`.
    ///
    /// # Errors
    ///
    /// When the shell does not answer as agreed, or is another build.
    pub fn begin_framing(&mut self, build_id: Option<&str>, limits: Limits) -> Result<(), Failure> {
        self.send(b"framing on\r")?;
        loop {
            let line = self.line(limits)?;
            if begins_a_fault_report(&line) {
                return Err(self.fault(vec![line]));
            }
            let Line::Framed { version, build } = Line::parse(&line) else {
                // The echo of what was typed, with whatever the editor drew around it.
                continue;
            };
            if version != VERSION {
                return Err(self.failure(Trouble::Version(version)));
            }
            if let Some(file) = build_id.filter(|id| *id != build) {
                return Err(self.failure(Trouble::Stale {
                    guest: build.to_owned(),
                    file: file.to_owned(),
                }));
            }
            self.framed = true;
            self.seq = 0;
            return Ok(());
        }
    }

    /// Turns framing off and waits for the prompt.
    ///
    /// # Errors
    ///
    /// When the prompt does not come back.
    pub fn end_framing(&mut self, limits: Limits) -> Result<(), Failure> {
        self.send(b"framing off\r")?;
        self.prompt_again(limits)?;
        self.framed = false;
        self.place = Place::Prompt;
        Ok(())
    }

    /// Sends one line and reads the frame that answers it. Framing must be on.
    ///
    /// # Errors
    ///
    /// Everything that makes the answer unfit for use.
    pub fn command(&mut self, line: &str, limits: Limits) -> Result<Reply, Failure> {
        self.answered(line, limits, &mut |_, _| false)
    }

    /// Sends one line and reads the frame that answers it. `report` may take a report of the kernel's
    /// death that begins with a line; what it does not take is a failure.
    fn answered(
        &mut self,
        line: &str,
        limits: Limits,
        report: &mut dyn FnMut(&mut Self, &str) -> bool,
    ) -> Result<Reply, Failure> {
        let seq = self.seq + 1;
        self.place = Place::Command {
            seq,
            text: line.to_owned(),
            lines: 0,
        };
        if line.contains(['\r', '\n']) {
            return Err(self.failure(Trouble::Start("a command is one line".to_owned())));
        }
        let sent = Instant::now();
        self.send(line.as_bytes())?;
        self.send(b"\r")?;

        let mut frame = Frame::new(seq, line);
        let reply = loop {
            let text = self.line(limits)?;
            if begins_a_fault_report(&text) {
                if report(self, &text) {
                    continue;
                }
                return Err(self.fault(vec![text]));
            }
            match frame.take(&text) {
                Ok(None) => {}
                Ok(Some(status)) => {
                    let Frame {
                        output,
                        errors,
                        notes,
                        ..
                    } = frame;
                    let command = line.to_owned();
                    break Reply {
                        seq,
                        command,
                        output,
                        errors,
                        notes,
                        status,
                        took: sent.elapsed(),
                    };
                }
                Err(trouble) => return Err(self.disturbed(trouble)),
            }
            if let Place::Command { lines, .. } = &mut self.place {
                *lines = frame.output.len() + frame.errors.len();
            }
        };
        self.seq = seq;
        self.place = Place::Prompt;
        Ok(reply)
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.wire.send(bytes).map_err(|error| match error.kind() {
            std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut => {
                self.failure(Trouble::Silent {
                    silence: Duration::from_secs(10),
                    partial: "it takes no more input".to_owned(),
                })
            }
            // Whoever closed the line may have said why before.
            _ => self.disturbed(Trouble::Left(Left::Unknown)),
        })
    }

    fn line(&mut self, limits: Limits) -> Result<String, Failure> {
        self.wire.line(limits).map_err(|stop| self.stopped(stop))
    }

    /// A frame is broken. If the kernel is dying, its report says why better than we can.
    fn disturbed(&mut self, trouble: Trouble) -> Failure {
        let place = self.place.clone();
        let limits = Limits::from_now(REPORT_TIME, REPORT_PAUSE);
        self.wire.awake();
        for _ in 0..REPORT_LINES {
            match self.wire.line(limits) {
                Ok(line) if begins_a_fault_report(&line) => return self.fault(vec![line]),
                Ok(_) => {}
                Err(_) => break,
            }
        }
        Failure {
            place,
            ..self.failure(trouble)
        }
    }

    /// Sends one line that crashes the kernel, and reads the report that comes into its frame; then
    /// the frame's rest, if the shell survives. Framing must be on.
    ///
    /// # Errors
    ///
    /// When there is no report, or everything that makes the answer unfit for use.
    pub fn crash(&mut self, line: &str, limits: Limits) -> Result<(Vec<String>, Reply), Failure> {
        let mut report = Vec::new();
        let reply = self.answered(line, limits, &mut |link, text| {
            if report.is_empty() {
                report = link.report(vec![text.to_owned()], SURVIVOR_PAUSE);
                return true;
            }
            false
        })?;
        match report.is_empty() {
            true => Err(self.failure(Trouble::Fault { report })),
            false => Ok((report, reply)),
        }
    }

    /// Reads the rest of a report: to its last line, or until the kernel pauses.
    fn report(&mut self, mut report: Vec<String>, pause: Duration) -> Vec<String> {
        let limits = Limits::from_now(REPORT_TIME, pause);
        self.wire.awake();
        while report.len() < REPORT_LINES {
            match self.wire.line(limits) {
                Ok(line) => {
                    let is_last = line.starts_with(REPORT_END);
                    report.push(line);
                    if is_last {
                        break;
                    }
                }
                Err(_) => break,
            }
        }
        report
    }

    fn fault(&mut self, report: Vec<String>) -> Failure {
        let report = self.report(report, REPORT_PAUSE);
        let mut failure = self.failure(Trouble::Fault { report });
        // The report is what was printed last.
        failure.evidence.last.clear();
        failure
    }
}
