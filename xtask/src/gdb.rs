//! `gdb` and `replay`: GDB on a kernel that runs, is dead, or ran before.
//!
//! GDB has the terminal. QEMU is in the background, and what the kernel writes on its serial line
//! comes in between GDB's own lines; `rw send` types there. What GDB does is in `scripts/gdb`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use crate::built::Built;
use crate::cli::Debug;
use crate::exec::Outcome;
use crate::guest::{Failure, Guest, Left, Options, Trouble, machine};
use crate::project::Project;
use crate::recording::Recording;
use crate::scratch::Scratch;
use crate::{signals, tools};

/// Where `run --gdb` waits, unless `RINGWALK_GDB_PORT` says otherwise.
const PORT: u16 = 1234;
/// How long QEMU may take to come up.
const START: Duration = Duration::from_secs(20);
/// How long a machine whose commands are done may go on before its state is looked at.
const SILENCE: Duration = Duration::from_secs(5);

/// The script that both a person and we give to GDB.
#[must_use]
pub fn script(project: &Project) -> PathBuf {
    project.root().join("scripts/gdb/ringwalk.gdb")
}

/// GDB with our script, which connects to the stub at `place`.
#[must_use]
pub fn debugger(project: &Project, gdb: &Path, kernel: &Path, place: &str) -> Command {
    let mut command = Command::new(gdb);
    command.arg("-q").arg("-x").arg(script(project));
    command.env("RINGWALK_KERNEL", kernel);
    command.env("RINGWALK_GDB", place);
    command
}

/// A GDB session.
///
/// # Errors
///
/// When there is no machine to look at, or no GDB.
pub fn run(
    built: &Built,
    options: &Options,
    what: &Debug,
    commands: &[String],
    words: &[OsString],
) -> anyhow::Result<Outcome> {
    match what {
        Debug::Core(file, _) if commands.is_empty() => dump(built, file, words),
        Debug::Core(file, _) => core(file, commands),
        Debug::PostMortem(_) => post_mortem(built, options, commands, words),
        Debug::Live => live(built, options, words),
    }
}

fn live(built: &Built, options: &Options, words: &[OsString]) -> anyhow::Result<Outcome> {
    let gdb = &built.ready.tools.gdb;
    let port = port();
    if somebody_listens(port) {
        eprintln!("attaching to the machine at localhost:{port}, which goes on when GDB leaves");
        let place = format!("localhost:{port}");
        let mut command = debugger(&built.project, gdb, &built.kernel.whole, &place);
        command.args(words);
        return session(command);
    }
    let folder = Scratch::new("gdb")?;
    let qemu = Background::start(options, &["-S"], folder)?;
    let mut command = debugger(
        &built.project,
        gdb,
        &built.kernel.whole,
        &qemu.stub().display().to_string(),
    );
    command.env("RINGWALK_CONSOLE", qemu.console()).args(words);
    session(command)
}

/// Runs commands until the machine is dead, hangs or has done them all, and looks at what is left.
fn post_mortem(
    built: &Built,
    options: &Options,
    commands: &[String],
    words: &[OsString],
) -> anyhow::Result<Outcome> {
    let mut options = options.clone();
    options.extra.extend(["-no-shutdown".to_owned()]);
    let mut guest = Guest::boot(&options)?;
    for command in commands {
        eprintln!("> {command}");
        let end = die(&mut guest, command, options.timeout);
        eprintln!("{}", end?);
    }
    let socket = guest.folder().join("gdb");
    guest.hmp(&format!(
        "gdbserver unix:{},server=on,wait=off",
        socket.display()
    ))?;
    let mut command = debugger(
        &built.project,
        &built.ready.tools.gdb,
        &built.kernel.whole,
        &socket.display().to_string(),
    );
    command.args(words);
    session(command)
}

/// Runs one command, and says in words what became of it.
fn die(guest: &mut Guest, command: &str, timeout: Duration) -> anyhow::Result<String> {
    // A machine that died is paused, not gone: its serial line is merely silent.
    let silence = guest.options().silence;
    guest.set_silence(SILENCE.min(silence));
    let began = Instant::now();
    let result = guest.command(command);
    let said = loop {
        match &result {
            Ok(reply) => break reply.text().trim_end().to_owned(),
            Err(Failure {
                trouble: Trouble::Silent { .. } | Trouble::Left(Left::Unknown),
                ..
            }) => {
                let status = guest.hmp("info status")?;
                if status.contains("shutdown") {
                    break "the machine is dead: a triple fault, or it was switched off".to_owned();
                }
                if began.elapsed() > timeout.min(SILENCE * 2) {
                    break format!("no answer; {}", status.trim());
                }
                std::thread::sleep(SILENCE / 10);
            }
            Err(failure) => break failure.to_string(),
        }
    };
    guest.set_silence(silence);
    Ok(said)
}

/// GDB on a dump, for which we answer as QEMU would (`rw --stub`).
fn dump(built: &Built, file: &Path, words: &[OsString]) -> anyhow::Result<Outcome> {
    let program = std::env::current_exe()?;
    let stub = stub_of(&program, &["rw"], file);
    let gdb = &built.ready.tools.gdb;
    let mut command = debugger(&built.project, gdb, &built.kernel.whole, &stub);
    command.args(words);
    session(command)
}

