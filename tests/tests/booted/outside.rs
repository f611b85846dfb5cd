//! The kernel looked at from outside, by GDB with `scripts/gdb` and in a dump of its memory: every
//! answer is the shell's own.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use object::Endianness;
use object::elf::{FileHeader64, PT_LOAD};
use object::read::elf::{FileHeader as _, ProgramHeader as _};
use serde_json::json;
use xtask::guest::Guest;
use xtask::project::Project;

use crate::ring3::{background, end_all, ok};

/// What is asked in all three ways; `{a}` and `{b}` are processes that wait for input.
const LINES: &[&str] = &[
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
    "x/4g 0x401000 root={a}",
    "can w user 0x401000 {a}",
    "snap",
    "gdt",
    "idt",
    "idt 14",
    "tss",
];

/// What is asked while the world is stopped before an IRETQ: what is said of the processor then is the same, too.
const STOPPED: &[&str] = &[
    "ps",
    "walk $rip",
    "walk $rsp cr3",
    "regs",
    "cr",
    "check iret",
    "x/5g $rsp",
    "dis $rip 4",
    "whatis $rsp",
    "can x kernel $rip",
    "check all",
];

/// A line between answers: no command prints it.
pub(crate) const MARK: &str = "=====";

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
    let stopped: Vec<String> = STOPPED.iter().map(|line| (*line).to_owned()).collect();
    compare(guest, &stopped).context("while the world is stopped")?;
    none_is_left_out(guest, &[lines, stopped].concat())?;
    ok(guest, "abort")?;

    ok(guest, "snap drop before")?;
    end_all(guest)
}

/// Every command of GDB's that is the shell's is among those lines.
fn none_is_left_out(guest: &mut Guest, lines: &[String]) -> Result<()> {
    guest.qmp("stop", json!({}))?;
    let names = batch(
        guest,
        &["python print(*ringwalk.looks.NAMES, *ringwalk.looks.OTHERS)".to_owned()],
    );
    guest.qmp("cont", json!({}))?;
    let (names, errors) = names?;
    let names = names.concat().join(" ");
    ensure!(names.split_whitespace().count() > 20, "{names} {errors}");
    // `list` is held against the shell where the shell has sources (`sources::are_listed`).
    for name in names.split_whitespace().filter(|name| *name != "list") {
        let is_it = |line: &String| {
            let rest = line.strip_prefix(&format!("rw {name}"));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '/']))
        };
        ensure!(
            for_gdb(lines).iter().any(is_it),
            "rw {name} is held against nothing"
        );
    }
    Ok(())
}

/// The answers to these lines, from a kernel that stands still: the shell's, in GDB, in a dump, and in GDB on a dump.
pub(crate) fn compare(guest: &mut Guest, lines: &[String]) -> Result<()> {
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
    let for_gdb = for_gdb(lines);
    let in_gdb = batch(guest, &for_gdb);
    // GDB has let it go on.
    guest.qmp("cont", json!({}))?;
    same(lines, &wanted, &in_gdb?.0).context("in GDB")?;
    let in_core = in_core(&core, lines);
    let in_core_gdb = in_core_gdb(&core, &for_gdb);
    let damaged = damaged(&core);
    std::fs::remove_file(&core)?;
    same(lines, &wanted, &in_core?).context("in a dump")?;
    same(lines, &wanted, &in_core_gdb?.0).context("in a dump, in GDB")?;
    damaged.context("in a damaged dump")
}

/// Each is one line in words: a version that is not ours, a header that is not there, no kernel.
fn damaged(core: &Path) -> Result<()> {
    let file = OpenOptions::new().read(true).write(true).open(core)?;
    let mark: Vec<u8> = exported::MAGIC
        .iter()
        .flat_map(|word| word.to_le_bytes())
        .collect();
    let beacon = find(&file, &mark)?.context("the dump has no beacon")?;
    let word = |index: u64, value: u64| file.write_all_at(&value.to_le_bytes(), beacon + index * 8);
    // Its words, from the last that is looked at to the first: each is seen before the one below.
    for (index, value, expected) in [
        (
            6,
            0xdead_0000,
            "cannot be read by its tables at 0x0000_dead_0000",
        ),
        (5, 8, "the kernel's header has 8 bytes"),
        (
            2,
            77,
            "the kernel's records have version 77, and this program reads version",
        ),
        (
            0,
            0,
            "there is no kernel in memory, or it is not through its boot",
        ),
    ] {
        word(index, value)?;
        let said = refusal(core)?;
        ensure!(
            said.contains(expected) && said.lines().count() == 1,
            "{expected}: {said}"
        );
        if index == 2 {
            let (_, said) = in_core_gdb(core, &["rw ps".to_owned()])?;
            ensure!(said.contains(expected), "in GDB: {said}");
        }
    }
    // Cut off, wherever: its own end is looked at before any of its memory.
    for length in [file.metadata()?.len() / 2, 4096, 63, 0] {
        file.set_len(length)?;
        let said = refusal(core)?;
        ensure!(
            said.contains("is no dump of a guest") && said.lines().count() == 1,
            "cut to {length}: {said}"
        );
        let (_, said) = in_core_gdb(core, &["rw ps".to_owned()])?;
        ensure!(
            said.contains("is no dump of a guest") && !said.contains("Traceback"),
            "in GDB, cut to {length}: {said}"
        );
    }
    Ok(())
}

