//! The sessions with GDB that are shown on pages: typed as they are there, and held against them.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::json;
use tests::readme::{self, Session};
use tests::transcript::Answers;
use xtask::built::Built;
use xtask::gdb::{self, Background};
use xtask::guest::{Firmware, Guest};
use xtask::recording::{self, Recording};
use xtask::scratch::Scratch;

use crate::gdb::session;
use crate::machines::After;
use crate::outside::{self, MARK};
use crate::ring3::{background, ok};

const IN_GDB: Session = Session {
    page: "docs/outside.md",
    fence: "```text gdb",
    prompt: "(gdb) ",
};
const IN_A_DUMP: Session = Session {
    page: "docs/outside.md",
    fence: "```text rw",
    prompt: "> ",
};
const INTO_RING_3: Session = Session {
    page: "scripts/gdb/README.md",
    fence: "```text gdb live",
    prompt: "(gdb) ",
};
const BACK: Session = Session {
    page: "scripts/gdb/README.md",
    fence: "```text gdb replay",
    prompt: "(gdb) ",
};

type Test = fn(&Built, Firmware, bool) -> Result<After>;

pub(crate) const TESTS: [(&str, Test); 3] = [
    ("the_sessions_in_outside_md", looking),
    ("the_session_into_ring_3_in_the_readme_of_gdb", into_ring_3),
    ("the_session_back_in_time_in_the_readme_of_gdb", back),
];

/// Answers that are there already, in order.
struct Given(std::vec::IntoIter<Vec<String>>);

impl Answers for Given {
    fn answer(&mut self, line: &str) -> Result<Vec<String>> {
        let mut answer = self
            .0
            .next()
            .with_context(|| format!("no answer to {line}"))?;
        // GDB ends some lines with blanks, and blank lines would be lost on a page.
        answer
            .iter_mut()
            .for_each(|line| line.truncate(line.trim_end().len()));
        Ok(answer)
    }
}

fn held(page: Session, answers: outside::Answers, bless: bool) -> Result<()> {
    readme::replay(page, &mut Given(answers.into_iter()), bless)
}

/// A process that waits, in GDB and in a dump.
fn looking(built: &Built, firmware: Firmware, bless: bool) -> Result<After> {
    let mut guest = Guest::boot(&built.options(firmware))?;
    background(&mut guest, "reader")?;
    ok(&mut guest, "spawn nothing")?;
    guest.qmp("stop", json!({}))?;
    let core = guest.folder().join("core");
    let file = format!("file:{}", core.display());
    guest.qmp(
        "dump-guest-memory",
        json!({ "paging": false, "protocol": file }),
    )?;
    let (answers, _) = outside::batch(&mut guest, &readme::typed(IN_GDB)?)?;
    held(IN_GDB, answers, bless)?;
    let answers = outside::in_core(&core, &readme::typed(IN_A_DUMP)?)?;
    held(IN_A_DUMP, answers, bless)?;
    guest.qmp("cont", json!({}))?;
    Ok(After::Dead)
}

/// What GDB answers to the lines of a page, on a machine that is stopped.
fn answers(mut command: Command, page: Session) -> Result<outside::Answers> {
    let mark = format!("echo \\n{MARK}\\n");
    command.args(["-ex", "python ringwalk.console.IS_SHOWN = False"]);
    for line in readme::typed(page)? {
        command.args(["-ex", &mark, "-ex", &line]);
    }
    command.args(["-ex", &mark]);
    command.env("RINGWALK_RW", std::env::current_exe()?);
    let said = session(command, "kill\n")?;
    let mut answers = outside::split(&said, &format!("\n{MARK}\n"));
    answers.remove(0);
    answers.pop();
    Ok(answers)
}

fn debugger(built: &Built, kernel: &Path, qemu: &Background) -> Command {
    let stub = qemu.stub().display().to_string();
    let mut command = gdb::debugger(&built.project, &built.ready.tools.gdb, kernel, &stub);
    command.env("RINGWALK_CONSOLE", qemu.console());
    command.env("RINGWALK_PROGRAMS", &built.programs.folder);
    command
}

/// From the kernel's first instruction.
fn into_ring_3(built: &Built, firmware: Firmware, bless: bool) -> Result<After> {
    let qemu = Background::start(&built.options(firmware), &["-S"], Scratch::new("page")?)?;
    let command = debugger(built, &built.kernel.whole, &qemu);
    held(INTO_RING_3, answers(command, INTO_RING_3)?, bless)?;
    Ok(After::Dead)
}

/// From the triple fault of the recording that the page makes.
fn back(built: &Built, firmware: Firmware, bless: bool) -> Result<After> {
    let folder = Scratch::new("recording")?;
    let place = folder.path().join("it");
    let commands = ["iretq fault-divide spoil=pt:$idtr:absent --force".to_owned()];
    let options = built.options(firmware);
    let begin = recording::Begin::Prompt;
    recording::make_in(
        &place,
        &built.kernel.whole,
        &options,
        begin,
        &commands,
        false,
    )?;
    let recording = Recording::open(&place)?;
    let words = recording.replaying();
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let qemu = Background::start(&recording.options(), &words, Scratch::new("replay")?)?;
    let mut command = debugger(built, &recording.kernel(), &qemu);
    command.env("RINGWALK_REPLAY", recording.last.to_string());
    held(BACK, answers(command, BACK)?, bless)?;
    Ok(After::Dead)
}
