//! One QEMU process: its command line, its two sockets, and its end.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::ExitStatusExt as _;

use crate::guest::Options;
use crate::guest::options::{Accel, Firmware};
use crate::guest::trouble::Left;
use crate::scratch::Scratch;
use crate::signals;
use crate::tools;

/// How long QEMU may take to come up and connect.
const START: Duration = Duration::from_secs(20);
/// How long a QEMU whose sockets closed may take to end.
const END: Duration = Duration::from_secs(3);

/// A running QEMU, ended when dropped.
#[derive(Debug)]
pub struct Machine {
    child: Child,
    ended: Option<ExitStatus>,
    /// When it was started.
    pub began: Instant,
    stderr: PathBuf,
    firmware_log: PathBuf,
    /// What QEMU notes about resets.
    reset_log: PathBuf,
    /// Sockets and logs of this machine only.
    folder: Scratch,
}

/// A machine with its serial line and its monitor.
pub(crate) struct Started {
    pub(crate) machine: Machine,
    pub(crate) serial: UnixStream,
    pub(crate) monitor: UnixStream,
}

/// The arguments every way of booting shares; the serial line and the monitor are not among them.
#[must_use]
pub fn arguments(options: &Options) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut add = |pair: [&str; 2]| words.extend(pair.map(str::to_owned));
    add(["-machine", "q35"]);
    words.push("-nodefaults".to_owned());
    let mut add = |pair: [&str; 2]| words.extend(pair.map(str::to_owned));
    add(["-vga", if options.screen { "std" } else { "none" }]);
    if let Some(cpu) = &options.cpu {
        add(["-cpu", cpu]);
    }
    add(["-m", &options.memory_mib.to_string()]);
    add(["-smp", &options.smp.to_string()]);
    add(["-accel", options.accel.word()]);
    if options.firmware == Firmware::Uefi {
        add(["-bios", &options.ovmf.display().to_string()]);
    }
    // A comma in a file name would end the value.
    let name = |file: &Path| file.display().to_string().replace(',', ",,");
    match &options.overlay {
        None => {
            let image = name(&options.image);
            let drive = format!("if=none,id=disk,format=raw,snapshot=on,file={image}");
            add(["-drive", &drive]);
        }
        Some(overlay) => {
            let overlay = name(overlay);
            add([
                "-drive",
                &format!("if=none,id=under,format=qcow2,file={overlay}"),
            ]);
            add(["-drive", "if=none,id=disk,driver=blkreplay,image=under"]);
            // When a snapshot is loaded, this device waits for the processor, which in a replay waits
            // for it: QEMU 7.2 hangs. It speeds up Windows on KVM and does nothing for us.
            add(["-global", "apic-common.vapic=off"]);
        }
    }
    add(["-device", "ide-hd,drive=disk,bus=ide.0"]);
    if options.gdb {
        // Only this machine may connect: the stub has no password.
        add(["-gdb", &format!("tcp:127.0.0.1:{}", crate::gdb::port())]);
        words.push("-S".to_owned());
    }
    words.extend(options.extra.iter().cloned());
    words
}

