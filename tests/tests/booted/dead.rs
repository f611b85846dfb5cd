//! Kernels that do not answer any more, and words that make no sense: GDB with our scripts has a line for
//! each, and the machine's memory still tells.

use std::fs::File;
use std::io::Write as _;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::json;
use xtask::built::Built;
use xtask::guest::{Firmware, Guest};
use xtask::project::Project;
use xtask::scratch::Scratch;

use crate::machines::After;
use crate::outside::{Answers, MARK, batch, in_core_gdb, split};
use crate::ring3::{background, end_all, ok};

/// This program is `cargo xtask` when it is called with this word first.
pub(crate) const AS_XTASK: &str = "--as-xtask";

/// How long a session may take; most of it is a boot.
const PATIENCE: Duration = Duration::from_secs(100);

/// `cargo xtask` with these words.
fn xtask(firmware: Firmware, words: &[&str]) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args([AS_XTASK, "--firmware", firmware.word()]);
    command.args(words);
    command.env("RINGWALK_RW", std::env::current_exe()?);
    Ok(command)
}

/// A program with its output in a file, ended when dropped.
struct Running {
    child: Child,
    folder: Scratch,
}

impl Running {
    fn start(mut command: Command) -> Result<Self> {
        let folder = Scratch::new("running")?;
        let output = File::create(folder.path().join("output"))?;
        command.stdin(Stdio::piped());
        command.stderr(output.try_clone()?).stdout(output);
        let child = command.spawn()?;
        Ok(Running { child, folder })
    }

