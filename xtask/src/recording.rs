//! `record`: what the kernel does with some commands, so that it can be done again, step for step.
//!
//! The machine boots as always, on a disk that can hold snapshots, and one is taken at the prompt.
//! From there it runs a second time with QEMU counting instructions (`-icount`) and noting whatever
//! comes from outside. So a recording is short, a replay of it takes about a second, and each step
//! backwards, which QEMU makes by beginning again from the snapshot, as long.
//!
//! A recording is a folder: the disk, the overlay with the snapshot, QEMU's log, the kernel file with
//! its symbols, and `about.json`.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail};
use serde_json::{Value, json};

use crate::built::Built;
use crate::guest::{Failure, Firmware, Guest, Options, Trouble};
use crate::qcow2;

const SNAPSHOT: &str = "prompt";
/// The receiving FIFO of the UART has 16 bytes, and a QEMU that records takes no more once it is full.
const PIECE: usize = 8;
/// How often the state of the machine is looked at while its serial line is silent.
const LOOK: Duration = Duration::from_millis(300);
/// How long a command may be silent before it counts as one that hangs.
const HANGS: Duration = Duration::from_secs(10);

/// Where a recording begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// At the prompt: short, and quick to go back in.
    Prompt,
    /// When the machine is switched on. Each step back runs the kernel's boot again.
    PowerOn,
}

/// A recording on this machine.
#[derive(Clone, Debug)]
pub struct Recording {
    folder: PathBuf,
    options: Options,
    begin: Begin,
    /// The number of the last instruction, which is not executed yet when a replay stops there.
    pub last: u64,
    /// How it ended, in words.
    pub end: String,
}

/// Records what these commands do; `echo` shows the serial line meanwhile.
///
/// # Errors
///
/// When the machine does not boot, or QEMU fails.
pub fn make(
    built: &Built,
    options: &Options,
    begin: Begin,
    commands: &[String],
    echo: bool,
) -> anyhow::Result<Recording> {
    let folder = built.project.target().join("recording");
    make_in(&folder, &built.kernel.whole, options, begin, commands, echo)
}

/// The same, into a folder of one's choice, which is emptied.
///
/// # Errors
///
/// As [`make`].
pub fn make_in(
    folder: &Path,
    kernel: &Path,
    options: &Options,
    begin: Begin,
    commands: &[String],
    echo: bool,
) -> anyhow::Result<Recording> {
    // QEMU 7.2 aborts when it is asked to go back from where a machine was switched off.
    let leaves =
        |command: &&String| command.starts_with("poweroff") || command.starts_with("reboot");
    if let Some(command) = commands.iter().find(leaves) {
        bail!("record: leave out `{command}`: a recording ends after its last command by itself");
    }
    if folder.exists() {
        std::fs::remove_dir_all(folder)?;
    }
    std::fs::create_dir_all(folder)?;
    let folder = folder.canonicalize()?;
    let copy = |from: &Path, name: &str| {
        let to = folder.join(name);
        let copied = std::fs::copy(from, &to);
        copied.with_context(|| format!("cannot copy {}", from.display()))?;
        anyhow::Ok(to)
    };
    copy(kernel, "kernel.elf")?;
    let mut options = options.clone();
    options.image = copy(&options.image, "disk.img")?;
    let overlay = folder.join("overlay.qcow2");
    qcow2::overlay(&overlay, &options.image)?;
    options.overlay = Some(overlay);

    if begin == Begin::Prompt {
        let mut guest = Guest::boot(&options)?;
        guest.qmp("stop", json!({}))?;
        let said = guest.hmp(&format!("savevm {SNAPSHOT}"))?;
        if !said.trim().is_empty() {
            bail!("QEMU took no snapshot: {}", said.trim());
        }
    }

    let mut recording = Recording {
        folder,
        options,
        begin,
        last: 0,
        end: String::new(),
    };
    let mut options = recording.options.clone();
    options.extra.extend(recording.counting("record"));
    options.extra.push("-no-shutdown".to_owned());
    let mut guest = Guest::start(&options)?;
    recording.end = match begin {
        Begin::Prompt => typed(&mut guest, commands, echo)?,
        Begin::PowerOn => match guest.wait_for_prompt() {
            Ok(()) => typed(&mut guest, commands, echo)?,
            Err(failure) => format!("the boot ended before its prompt: {failure}"),
        },
    };
    drop(guest.qmp("stop", json!({})));
    let said = guest.hmp("info replay")?;
    let count = said
        .trim()
        .rsplit(' ')
        .next()
        .and_then(|word| word.parse().ok());
    recording.last = count.with_context(|| format!("no instruction count in {said:?}"))?;
    // Ended by itself, QEMU finishes its log.
    drop(guest.qmp("quit", json!({})));
    drop(guest.wait_for_end());
    recording.write()?;
    Ok(recording)
}