impl Machine {
    /// Starts QEMU and waits until both sockets are connected.
    pub(crate) fn start(options: &Options) -> Result<Started, String> {
        if options.accel == Accel::Kvm && !Path::new("/dev/kvm").exists() {
            return Err("--accel kvm: this machine has no /dev/kvm".to_owned());
        }
        let text = |error: std::io::Error| error.to_string();
        let folder = Scratch::new("guest").map_err(text)?;
        let at = |name: &str| folder.path().join(name);
        let serial = UnixListener::bind(at("serial")).map_err(text)?;
        let monitor = UnixListener::bind(at("monitor")).map_err(text)?;
        let stderr = at("stderr");
        let firmware_log = at("firmware");
        let reset_log = at("resets");

        let mut command = outliving_nobody(&options.qemu);
        command
            .args(arguments(options))
            .args(["-display", "none", "-no-reboot"])
            // Only what comes before a reset: whether it was a triple fault.
            .args(["-d", "cpu_reset", "-D"])
            .arg(&reset_log);
        // QEMU connects to us: no byte can be lost before we listen.
        for (name, use_it) in [("serial", "-serial"), ("monitor", "-mon")] {
            let socket = format!("socket,id={name},path={}", at(name).display());
            command.args(["-chardev", &socket]);
            let value = if name == "serial" {
                "chardev:serial"
            } else {
                "chardev=monitor,mode=control"
            };
            // The socket is there either way; without a port nothing comes through it.
            if name != "serial" || options.serial {
                command.args([use_it, value]);
            }
        }
        // A recording must have what its replay has, and no more.
        if options.firmware == Firmware::Bios && options.overlay.is_none() {
            // SeaBIOS tells its story to this port; it shows how far the firmware came.
            let file = format!("file,id=firmware,path={}", firmware_log.display());
            command.args(["-chardev", &file]);
            command.args(["-device", "isa-debugcon,iobase=0x402,chardev=firmware"]);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(std::fs::File::create(&stderr).map_err(text)?);

        let began = Instant::now();
        let child =
            spawn(command).map_err(|error| format!("{}: {error}", options.qemu.display()))?;
        let mut machine = Self {
            child,
            ended: None,
            began,
            stderr,
            firmware_log,
            reset_log,
            folder,
        };
        let serial = machine.accept(&serial)?;
        let monitor = machine.accept(&monitor)?;
        Ok(Started {
            machine,
            serial,
            monitor,
        })
    }

    fn accept(&mut self, listener: &UnixListener) -> Result<UnixStream, String> {
        listener
            .set_nonblocking(true)
            .map_err(|error| error.to_string())?;
        loop {
            match listener.accept() {
                Ok((stream, _)) => return Ok(stream),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.to_string()),
            }
            if self.poll().is_some() {
                return Err(self.ended_at_once());
            }
            if self.began.elapsed() > START {
                return Err(format!("QEMU did not connect in {} s", START.as_secs()));
            }
            if signals::asked_to_stop() {
                return Err("interrupted".to_owned());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Why the monitor of a machine that was just started says nothing but `why`.
    pub(crate) fn no_start(&mut self, why: &str) -> String {
        // It closes its sockets a moment before it ends.
        self.left(None);
        match self.poll() {
            Some(_) => self.ended_at_once(),
            None => why.to_owned(),
        }
    }

    fn ended_at_once(&self) -> String {
        let mut lines = vec!["QEMU ended at once".to_owned()];
        lines.extend(self.messages());
        lines.join("\n  ")
    }

    /// Has it ended?
    pub fn poll(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().ok().flatten();
        }
        self.ended
    }

    /// The number of the process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits a moment for the end, and says how it came, given QEMU's own word for it.
    pub fn left(&mut self, reason: Option<String>) -> Left {
        let until = Instant::now() + END;
        while self.poll().is_none() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
        match how_it_left(self.ended, reason) {
            Left::Reset if self.had_a_triple_fault() => Left::TripleFault,
            left => left,
        }
    }

    /// Whether QEMU's log has one. It is the guest's last: nothing resets it without ending it.
    fn had_a_triple_fault(&self) -> bool {
        let text = std::fs::read(&self.reset_log).unwrap_or_default();
        let is_one = |line: &[u8]| line == b"Triple fault";
        text.split(|byte| *byte == b'\n').any(is_one)
    }

    /// What QEMU itself had to say.
    #[must_use]
    pub fn messages(&self) -> Vec<String> {
        let text = std::fs::read(&self.stderr).unwrap_or_default();
        String::from_utf8_lossy(&text)
            .lines()
            .map(str::to_owned)
            .collect()
    }

    /// What SeaBIOS had to say, if it is the firmware.
    #[must_use]
    pub fn firmware_messages(&self) -> Vec<String> {
        let text = std::fs::read(&self.firmware_log).unwrap_or_default();
        String::from_utf8_lossy(&text)
            .lines()
            .map(str::to_owned)
            .collect()
    }

    /// A private folder that lives as long as the machine.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if self.poll().is_none() {
            // Its disk is a snapshot, so there is nothing it could leave half written.
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}

fn how_it_left(status: Option<ExitStatus>, reason: Option<String>) -> Left {
    match (
        status.and_then(|status| status.code()),
        status.and_then(|status| status.signal()),
    ) {
        (_, Some(signal)) => return Left::Signal(signal),
        (Some(code @ 1..), _) => return Left::Exit(code),
        _ => {}
    }
    match reason.as_deref() {
        Some("guest-shutdown") => Left::PowerOff,
        Some("guest-reset") => Left::Reset,
        Some(other) => Left::Reason(other.to_owned()),
        None => Left::Unknown,
    }
}

/// The program, arranged to be ended by the system should we be ended without a chance to do it.
pub(crate) fn outliving_nobody(program: &Path) -> Command {
    match tools::in_path("setpriv") {
        Some(setpriv) => {
            let mut command = Command::new(setpriv);
            command.args(["--pdeathsig", "KILL"]).arg(program);
            command
        }
        None => Command::new(program),
    }
}

type Request = (Command, Sender<std::io::Result<Child>>);

/// Starts a program from a thread that lives as long as we do: "when my parent dies" means the
/// parent *thread*, and a test's thread ends long before a machine that tests share.
fn spawn(command: Command) -> std::io::Result<Child> {
    static SPAWNER: OnceLock<Mutex<Sender<Request>>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (sender, requests) = channel::<Request>();
        std::thread::spawn(move || {
            for (mut command, answer) in requests {
                // Nobody to answer to: the child, if there is one, ends with us.
                drop(answer.send(command.spawn()));
            }
        });
        Mutex::new(sender)
    });
    let (answer, child) = channel();
    let gone = || std::io::Error::other("the thread that starts programs is gone");
    let sent = spawner
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .send((command, answer));
    sent.map_err(|_| gone())?;
    child.recv().map_err(|_| gone())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crash_of_qemu_is_not_blamed_on_the_guests_own_reset() {
        let status = |raw| Some(ExitStatus::from_raw(raw));
        let reset = || Some("guest-reset".to_owned());
        assert_eq!(how_it_left(status(0), reset()), Left::Reset);
        assert_eq!(
            how_it_left(status(0), Some("guest-shutdown".to_owned())),
            Left::PowerOff
        );
        assert_eq!(how_it_left(status(134 << 8), reset()), Left::Exit(134));
        assert_eq!(how_it_left(status(6), reset()), Left::Signal(6));
        assert_eq!(how_it_left(None, None), Left::Unknown);
        assert_eq!(Left::Signal(6).to_string(), "QEMU itself aborted");
    }
}
