//! What can go wrong with a guest, told apart, each with its evidence.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Why a guest could not be used any further.
#[derive(Clone, Debug)]
pub struct Failure {
    /// What happened.
    pub trouble: Trouble,
    /// Where the guest was.
    pub place: Place,
    /// What else is known.
    pub evidence: Box<Evidence>,
}

impl Failure {
    /// What happened and where, as one line.
    #[must_use]
    pub fn reason(&self) -> String {
        if let Trouble::Fault { report } = &self.trouble
            && let Some(fault) = report.first()
        {
            return format!("{}; {}", fault.trim(), self.place);
        }
        let text = self.to_string();
        let first = text.lines().next().unwrap_or_default();
        first.trim_end_matches(':').to_owned()
    }
}

/// What shows that a failure is what we say it is.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// Registers, QEMU's own messages.
    pub notes: Vec<String>,
    /// The last lines the guest printed.
    pub last: Vec<String>,
    /// The file with everything it printed.
    pub log: Option<PathBuf>,
}

/// Where a guest was, as far as its serial line tells.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Place {
    /// Before anything of ours ran.
    #[default]
    Firmware,
    /// After the firmware handed over, before the kernel's first line.
    Bootloader,
    /// In the kernel, on its way to the prompt.
    Boot {
        /// The last stage it announced, if any.
        stage: Option<String>,
    },
    /// Waiting for a line.
    Prompt,
    /// Answering a line.
    Command {
        /// Its number, from 1.
        seq: u64,
        /// The line.
        text: String,
        /// How many lines of its answer had come.
        lines: usize,
    },
}

/// One kind of trouble.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Trouble {
    /// The machine could not be started at all.
    Start(String),
    /// Nothing came for too long.
    Silent {
        /// How long.
        silence: Duration,
        /// The beginning of a line that was never finished.
        partial: String,
    },
    /// It was not silent for too long, but the time for all of it is over.
    TimeUp {
        /// How long that was.
        after: Duration,
        /// For how long it had been silent by then.
        silence: Duration,
    },
    /// A line that belongs to no frame, or is not whole.
    Torn {
        /// The line.
        line: String,
    },
    /// A marker did not come where it had to.
    Missing {
        /// The marker.
        marker: &'static str,
        /// What came in its place.
        got: String,
    },
    /// A frame has the wrong number.
    Sequence {
        /// The number it should have.
        expected: u64,
        /// The number it has.
        got: u64,
    },
    /// The guest answers another line than the one sent: some of it was lost on the way.
    Misheard {
        /// What was sent.
        sent: String,
        /// What the frame says was received.
        received: String,
    },
    /// Lines were lost or added.
    Count {
        /// How many the end marker announces.
        announced: u64,
        /// How many came.
        counted: u64,
    },
    /// Bytes were lost or changed.
    Checksum {
        /// What the end marker announces.
        announced: u32,
        /// What the lines that came add up to.
        computed: u32,
    },
    /// The kernel reported a fault or a panic.
    Fault {
        /// Its report.
        report: Vec<String>,
    },
    /// The guest is gone.
    Left(Left),
    /// The guest runs another build than the one on the host.
    Stale {
        /// The build id the guest printed.
        guest: String,
        /// The build id of the kernel file.
        file: String,
    },
    /// The guest speaks another version of the protocol.
    Version(u32),
    /// The machine monitor did not do what was asked.
    Monitor(String),
    /// Ctrl-C, or a signal to end.
    Interrupted,
}