/// What is said of a dump that cannot be used, on its way to a failure.
fn refusal(core: &Path) -> Result<String> {
    let done = Command::new(std::env::current_exe()?)
        .arg("--core")
        .arg(core)
        .args(["-c", "ps"])
        .output()?;
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    ensure!(!done.status.success(), "it succeeded: {said}");
    Ok(said)
}

/// Where the page of memory is, in the file of a dump, that begins with these bytes.
fn find(file: &File, bytes: &[u8]) -> Result<Option<u64>> {
    const PAGE: usize = 4096;
    const PIECE: u64 = 1 << 20;
    let mut head = vec![0; PIECE as usize];
    file.read_exact_at(&mut head, 0)?;
    let header = FileHeader64::<Endianness>::parse(&*head)?;
    let endian = header.endian()?;
    for segment in header.program_headers(endian, &*head)? {
        if segment.p_type(endian) != PT_LOAD {
            continue;
        }
        let (start, length) = (segment.p_offset(endian), segment.p_filesz(endian));
        for at in (start..start + length).step_by(PIECE as usize) {
            let mut piece = vec![0; PIECE.min(start + length - at) as usize];
            file.read_exact_at(&mut piece, at)?;
            let mut pages = piece.chunks(PAGE);
            if let Some(page) = pages.position(|page| page.starts_with(bytes)) {
                return Ok(Some(at + (page * PAGE) as u64));
            }
        }
    }
    Ok(None)
}

pub(crate) type Answers = Vec<Vec<String>>;

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

/// A process's symbols come and go, our types are shown as the shell writes them, Tab offers what may
/// follow, and each command has help.
pub(crate) fn gdb_knows_our_types(guest: &mut Guest) -> Result<()> {
    let pid = background(guest, "reader")?;
    ok(guest, "spawn nothing")?;
    let switch = ok(guest, &format!("check switch {pid}"))?;
    let record = switch
        .iter()
        .find_map(|line| line.split_once(" its record "))
        .and_then(|(_, rest)| rest.split_once(".."))
        .context("check switch names no record")?;
    let record = record.0.replace('_', "");
    let frame = switch
        .iter()
        .find_map(|line| line.split_once(" its return frame "))
        .and_then(|(_, rest)| rest.split_once(".."))
        .context("check switch names no frame")?;
    let frame = frame.0.replace('_', "");
    let ps = ok(guest, "ps")?;
    let words =
        |line: &String| -> Vec<String> { line.split_whitespace().map(str::to_owned).collect() };
    let row = ps
        .iter()
        .map(words)
        .find(|row| row.first() == Some(&pid.to_string()));
    let row = row.context("ps does not show it")?;
    let (root, rip) = (
        row.get(5).context("no root")?,
        row.get(6).context("no rip")?,
    );

    let commands = [
        format!("rw symbols {pid}"),
        format!("info line *{}", rip.replace('_', "")),
        "rw symbols none".to_owned(),
        format!("info line *{}", rip.replace('_', "")),
        format!("print *({record} as *mut kernel::process::Process)"),
        format!("print *({frame} as *mut exported::trap::TrapFrame)"),
        format!("print *({record} as *mut machine::address::VirtAddr)"),
        format!("print *({record} as *mut machine::address::PhysAddr)"),
        // The name of an entry's type is that of the namespace of its functions, too.
        format!("whatis *({record} as *mut machine::entry::Entry)"),
        made(
            "gdb.lookup_type('machine::walk::Step')['entry'].type",
            "raw",
            "0x8000_0000_001b_b067",
        ),
        made(
            "gdb.lookup_type('machine::registers::Registers')",
            "rip",
            "0x40_1234",
        ),
        made(
            "gdb.lookup_type('kernel::arch::user::UserState')",
            "fs_base",
            "0x7000_1000",
        ),
        "complete rw walk 0x401000 ".to_owned(),
        "complete rw switch ".to_owned(),
        "complete rw check switch ".to_owned(),
        "complete rw check k".to_owned(),
        "complete rw break cr3 ".to_owned(),
        "complete rw events kind=ir".to_owned(),
        "help rw iret".to_owned(),
        "rw walk 0x401000 99".to_owned(),
    ];
    guest.qmp("stop", json!({}))?;
    let said = batch(guest, &commands);
    guest.qmp("cont", json!({}))?;
    let (said, errors) = said?;
    let expected = [
        format!("symbols of reader (pid {pid})"),
        "<reader::".to_owned(),
        "unloaded those of reader".to_owned(),
        "No line number information".to_owned(),
        format!("reader (pid {pid}) reading = {{root = {root}, stack = 0xffff_c9"),
        format!("from ring 3, rip {rip} rsp 0x0000_7fff_"),
        // Pid and parent, as one word.
        format!(" = 0x0000_0000_0000_{pid:04x}"),
        format!(" = 0x0000_0000_{pid:04x}"),
        "type = machine::entry::Entry".to_owned(),
        "80000000001bb067 ".to_owned(),
        "ring 0, rip 0x0000_0000_0040_1234 rsp 0x0000_0000_0000_0000 cr3 0x0".to_owned(),
        "ds 0x0 es 0x0 fs 0x0 gs 0x0, fs base 0x0000_0000_7000_1000".to_owned(),
        format!("rw walk 0x401000 {pid}\nrw walk 0x401000 cr3\nrw walk 0x401000 master"),
        format!("rw switch {pid}"),
        format!("rw check switch {pid}"),
        "rw check kernel-half".to_owned(),
        format!("rw break cr3 {pid}"),
        "rw events kind=iretq".to_owned(),
        "rw iret [pid | <rip>".to_owned(),
        String::new(),
    ];
    for (command, (said, expected)) in commands.iter().zip(said.iter().zip(&expected)) {
        let said = said.join("\n");
        ensure!(said.contains(expected), "{command}: {said}\n{errors}");
    }
    ensure!(
        errors
            .trim_end()
            .ends_with("walk: there is no such process: 99; `ps` lists them"),
        "{errors}"
    );
    end_all(guest)
}

