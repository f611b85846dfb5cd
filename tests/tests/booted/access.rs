//! `can` against what the CPU really does: programs that die of a page fault say with which
//! error code and where, and `can`, asked about the same access in a process that is alive and
//! laid out alike, must name the same code.

use anyhow::{Context as _, Result, ensure};
use xtask::guest::Guest;

use crate::ring3::{background, end_all, fails, ok};

/// What each program does to the address that its fault report names.
const FAULTS: [(&str, &str); 9] = [
    ("fault-null-read", "r"),
    ("fault-null-write", "w"),
    ("fault-null-jump", "x"),
    ("fault-kernel-read", "r"),
    ("fault-kernel-write", "w"),
    ("fault-kernel-jump", "x"),
    ("fault-code-write", "w"),
    ("fault-stack-jump", "x"),
    ("fault-stack-overflow", "w"),
];

/// Accesses that the CPU has just made without a fault, or else nothing would run.
const MADE: [&str; 6] = [
    "can x kernel $rip",
    "can r kernel $rsp",
    "can w kernel $rsp",
    "in PID can x $rip",
    "in PID can r $rsp",
    "in PID can w $rsp",
];

/// The piece between two texts.
fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    text.split_once(before)?.1.split_once(after).map(|it| it.0)
}

pub(crate) fn can_agrees_with_faults(guest: &mut Guest) -> Result<()> {
    let alive = background(guest, "sleeper 1000000")?;
    for (program, access) in FAULTS {
        let report = fails(guest, &format!("spawn {program}"))?;
        let address = between(&report, "#PF page fault at ", ",").context("no address")?;
        let code = between(&report, "error code ", ")").context("no error code")?;
        let line = format!("can {access} user {address} {alive}");
        let output = ok(guest, &format!("{line}; assert $_ == 0"))?;
        let answer = output.last().context("no answer")?;
        ensure!(
            answer.starts_with("no: user ")
                && between(answer, "#PF error code ", ")") == Some(code),
            "{program} met another fault than `{line}` foretells\n{report}\n{answer}"
        );
    }
    for line in MADE {
        let line = line.replace("PID", &alive.to_string());
        ok(guest, &format!("{line}; assert $_ == 1")).context("the CPU did it")?;
    }
    end_all(guest)
}