    fn said(&self) -> Result<String> {
        let bytes = std::fs::read(self.folder.path().join("output"))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn wait_for(&mut self, is_it: impl Fn(&str) -> bool) -> Result<String> {
        let until = Instant::now() + PATIENCE;
        loop {
            let said = self.said()?;
            if is_it(&said) {
                return Ok(said);
            }
            let has_ended = self.child.try_wait()?.is_some();
            if has_ended || Instant::now() > until {
                bail!("{}:\n{said}", ["too late", "ended"][usize::from(has_ended)]);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Everything it said until it ended.
    fn end(mut self) -> Result<String> {
        let until = Instant::now() + PATIENCE;
        while self.child.try_wait()?.is_none() {
            ensure!(Instant::now() < until, "it does not end:\n{}", self.said()?);
            std::thread::sleep(Duration::from_millis(20));
        }
        self.said()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// `cargo xtask run --gdb` waits, `cargo xtask gdb` takes it to the kernel and leaves it; then it boots.
pub(crate) fn attach(_: &Built, firmware: Firmware) -> Result<After> {
    // A port that nobody has, found by having it for a moment.
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let port = port.to_string();
    let mut run = xtask(firmware, &["run", "--gdb"])?;
    run.env("RINGWALK_GDB_PORT", &port);
    let mut run = Running::start(run)?;
    run.wait_for(|said| said.contains("stopped before the first instruction"))?;
    listening(&port)?;

    let mut gdb = xtask(firmware, &["gdb", "--", "-nx", "-batch"])?;
    gdb.env("RINGWALK_GDB_PORT", &port);
    gdb.args([
        "-ex",
        "rw send map",
        "-ex",
        "tbreak kernel::boot::first_half",
    ]);
    gdb.args(["-ex", "continue", "-ex", "bt 1", "-ex", "rw ps"]);
    let said = Running::start(gdb)?.end()?;
    for wanted in [
        &format!("attaching to the machine at localhost:{port}"),
        "kernel build ",
        "#0  kernel::boot::first_half ",
        "there is no kernel in memory, or it is not through its boot",
        // Its serial line is with whoever runs it.
        "rw send: GDB does not have the serial line",
    ] {
        ensure!(said.contains(wanted), "no {wanted:?} in\n{said}");
    }
    ensure!(!said.to_lowercase().contains("warning"), "{said}");

    run.wait_for(|said| said.contains("ringwalk>"))?;
    let mut keys = run.child.stdin.take().context("no stdin")?;
    keys.write_all(b"poweroff\r")?;
    keys.flush()?;
    run.end()?;
    Ok(After::Dead)
}

/// Waits until QEMU has its port. It is not tried: who connects stops the machine.
fn listening(port: &str) -> Result<()> {
    let port: u16 = port.parse()?;
    let until = Instant::now() + PATIENCE;
    while !xtask::gdb::somebody_listens(port) {
        ensure!(Instant::now() < until, "nobody listens at {port}");
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// What is asked of a dead kernel.
const LOOKS: [&str; 15] = [
    "ps",
    "walk $rip",
    "walk 0xffff_c900_0000_1000 master",
    "map master",
    "map cr3",
    "diff master cr3",
    "stacks",
    "events last=20",
    "faults",
    "fault 1",
    "frames",
    "check stacks",
    "check kernel-half wx",
    "switch 3",
    // None were built in: those of the checkout.
    "list kernel::debugger::request::serve 5",
];

/// Dead of a triple fault, by a CR3 under which the kernel is not mapped: GDB answers as `rw` does on a
/// dump of it, in GDB or without; the backtrace goes to the load of CR3; nothing lets it go on.
pub(crate) fn post_mortem(_: &Built, firmware: Firmware) -> Result<After> {
    let folder = Scratch::new("dead")?;
    let core = folder.path().join("core");
    let mut gdb = xtask(firmware, &["gdb", "--post-mortem", "-c", "spawn reader &"])?;
    gdb.args(["-c", "spawn fault-null-write"]);
    gdb.args(["-c", "iretq fault-divide spoil=pml4:$lstar:absent --force"]);
    gdb.args(["--", "-nx", "-batch"]);
    gdb.args([
        "-ex",
        &format!("monitor dump-guest-memory {}", core.display()),
    ]);
    let first = ["bt", "stepi", "continue", "rw step-switch", "rw break iret"];
    let lines = LOOKS.map(|line| format!("rw {line}"));
    for command in first
        .iter()
        .copied()
        .chain(lines.iter().map(String::as_str))
    {
        gdb.args(["-ex", &format!("echo \\n{MARK}\\n"), "-ex", command]);
    }
    gdb.args(["-ex", &format!("echo \\n{MARK}\\n")]);
    let said = Running::start(gdb)?.end()?;
    ensure!(
        said.contains("the machine is dead: a triple fault"),
        "{said}"
    );
    ensure!(!said.contains("Traceback"), "{said}");
    let mut answers = split(&said, &format!("\n{MARK}\n"));
    ensure!(answers.len() == first.len() + LOOKS.len() + 2, "{said}");
    answers.remove(0);
    answers.pop();
    let looked = answers.split_off(first.len());

    let [trace, step, go, switch, stop] = &answers[..] else {
        bail!("{answers:?}")
    };
    let trace = trace.join("\n");
    for wanted in [
        "#0  0x",
        "ringwalk_cr3_loaded",
        "kernel::arch::cpu::load_cr3",
        "kernel::debugger::request::serve",
    ] {
        ensure!(trace.contains(wanted), "no {wanted:?} in {trace}");
    }
    ensure!(!trace.contains("??"), "{trace}");
    let cannot = "a dead machine cannot go on; only what looks works";
    ensure!(step == &[cannot] && go == &[cannot], "{step:?} {go:?}");
    ensure!(
        switch == &[format!("rw step-switch: {cannot}")],
        "{switch:?}"
    );
    ensure!(
        stop == &["rw break: a dead machine comes to no breakpoint"],
        "{stop:?}"
    );

    // Some of it by itself, beside being the same everywhere.
    let text = |index: usize| looked.get(index).map(|lines| lines.join("\n"));
    for (index, wanted) in [
        (0, "3      0 running"),
        (1, "is not mapped: PML4 entry not present"),
        (8, "#PF 0x6 0x0000_0000_0040_"),
        (13, "it ends in a triple fault: the machine resets"),
        (14, "/ringwalk/kernel/src/debugger/request.rs:"),
    ] {
        let said = text(index).unwrap_or_default();
        ensure!(said.contains(wanted), "no {wanted:?} in {said}");
    }
    let without = crate::outside::in_core(&core, &LOOKS.map(str::to_owned))?;
    let within = in_core_gdb(&core, &lines)?.0;
    for (line, ((dead, without), within)) in
        LOOKS.iter().zip(looked.iter().zip(&without).zip(&within))
    {
        ensure!(
            dead == without,
            "{line}: on the dead machine {dead:#?}\nin the dump {without:#?}"
        );
        // What fails is on standard error there.
        let fails = within.len() < without.len() && without.starts_with(within);
        ensure!(
            within == without || fails,
            "{line}: in the dump {without:#?}\nin GDB {within:#?}"
        );
    }
    let frames = in_core_gdb(&core, &["bt".to_owned(), "stepi".to_owned()])?;
    let [bt, _] = &frames.0[..] else {
        bail!("{frames:?}")
    };
    ensure!(bt.join("\n") == trace, "{bt:?}\n{trace}");
    ensure!(
        frames
            .1
            .contains("a dump cannot go on; only what looks works"),
        "{frames:?}"
    );
    Ok(After::Dead)
}

/// The processor's CR3 is nonsense: what needs it says so in a line, and all else is found without it.
pub(crate) fn garbage_cr3(guest: &mut Guest) -> Result<()> {
    background(guest, "reader")?;
    ok(guest, "spawn nothing")?;
    let ps = ok(guest, "ps")?;
    let stacks = ok(guest, "stacks")?;
    guest.qmp("stop", json!({}))?;
    let commands = [
        "python from ringwalk import machine; cr3 = machine.register('cr3')",
        "set $cr3 = 0x12345678000",
        // As one who has just come, and knows nothing from before.
        "python from ringwalk import host, kernel; host.PAGE = '-'; kernel.get().base = None",
        "rw kernel",
        "rw ps",
        "rw stacks",
        "rw walk 0x401000",
        "rw map cr3",
        "rw x 0x401000",
        "rw why",
        "rw iret",
        // GDB takes a number of all 64 bits only.
        "python gdb.execute(f'set $cr3 = {cr3} as u64')",
        "rw ps",
    ];
    let said = batch(guest, &commands.map(str::to_owned));
    let (said, errors) = said?;
    guest
        .qmp("cont", json!({}))
        .with_context(|| format!("{said:?}\n{errors}"))?;
    let line = |index: usize| said.get(index).map(|lines| lines.join("\n"));
    let has = |index: usize, wanted: &str| {
        let said = line(index).unwrap_or_default();
        ensure!(said.contains(wanted), "{index}: {said}\n{errors}");
        Ok(())
    };
    has(3, "kernel build ")?;
    has(
        6,
        "0x0000_0000_0040_1000 is unknown: PML4 entry unreadable, no memory at 0x0123_4567_8000",
    )?;
    ensure!(
        said.get(4) == Some(&ps) && said.get(12) == Some(&ps),
        "{said:?}\n{errors}"
    );
    ensure!(said.get(5) == Some(&stacks), "{said:?}\n{errors}");
    ensure!(
        errors.contains("x: 0x0000_0000_0040_1000 is unknown: PML4 entry unreadable"),
        "{errors}"
    );
    clear_of_python(&format!("{said:?}\n{errors}"))?;
    end_all(guest)
}

/// The file is of another build than the kernel in memory: both are named, and nothing is loaded.
pub(crate) fn another_build(guest: &mut Guest) -> Result<()> {
    let folder = Scratch::new("build")?;
    let file = folder.path().join("another.elf");
    let mut bytes = std::fs::read(Project::find().root().join("target/ringwalk-kernel.elf"))?;
    // Twenty bytes of the linker's, in a note of GNU's of type 3.
    let note = b"\x04\0\0\0\x14\0\0\0\x03\0\0\0GNU\0";
    let at = bytes.windows(note.len()).position(|part| part == note);
    let id = at.context("no build id")? + note.len();
    let byte = bytes.get_mut(id).context("no build id")?;
    let first = *byte;
    *byte = !first;
    std::fs::write(&file, bytes)?;
    let commands = [
        "python import os; from ringwalk import kernel; kernel.KERNEL = None".to_owned(),
        format!(
            "python os.environ['RINGWALK_KERNEL'] = '{}'",
            file.display()
        ),
        "rw kernel".to_owned(),
        "rw break iret".to_owned(),
    ];
    let (said, errors) = batch_stopped(guest, &commands)?;
    for wanted in [
        format!("rw kernel: the kernel in memory is build {first:02x}"),
        format!("another.elf is build {:02x}", !first),
        "rw break: the kernel is not in memory yet".to_owned(),
    ] {
        ensure!(
            errors.contains(&wanted),
            "no {wanted:?} in {said:?}\n{errors}"
        );
    }
    clear_of_python(&errors)
}

fn clear_of_python(text: &str) -> Result<()> {
    for word in ["Traceback", "Python Exception", "Error occurred in Python"] {
        ensure!(!text.contains(word), "{text}");
    }
    Ok(())
}

/// Whatever is typed behind a command, there is an answer or one line, and never Python's own words.
pub(crate) fn no_traceback(guest: &mut Guest) -> Result<()> {
    let list = batch_stopped(guest, &["help rw".to_owned()])?;
    let list = list.0.first().context("no help")?.clone();
    let names: Vec<String> = list
        .iter()
        .filter_map(|line| line.strip_prefix("rw ")?.split(" -- ").next())
        .map(str::to_owned)
        .collect();
    ensure!(names.len() >= 35, "{names:?}");
    let words = [
        "",
        "0x",
        "-1",
        "'",
        "$nosuch 1 2 3",
        "\u{e9}\u{fe0f}",
        "entry 0x1_0000_0000_0000 pml9",
    ];
    // What goes on by itself, or would type into the shell.
    let moves = ["step-switch", "arrive", "send", "kernel", "forward"];
    let mut commands = Vec::new();
    for name in &names {
        for word in words {
            if !(word.is_empty() && moves.contains(&name.as_str())) && name != "send" {
                commands.push(format!("rw {name} {word}"));
            }
        }
        commands.push(format!("help rw {name}"));
        commands.push(format!("complete rw {name} "));
    }
    commands.extend(["rw nosuch", "rw send", "delete"].map(str::to_owned));
    let (said, errors) = batch_stopped(guest, &commands)?;
    ensure!(said.len() == commands.len(), "{} answers", said.len());
    for (command, said) in commands.iter().zip(&said) {
        clear_of_python(&said.join("\n")).context(command.clone())?;
        if command.starts_with("help rw ") {
            let name = command.trim_start_matches("help ");
            ensure!(
                said.iter().any(|line| line.trim_start().starts_with(name)),
                "{command}: {said:?}"
            );
        }
    }
    clear_of_python(&errors)?;
    for wanted in [
        "rw: no command `nosuch`; help rw lists them",
        "rw break: at cr3, iret, ring3 or fault?",
        "rw kernel: what is `0x`?",
        "rw step-switch: what is `0x`?",
        "rw stepping: quiet or live?",
        "rw symbols: `-1` does not fit into 64 bits",
        "rw send: GDB does not have the serial line",
    ] {
        ensure!(errors.contains(wanted), "no {wanted:?} in\n{errors}");
    }
    Ok(())
}

fn batch_stopped(guest: &mut Guest, commands: &[String]) -> Result<(Answers, String)> {
    guest.qmp("stop", json!({}))?;
    let said = batch(guest, commands);
    guest.qmp("cont", json!({}))?;
    said
}