/// A command that shows a value of a type, all zeros but for one field.
fn made(kind: &str, field: &str, value: &str) -> String {
    format!(
        "python t = {kind}; b = bytearray(t.sizeof); \
         f = [f for f in t.fields() if f.name == '{field}'][0]; \
         b[f.bitpos // 8:f.bitpos // 8 + 8] = ({value}).to_bytes(8, 'little'); \
         print(gdb.Value(bytes(b), t))"
    )
}

/// As they are typed there.
fn for_gdb(lines: &[String]) -> Vec<String> {
    lines
        .iter()
        .map(|line| line.replace("check iret", "iret"))
        .map(|line| format!("rw {}", line.replace("check switch", "switch")))
        .collect()
}

/// What GDB says to each command, and what it says on standard error: there go the messages of
/// commands that fail.
pub(crate) fn batch(guest: &mut Guest, commands: &[String]) -> Result<(Answers, String)> {
    let socket = guest.folder().join("gdb");
    guest.hmp(&format!(
        "gdbserver unix:{},server=on,wait=off",
        socket.display()
    ))?;
    let said = gdb_at(&socket, commands);
    guest.hmp("gdbserver none")?;
    said
}

/// The same in a dump, behind which `rw --stub` answers.
pub(crate) fn in_core_gdb(core: &Path, commands: &[String]) -> Result<(Answers, String)> {
    let place = xtask::gdb::stub_of(&std::env::current_exe()?, &[], core);
    gdb_at(OsStr::new(&place), commands)
}

fn gdb_at(place: impl AsRef<OsStr>, commands: &[String]) -> Result<(Answers, String)> {
    let mut gdb = Command::new("gdb");
    gdb.args(["-q", "-nx", "-batch", "-x"])
        .arg(Project::find().root().join("scripts/gdb/ringwalk.gdb"))
        .env("RINGWALK_GDB", place)
        .env("RINGWALK_RW", std::env::current_exe()?);
    for command in commands {
        gdb.args(["-ex", &format!("echo \\n{MARK}\\n")]);
        gdb.args(["-ex", command]);
    }
    gdb.args(["-ex", &format!("echo \\n{MARK}\\n")]);
    let done = gdb.output().context("gdb cannot be started")?;
    let errors = String::from_utf8_lossy(&done.stderr);
    let text = String::from_utf8_lossy(&done.stdout);
    let mut answers = split(&text, &format!("\n{MARK}\n"));
    ensure!(!answers.is_empty(), "gdb says only: {text}{errors}");
    // What it said before the first, and behind the last.
    answers.remove(0);
    answers.pop();
    Ok((answers, errors.into_owned()))
}

pub(crate) fn in_core(core: &Path, lines: &[String]) -> Result<Answers> {
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

pub(crate) fn split(text: &str, mark: &str) -> Answers {
    text.split(mark)
        .map(|part| part.lines().map(str::to_owned).collect())
        .collect()
}
