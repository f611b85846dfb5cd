//! GDB prints values of our own types that a running kernel holds, as the shell and QEMU know them.

use std::fs::File;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use xtask::guest::Guest;
use xtask::project::Project;
use xtask::scratch::Scratch;

use crate::ring3::{background, end_all, ok};

/// How long GDB may take to come, and to go.
const PATIENCE: Duration = Duration::from_secs(60);
const READY: &str = "[ready]";

/// What a walk, the registers and a thread are in the kernel when it needs them.
pub(crate) fn are_shown(guest: &mut Guest) -> Result<()> {
    let pid = background(guest, "reader")?;
    ok(guest, "spawn nothing")?;
    a_walk(guest, pid).context("a walk")?;
    registers(guest).context("registers")?;
    a_thread(guest).context("a thread")?;
    end_all(guest)
}

/// Addresses, entries and rights: what `machine::walk` returns is what the command says of it.
fn a_walk(guest: &mut Guest, pid: u64) -> Result<()> {
    let line = format!("walk 0x401000 {pid}");
    let (shown, said) = meanwhile(
        guest,
        &["tbreak machine::walk::walk if va.0 == 0x401000"],
        &["info args", "finish"],
        &line,
    )?;
    let has = |wanted: &str| {
        ensure!(said.contains(wanted), "no {wanted:?} in\n{said}\n{shown:?}");
        Ok(())
    };
    has("va = 0x0000_0000_0040_1000")?;
    let (answer, entries) = shown.split_last().context("no answer")?;
    for entry in entries {
        // `PT   0x0000_009e_3000 [  1] 00000000009d2025 page  0x0000_009d_2000 ur-x`
        let (place, value) = entry.split_once(']').context("no entry")?;
        let mut words = place.split_whitespace();
        let (level, table) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        let index = words.last().unwrap_or("").trim_start_matches('[');
        has(&format!(
            "{{table: {table}, index: {index}, entry: {level}{value}}}"
        ))?;
    }
    // `0x0000_0000_0040_1000 -> 0x0000_009d_2000 ur-x (4K page)`
    let words: Vec<&str> = answer.split_whitespace().collect();
    let [_, _, at, rights, ..] = words[..] else {
        bail!("{answer}")
    };
    has(&format!("Mapped{{at: {at}, "))?;
    has(&format!("rights: {rights}, "))
}

/// The registers that `regs` shows.
fn registers(guest: &mut Guest) -> Result<()> {
    let at = ["tbreak kernel::arch::snapshot::registers"];
    let (shown, said) = meanwhile(guest, &at, &["finish"], "regs")?;
    let value = |name: &str| {
        let mut words = shown.iter().flat_map(|line| line.split_whitespace());
        words.find(|word| *word == name)?;
        words.next()
    };
    let (rip, rsp) = (value("rip"), value("rsp"));
    let wanted = format!(
        "ring 0, rip {} rsp {} cr3 0x",
        rip.context("no rip")?,
        rsp.context("no rsp")?
    );
    ensure!(said.contains(&wanted), "no {wanted:?} in\n{said}");
    Ok(())
}

/// What a thread had in the processor is there again once it has been loaded, says QEMU.
fn a_thread(guest: &mut Guest) -> Result<()> {
    let (_, said) = meanwhile(
        guest,
        &["tbreak kernel::arch::user::UserState::restore if self.fs_base != 0"],
        &[
            "print *self",
            "set $wanted = self.fs_base",
            "finish",
            "monitor info registers",
            "printf \"is %d\\n\", $fs_base == $wanted && $wanted != 0",
        ],
        "spawn segments",
    )?;
    let (_, bases) = said
        .split_once(", fs base ")
        .with_context(|| said.clone())?;
    let (fs, gs) = bases
        .split_once(", gs base ")
        .with_context(|| said.clone())?;
    let gs = gs.lines().next().unwrap_or_default();
    let gs = gs.split([' ', ',']).next().unwrap_or_default();
    for (name, value) in [("FS", fs), ("GS", gs)] {
        let value = tests::leaf::hex(value)?;
        let line = said
            .lines()
            .find(|line| line.starts_with(&format!("{name} =")));
        let line = line.with_context(|| format!("QEMU does not say {name}: {said}"))?;
        ensure!(line.contains(&format!(" {value:016x} ")), "{line}\n{said}");
    }
    ensure!(said.contains("is 1"), "{said}");
    Ok(())
}

/// The answer to a command, and what GDB says that stops the kernel while it does it: `before` is said to it
/// before the kernel goes on, and `then` where it has stopped.
fn meanwhile(
    guest: &mut Guest,
    before: &[&str],
    then: &[&str],
    line: &str,
) -> Result<(Vec<String>, String)> {
    let socket = guest.folder().join("gdb");
    guest.hmp(&format!(
        "gdbserver unix:{},server=on,wait=off",
        socket.display()
    ))?;
    let folder = Scratch::new("values")?;
    let path = folder.path().join("output");
    let output = File::create(&path)?;
    let mut gdb = Command::new("gdb");
    gdb.args(["-q", "-nx", "-batch", "-x"]);
    gdb.arg(Project::find().root().join("scripts/gdb/ringwalk.gdb"));
    gdb.env("RINGWALK_GDB", &socket);
    gdb.env("RINGWALK_RW", std::env::current_exe()?);
    let ready = format!("echo {READY}\\n");
    for command in before
        .iter()
        .chain(&[ready.as_str(), "continue"])
        .chain(then)
    {
        gdb.args(["-ex", command]);
    }
    gdb.stdin(Stdio::null());
    gdb.stderr(output.try_clone()?).stdout(output);
    let mut gdb = gdb.spawn().context("gdb cannot be started")?;
    let said = || anyhow::Ok(String::from_utf8_lossy(&std::fs::read(&path)?).into_owned());
    let until = Instant::now() + PATIENCE;
    while !said()?.contains(READY) && gdb.try_wait()?.is_none() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(20));
    }
    let shown = ok(guest, line).with_context(|| said().unwrap_or_default());
    while gdb.try_wait()?.is_none() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(20));
    }
    let is_late = gdb.try_wait()?.is_none();
    drop(gdb.kill());
    drop(gdb.wait());
    guest.hmp("gdbserver none")?;
    let said = said()?;
    ensure!(!is_late, "GDB does not end:\n{said}");
    Ok((shown?, said))
}
