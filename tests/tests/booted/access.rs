//! `can` against what the CPU really does: programs that die of a page fault say with which
//! error code and where, and `can`, asked about the same access in a process that is alive and
//! laid out alike, must name the same code. Then `prove`, which makes every kind of access there
//! is, under every setting of the control bits.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tests::deviations::RESERVED_NOT_PRESENT;
use xtask::built::Built;
use xtask::guest::{Firmware, Guest};

use crate::machines::After;
use crate::ring3::{background, end_all, fails, free_frames, ok};

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

/// The numbers of `prove`: rows done, faults as foretold, faults with RSVD=1 and P=0, rows that
/// differ.
fn counts(output: &[String]) -> Result<[u64; 4]> {
    let count = |what: &str| -> Result<u64> {
        let line = output.iter().find_map(|line| line.strip_suffix(what));
        line.map_or(Ok(0), |number| Ok(number.trim().parse()?))
    };
    Ok([
        count(" allowed, and the CPU did it")?,
        count(" forbidden, and the CPU raised the #PF foretold")?,
        count(
            " forbidden, and the CPU raised #PF, but its error code has RSVD=1 and P=0, which the architecture excludes",
        )?,
        count(" different from what `can` foretells")?,
    ])
}

/// Runs so many rows; only the known deviation of the emulator is excused.
fn proves(guest: &mut Guest, words: &str, rows: u64) -> Result<()> {
    let output = ok(guest, &format!("prove {words}"))?;
    let [done, foretold, excused, different] = counts(&output)?;
    ensure!(
        different == 0 && done + foretold + excused == rows,
        "{output:#?}"
    );
    ensure!(done > rows / 20 && foretold > rows / 5, "{output:#?}");
    let id = RESERVED_NOT_PRESENT.id;
    ensure!(excused > 0, "{id} is gone: {output:#?}");
    Ok(())
}

/// What must be after a run as it was before: frames, control registers, and what a process's
/// space has in common with the master.
fn state(guest: &mut Guest, pid: u64) -> Result<(u64, Vec<String>)> {
    let line = format!("cr; tss; diff master {pid} kernel; assert $_ == 0; frames audit");
    let lines = ok(guest, &line)?;
    Ok((free_frames(guest)?, lines))
}

/// 200,000 rows of the matrix, while a process is there.
pub(crate) fn the_cpu_does_what_can_foretells(guest: &mut Guest) -> Result<()> {
    let pid = background(guest, "sleeper 1000000")?;
    let before = state(guest, pid)?;
    proves(guest, "", 200_000)?;
    let after = state(guest, pid)?;
    ensure!(before == after, "before: {before:#?}\nafter: {after:#?}");
    end_all(guest)
}

/// Every lack of memory at the start, and Ctrl-C in the middle, leave nothing behind.
pub(crate) fn prove_gives_everything_back(guest: &mut Guest) -> Result<()> {
    let pid = background(guest, "sleeper 1000000")?;
    let before = state(guest, pid)?;
    let mut refused = 0;
    loop {
        let request = refused + 1;
        let reply = guest.command(&format!("frames fail {request}; prove 64"))?;
        ok(guest, "frames fail off")?;
        let after = state(guest, pid)?;
        ensure!(
            after == before,
            "request {request}: {reply:?}\nbefore: {before:#?}\nafter: {after:#?}"
        );
        if reply.is_ok() {
            break;
        }
        ensure!(
            reply.errors == ["prove: not enough free frames"],
            "request {request}: {reply:?}"
        );
        refused = request;
        ensure!(refused < 1000, "it takes ever more frames");
    }
    // The PML4, three tables and a page for the row, the same for the code, the kernel's half.
    ensure!(refused > 20, "only {refused} requests could be refused");

    guest.framing(false)?;
    guest.drain(Duration::from_millis(200));
    guest.send_raw(b"prove all\r")?;
    guest.read_until(b"settings of the control bits")?;
    std::thread::sleep(Duration::from_millis(300));
    guest.send_raw(b"\x03")?;
    guest.read_until(b"interrupted")?;
    guest.prompt()?;
    let after = state(guest, pid)?;
    ensure!(after == before, "before: {before:#?}\nafter: {after:#?}");
    end_all(guest)
}

/// A CPU model without SMEP, SMAP and 1 GiB pages has fewer rows: all of them.
pub(crate) fn prove_on_the_default_cpu(built: &Built, firmware: Firmware) -> Result<After> {
    let mut options = built.options(firmware);
    options.cpu = None;
    let mut guest = Guest::boot(&options)?;
    let output = ok(&mut guest, "prove 1")?;
    let head =
        "5924 ways through the tables, 6 accesses, 8 settings of the control bits: 284352 rows";
    ensure!(
        output.first().is_some_and(|line| line == head),
        "{output:?}"
    );
    proves(&mut guest, "all", 284_352)?;
    // More than there are.
    proves(&mut guest, "1 << 63", 284_352)?;
    Ok(After::alive(guest))
}

/// An NMI may come in the middle of an attempt, whatever CR3 and the control bits are then, and
/// must neither be taken for its end nor change what comes of it.
pub(crate) fn prove_takes_nmis(built: &Built, firmware: Firmware) -> Result<After> {
    // About one in twenty-five comes in the scratch space at CPL 3.
    const MOST: usize = 600;
    let mut guest = Guest::boot(&built.options(firmware))?;
    guest.framing(false)?;
    // The key after the line answers the pager, should there come more than a page.
    guest.send_raw(b"repeat 100 prove all\ra")?;
    guest.read_until(b"settings of the control bits")?;
    let mut at_cpl_3 = 0;
    let mut seen = Vec::new();
    for attempt in 0..MOST {
        // On a busy machine the guest would not have got on since the last one.
        std::thread::sleep(Duration::from_millis(attempt as u64 % 8));
        guest.hmp("nmi")?;
        seen.extend(guest.read_until(b"NMI")?);
        let note = guest.read_until(b"going on")?;
        seen.extend(&note);
        at_cpl_3 += usize::from(String::from_utf8_lossy(&note).contains("RIP 0x0000_"));
        if at_cpl_3 == 3 {
            break;
        }
    }
    ensure!(at_cpl_3 > 0, "none of {MOST} NMIs came at CPL 3");
    guest.send_raw(b"\x03")?;
    seen.extend(guest.read_until(b"interrupted")?);
    let seen = String::from_utf8_lossy(&seen);
    // What a row that differs is shown with.
    for difference in [
        "another",
        "it is allowed",
        "it is forbidden",
        " is not ",
        "wrong",
    ] {
        ensure!(!seen.contains(difference), "{difference}: {seen}");
    }
    guest.prompt()?;
    proves(&mut guest, "1000", 1000)?;
    Ok(After::alive(guest))
}