/// What GDB connects to for a dump: a program that it starts itself, through a shell.
#[must_use]
pub fn stub_of(program: &Path, words: &[&str], file: &Path) -> String {
    let quoted = |path: &Path| format!("'{}'", path.display().to_string().replace('\'', r"'\''"));
    let mut text = format!("| {}", quoted(program));
    for word in words {
        text.push(' ');
        text.push_str(word);
    }
    text + &format!(" --core {} --stub", quoted(file))
}

/// Runs the shell's commands on a dump, without GDB.
fn core(file: &Path, commands: &[String]) -> anyhow::Result<Outcome> {
    let mut words = vec![OsString::from("--core"), file.into()];
    for command in commands {
        words.extend(["-c".into(), command.into()]);
    }
    let is_ok = host::main(lexopt::Parser::from_args(words)).map_err(|why| why.context("gdb"))?;
    Ok(if is_ok { Outcome::Ok } else { Outcome::Failed })
}

/// GDB on the last recording.
///
/// # Errors
///
/// When there is none, or QEMU or GDB cannot be started.
pub fn replay(project: &Project, words: &[OsString]) -> anyhow::Result<Outcome> {
    let recording = Recording::open(&project.target().join("recording"))?;
    let gdb = tools::in_path("gdb").context("replay: no gdb (cargo xtask setup installs it)")?;
    let options = recording.options();
    let folder = Scratch::new("replay")?;
    let extra = recording.replaying();
    let extra: Vec<&str> = extra.iter().map(String::as_str).collect();
    let qemu = Background::start(&options, &extra, folder)?;
    let mut command = debugger(
        project,
        &gdb,
        &recording.kernel(),
        &qemu.stub().display().to_string(),
    );
    command.env("RINGWALK_CONSOLE", qemu.console());
    command.env("RINGWALK_REPLAY", recording.last.to_string());
    command.env("RINGWALK_REPLAY_BEGIN", recording.begin());
    command.args(words);
    session(command)
}

/// The port of this machine at which `run --gdb` waits and `gdb` looks.
#[must_use]
pub fn port() -> u16 {
    let named = std::env::var("RINGWALK_GDB_PORT").ok();
    named.and_then(|port| port.parse().ok()).unwrap_or(PORT)
}

/// Whether some program accepts connections at this port of this machine. It is not tried: who
/// connects to a GDB stub stops the machine.
pub fn somebody_listens(port: u16) -> bool {
    const LISTENS: &str = "0A";
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap_or_default();
    let wanted = format!(":{port:04X}");
    table.lines().any(|line| {
        let mut words = line.split_whitespace().skip(1);
        let is_it = words.next().is_some_and(|local| local.ends_with(&wanted));
        is_it && words.nth(1) == Some(LISTENS)
    })
}

/// Gives the terminal to a program until it ends.
fn session(mut command: Command) -> anyhow::Result<Outcome> {
    signals::leave_to_the_child();
    let name = command.get_program().display().to_string();
    let status = command
        .status()
        .with_context(|| format!("cannot start {name}"))?;
    Ok(match status.code() {
        Some(0) => Outcome::Ok,
        Some(1) => Outcome::Failed,
        _ => Outcome::Broken,
    })
}

/// A QEMU that does not have the terminal: GDB reaches it by a socket, and its serial line by another.
#[derive(Debug)]
pub struct Background {
    child: Child,
    folder: Scratch,
}

impl Background {
    /// Starts one, and waits until its sockets are there.
    ///
    /// # Errors
    ///
    /// When it does not come up; what it said is in the message.
    pub fn start(options: &Options, extra: &[&str], folder: Scratch) -> anyhow::Result<Self> {
        use std::os::unix::process::CommandExt as _;
        let at = |name: &str| folder.path().join(name).display().to_string();
        let mut options = options.clone();
        options.gdb = false;
        let mut command = machine::outliving_nobody(&options.qemu);
        command
            .args(machine::arguments(&options))
            .args(["-display", "none", "-no-reboot", "-no-shutdown"])
            .args([
                "-chardev",
                &format!("socket,id=serial,server=on,wait=off,path={}", at("serial")),
            ])
            .args(["-serial", "chardev:serial"])
            .args(["-gdb", &format!("unix:{},server=on,wait=off", at("gdb"))])
            .args(extra)
            // Ctrl-C on the terminal is for GDB, which passes it on.
            .process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(std::fs::File::create(at("stderr"))?);
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {}", options.qemu.display()))?;
        let mut started = Self { child, folder };
        let until = Instant::now() + START;
        while !started.stub().exists() || !started.console().exists() {
            if started.child.try_wait()?.is_some() || Instant::now() > until {
                let said = std::fs::read_to_string(started.folder.path().join("stderr"));
                bail!("QEMU did not come up\n{}", said.unwrap_or_default().trim());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(started)
    }

    /// The socket of the GDB stub.
    #[must_use]
    pub fn stub(&self) -> PathBuf {
        self.folder.path().join("gdb")
    }

    /// The socket of the serial line.
    #[must_use]
    pub fn console(&self) -> PathBuf {
        self.folder.path().join("serial")
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // It may be gone: GDB ends the machine it leaves.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
