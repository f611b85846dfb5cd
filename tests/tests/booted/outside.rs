//! The kernel looked at from outside, by GDB with `scripts/gdb` and in a dump of its memory: every
//! answer is the shell's own.

use std::fmt::Write as _;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use xtask::guest::Guest;
use xtask::project::Project;

use crate::ring3::{background, end_all, ok};

/// What is asked in all three ways; `{a}` and `{b}` are processes that wait for input.
const LINES: [&str; 29] = [
    "ps",
    "walk 0x401000 {a}",
    "walk 0x7fffffffe000 {b}",
    "walk 0xffff_c900_0000_1000",
    "walk 0x1_0000_0000_0000",
    "map",
    "map {a}",
    "map {b} lower",
    "map | grep stack | count",
    "diff {a} {b}",
    "diff master {a} user",
    "diff @before {b}",
    "check all",
    "check stacks",
    "stacks",
    "frame 0x2000",
    "frame 0x1000",
    "frame 0xfee0_0000",
    "frames",
    "frames audit",
    "events last=40",
    "faults",
    "fault 1",
    "check iret {a}",
    "check switch {b}",
    "whatis 0xffff_c900_0000_0000",
    "sym kernel::fault::trap",
    "in {a} x/16g 0x401000",
    "in {a} dis",
];

/// A line between answers: no command prints it.
const MARK: &str = "=====";

/// The same in the shell, in GDB and in a dump, with processes that stand still, a snapshot, and a
/// fault on record.
pub(crate) fn answers_are_the_shells(guest: &mut Guest) -> Result<()> {
    let a = background(guest, "reader")?;
    ok(guest, "spawn mapper")?;
    guest.command("spawn fault-null-write")?;
    let b = background(guest, "reader")?;
    ok(guest, &format!("snap before {b}"))?;
    // Both have their turns, and wait from then on.
    ok(guest, "spawn nothing")?;
    let lines: Vec<String> = LINES
        .iter()
        .map(|line| {
            let line = line.replace("{a}", &a.to_string());
            line.replace("{b}", &b.to_string())
        })
        .collect();
    compare(guest, &lines).context("while nothing is stopped")?;

    // The shell shows the world where its own debugger has stopped it, and so do the others.
    ok(guest, "spawn hello --stop-at Iretq")?;
    let lines = [
        "ps",
        "walk $rip",
        "walk $rsp cr3",
        "regs | head 8",
        "check all",
    ];
    compare(guest, &lines.map(str::to_owned)).context("while the world is stopped")?;
    ok(guest, "abort")?;

    ok(guest, "snap drop before")?;
    end_all(guest)
}

fn compare(guest: &mut Guest, lines: &[String]) -> Result<()> {
    let mut wanted = Vec::new();
    for line in lines {
        wanted.push(ok(guest, line)?);
    }
    guest.qmp("stop", json!({}))?;
    let core = guest.folder().join("core");
    let file = format!("file:{}", core.display());
    guest.qmp(
        "dump-guest-memory",
        json!({ "paging": false, "protocol": file }),
    )?;
    let in_gdb = in_gdb(guest, lines);
    // GDB has let it go on.
    guest.qmp("cont", json!({}))?;
    same(lines, &wanted, &in_gdb?).context("in GDB")?;
    let in_core = in_core(&core, lines);
    std::fs::remove_file(&core)?;
    same(lines, &wanted, &in_core?).context("in a dump")
}

type Answers = Vec<Vec<String>>;

fn same(lines: &[String], wanted: &Answers, got: &Answers) -> Result<()> {
    ensure!(wanted.len() == got.len(), "{} answers", got.len());
    for (line, (wanted, got)) in lines.iter().zip(wanted.iter().zip(got)) {
        ensure!(
            wanted == got,
            "{line}\nthe shell: {wanted:#?}\nfrom outside: {got:#?}"
        );
    }
    Ok(())
}

fn in_gdb(guest: &mut Guest, lines: &[String]) -> Result<Answers> {
    let project = Project::find();
    let socket = guest.folder().join("gdb");
    guest.hmp(&format!(
        "gdbserver unix:{},server=on,wait=off",
        socket.display()
    ))?;
    let mut gdb = Command::new("gdb");
    gdb.args(["-q", "-nx", "-batch", "-x"])
        .arg(project.root().join("scripts/gdb/ringwalk.gdb"))
        .env("RINGWALK_GDB", &socket)
        .env("RINGWALK_RW", std::env::current_exe()?);
    for line in lines {
        // What a failed command says goes to standard error.
        let command = line.replace("check iret", "iret");
        let command = command.replace("check switch", "switch");
        gdb.args(["-ex", &format!("echo \\n{MARK}\\n")]);
        gdb.args(["-ex", &format!("rw {command}")]);
    }
    gdb.args(["-ex", &format!("echo \\n{MARK}\\n")]);
    let done = gdb.output().context("gdb cannot be started")?;
    guest.hmp("gdbserver none")?;
    let errors = String::from_utf8_lossy(&done.stderr);
    let text = String::from_utf8_lossy(&done.stdout);
    let mut answers = split(&text, &format!("\n{MARK}\n"));
    ensure!(!answers.is_empty(), "gdb says only: {text}{errors}");
    // What it said before the first, and behind the last.
    answers.remove(0);
    answers.pop();
    Ok(answers)
}

fn in_core(core: &std::path::Path, lines: &[String]) -> Result<Answers> {
    let mut rw = Command::new(std::env::current_exe()?);
    rw.arg("--core").arg(core);
    for line in lines {
        rw.args(["-c", &format!("echo {MARK}"), "-c", line]);
    }
    let done = rw.output().context("rw cannot be started")?;
    let text = String::from_utf8_lossy(&done.stdout);
    let mut answers = split(&format!("\n{text}"), &format!("\n{MARK}\n"));
    if answers.len() <= 1 {
        let mut said = String::new();
        let errors = String::from_utf8_lossy(&done.stderr);
        write!(said, "{text}{errors}")?;
        anyhow::bail!("rw says only: {said}");
    }
    answers.remove(0);
    Ok(answers)
}

fn split(text: &str, mark: &str) -> Answers {
    text.split(mark)
        .map(|part| part.lines().map(str::to_owned).collect())
        .collect()
}