/// How a guest left.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Left {
    /// It switched itself off.
    PowerOff,
    /// It reset, as it does when it is asked to reboot.
    Reset,
    /// It reset because a double fault could not be delivered.
    TripleFault,
    /// QEMU gave another reason.
    Reason(String),
    /// QEMU ended with this status, which is not the guest's doing alone.
    Exit(i32),
    /// QEMU was ended by this signal.
    Signal(i32),
    /// The serial line closed and nobody says why.
    Unknown,
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Left::PowerOff => write!(f, "it switched itself off"),
            Left::Reset => write!(f, "it reset"),
            Left::TripleFault => write!(f, "it reset: a triple fault"),
            Left::Reason(reason) => write!(f, "QEMU says: {reason}"),
            // QEMU aborts on some states a guest can bring about, such as a broken TSS.
            Left::Exit(134) | Left::Signal(6) => write!(f, "QEMU itself aborted"),
            Left::Exit(code) => write!(f, "QEMU ended with status {code}"),
            Left::Signal(signal) => write!(f, "QEMU was ended by signal {signal}"),
            Left::Unknown => write!(f, "its serial line closed"),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Firmware => write!(f, "in the firmware"),
            Place::Bootloader => write!(f, "in the bootloader, before the kernel's first line"),
            Place::Boot { stage: Some(stage) } => {
                write!(f, "in the kernel, after boot stage `{stage}`")
            }
            Place::Boot { stage: None } => write!(f, "in the kernel, before its first boot stage"),
            Place::Prompt => write!(f, "at the prompt"),
            Place::Command {
                seq,
                text,
                lines: 0,
            } => {
                write!(f, "in command {seq} `{text}`, before its first line")
            }
            Place::Command { seq, text, lines } => {
                write!(
                    f,
                    "in command {seq} `{text}`, after line {lines} of its answer"
                )
            }
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Start(why) => write!(f, "the machine did not start: {why}"),
            Trouble::Silent { silence, partial } => {
                write!(
                    f,
                    "the guest is silent: nothing for {:.1} s",
                    silence.as_secs_f64()
                )?;
                if partial.is_empty() {
                    Ok(())
                } else {
                    write!(f, ", in the middle of the line `{partial}`")
                }
            }
            Trouble::TimeUp { after, silence } => {
                let (after, silence) = (after.as_secs_f64(), silence.as_secs_f64());
                write!(f, "time is up: not done after {after:.1} s, ")?;
                write!(f, "the last {silence:.1} s of them silent")
            }
            Trouble::Torn { line } => write!(f, "torn line: `{line}` belongs to no frame"),
            Trouble::Missing { marker, got } => {
                write!(f, "missing marker: `{got}` came where {marker} should be")
            }
            Trouble::Sequence { expected, got } => {
                write!(
                    f,
                    "wrong sequence number: frame {got} came where {expected} should be"
                )
            }
            Trouble::Misheard { sent, received } => {
                write!(
                    f,
                    "the guest received another line than was sent: sent `{sent}`, received `{received}`"
                )
            }
            Trouble::Count { announced, counted } => {
                write!(
                    f,
                    "wrong line count: the frame announces {announced} lines, {counted} came"
                )
            }
            Trouble::Checksum {
                announced,
                computed,
            } => {
                write!(
                    f,
                    "wrong checksum: the frame announces {announced:08x}, its lines give {computed:08x}"
                )
            }
            Trouble::Fault { .. } => write!(f, "the kernel reported a fault"),
            Trouble::Left(left) => write!(f, "the guest left early: {left}"),
            Trouble::Stale { guest, file } => {
                write!(
                    f,
                    "stale image: the guest is build {guest}, the kernel file is build {file}"
                )
            }
            Trouble::Version(version) => {
                write!(f, "the guest frames its output in version {version}, not 1")
            }
            Trouble::Monitor(why) => write!(f, "QEMU's monitor: {why}"),
            Trouble::Interrupted => write!(f, "interrupted"),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.trouble)?;
        // Where there was no machine, it was nowhere.
        if !matches!(self.trouble, Trouble::Start(_)) {
            write!(f, "; {}", self.place)?;
        }
        if let Trouble::Fault { report } = &self.trouble {
            for line in report {
                write!(f, "\n  {line}")?;
            }
        }
        let Evidence { notes, last, log } = &*self.evidence;
        for note in notes {
            write!(f, "\n  {note}")?;
        }
        if !last.is_empty() {
            write!(f, "\n  the last lines on its serial port:")?;
            for line in last {
                write!(f, "\n    {line}")?;
            }
        }
        if let Some(log) = log {
            write!(f, "\n  all of them: {}", log.display())?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}