/// Types commands at the prompt of a machine that goes on from the snapshot; how it ended, in words.
fn typed(guest: &mut Guest, commands: &[String], echo: bool) -> anyhow::Result<String> {
    for command in commands {
        for piece in command.as_bytes().chunks(PIECE) {
            guest.send_raw(piece)?;
            for byte in piece {
                show(&guest.read_until(&[*byte])?, echo);
            }
        }
        guest.send_raw(b"\r")?;
        let until = Instant::now() + guest.options().timeout;
        let mut silent = Instant::now();
        guest.set_silence(LOOK);
        loop {
            match guest.read_until(b"ringwalk> ") {
                Ok(text) => {
                    show(&text, echo);
                    break;
                }
                Err(Failure {
                    trouble: Trouble::Silent { silence, .. },
                    ..
                }) => {
                    let status = guest.hmp("info status")?;
                    let text = guest.drain(Duration::from_millis(1));
                    show(&text, echo);
                    if status.contains("shutdown") {
                        return Ok(format!("`{command}` ended the machine"));
                    }
                    if !text.is_empty() {
                        silent = Instant::now();
                    }
                    if silent.elapsed() > HANGS.max(silence) || Instant::now() > until {
                        return Ok(format!("`{command}` did not come to an end"));
                    }
                }
                Err(failure) => return Err(anyhow!(failure)),
            }
        }
        guest.set_silence(HANGS);
    }
    Ok("all commands were run".to_owned())
}

fn show(bytes: &[u8], echo: bool) {
    use std::io::Write as _;
    if echo {
        let mut stdout = std::io::stdout().lock();
        drop(stdout.write_all(bytes).and_then(|()| stdout.flush()));
    }
}

impl Recording {
    /// One that was made before.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn open(folder: &Path) -> anyhow::Result<Self> {
        let about = std::fs::read_to_string(folder.join("about.json")).map_err(|_| {
            anyhow!(
                "no recording in {} (cargo xtask record makes one)",
                folder.display()
            )
        })?;
        let about: Value = serde_json::from_str(&about).context("about.json")?;
        let text = |name: &str| {
            about
                .get(name)
                .and_then(Value::as_str)
                .context(name.to_owned())
        };
        let number = |name: &str| {
            about
                .get(name)
                .and_then(Value::as_u64)
                .context(name.to_owned())
        };
        let firmware = match text("firmware")? {
            "bios" => Firmware::Bios,
            _ => Firmware::Uefi,
        };
        let cpu = about.get("cpu").and_then(Value::as_str).map(str::to_owned);
        let folder = folder.canonicalize()?;
        let options = Options {
            qemu: text("qemu")?.into(),
            ovmf: text("ovmf")?.into(),
            image: folder.join("disk.img"),
            disks: None,
            build_id: None,
            overlay: Some(folder.join("overlay.qcow2")),
            firmware,
            memory_mib: u32::try_from(number("memory_mib")?)?,
            smp: 1,
            accel: crate::guest::Accel::Tcg,
            cpu,
            serial: true,
            screen: true,
            gdb: false,
            extra: Vec::new(),
            timeout: Duration::from_secs(60),
            silence: Duration::from_secs(60),
            logs: folder.join("logs"),
        };
        let begin = match about.get("begin").and_then(Value::as_str) {
            Some("power-on") => Begin::PowerOn,
            _ => Begin::Prompt,
        };
        Ok(Self {
            folder,
            options,
            begin,
            last: number("last")?,
            end: text("end")?.to_owned(),
        })
    }

    fn write(&self) -> anyhow::Result<()> {
        let about = json!({
            "qemu": self.options.qemu,
            "ovmf": self.options.ovmf,
            "firmware": self.options.firmware.word(),
            "memory_mib": self.options.memory_mib,
            "cpu": self.options.cpu,
            "begin": self.begin(),
            "last": self.last,
            "end": self.end,
        });
        let text = serde_json::to_string_pretty(&about)?;
        Ok(std::fs::write(self.folder.join("about.json"), text)?)
    }

    /// The machine it was made on.
    #[must_use]
    pub fn options(&self) -> Options {
        self.options.clone()
    }

    /// The kernel, with its symbols.
    #[must_use]
    pub fn kernel(&self) -> PathBuf {
        self.folder.join("kernel.elf")
    }

    /// Where it begins, in a word.
    #[must_use]
    pub fn begin(&self) -> &'static str {
        match self.begin {
            Begin::Prompt => "prompt",
            Begin::PowerOn => "power-on",
        }
    }

    /// The words for QEMU to replay it, stopped at its beginning.
    #[must_use]
    pub fn replaying(&self) -> Vec<String> {
        let mut words = self.counting("replay");
        // One instruction at a time: QEMU knows which instruction hit a watchpoint only to the end of
        // the piece of code that it translates at once.
        // Firmware would take minutes so: there it is `scripts/gdb` that says when.
        if self.begin == Begin::Prompt {
            words.push("-singlestep".to_owned());
        }
        words.push("-S".to_owned());
        words
    }

    /// `shift=0`: an instruction is a nanosecond of the machine's time. `sleep=on`: while the machine
    /// waits, its time is ours; else an idle prompt would fill the log with ticks.
    fn counting(&self, mode: &str) -> Vec<String> {
        let log = self
            .folder
            .join("log.rr")
            .display()
            .to_string()
            .replace(',', ",,");
        let count = format!("shift=0,sleep=on,rr={mode},rrfile={log}");
        let words = match self.begin {
            Begin::Prompt => vec!["-loadvm", SNAPSHOT, "-icount", &count],
            // QEMU takes the snapshot itself, before the first instruction.
            Begin::PowerOn => {
                return vec![
                    "-icount".to_owned(),
                    format!("{count},rrsnapshot={SNAPSHOT}"),
                ];
            }
        };
        words.into_iter().map(str::to_owned).collect()
    }
}

impl fmt::Display for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\nrecorded up to instruction {}: {}",
            self.last, self.end
        )?;
        write!(f, "cargo xtask replay looks at it with GDB")
    }
}
