//! Spaces that are broken on purpose: the cause is named, a try is refused with it, and what is
//! tried all the same ends as was foretold.

use anyhow::{Context as _, Result, ensure};
use xtask::built::Built;
use xtask::guest::{Failure, Firmware, Guest, Left, Trouble};

use crate::machines::After;
use crate::ring3::{background, fails, free_frames, ok};

/// What comes of it when it is tried.
enum End {
    /// The program runs and exits: what is missing is not needed on the way.
    Runs,
    /// The process dies, and says this; the kernel lives.
    Dies(&'static str),
    /// The kernel cannot fetch its own code: #PF with code 0x10, reported if the handlers are not
    /// on the same page, or else again and again.
    Fetch,
    /// The kernel reports this exception and stops.
    Reported(&'static str),
    /// A triple fault.
    Resets,
}

/// A way to break a space.
struct Row {
    name: &'static str,
    /// What `spoil` and `iretq` take.
    words: &'static str,
    /// What the refusal, and a line of `check switch` unless it begins with `-`, must hold.
    cause: &'static str,
    end: End,
}

const fn row(name: &'static str, words: &'static str, cause: &'static str, end: End) -> Row {
    Row {
        name,
        words,
        cause,
        end,
    }
}

/// The kernel's pages are named by registers: `$idtr`, `$gdtr`, `$lstar`. The kernel stacks begin
/// at 0xffff_c900_0000_0000, those of exceptions at 0xffff_c980_0000_0000; `{stack}` is the top of
/// the process's own, `{tss}` the task state segment, `{after}` the instruction after `mov cr3`.
const ROWS: [Row; 15] = [
    row(
        "kernel stack unmapped",
        "pt:({stack}-8):absent",
        "registers it saved ",
        End::Reported("#DF double fault, vector 8, error code 0x0"),
    ),
    row(
        "the page of code after the load unmapped",
        "pt:{after}:absent",
        "next instruction ",
        End::Fetch,
    ),
    row("IDT unmapped", "pt:$idtr:absent", "IDT ", End::Resets),
    // It shares its page with the IDT in some builds, which is then named first.
    row("GDT unmapped", "pt:$gdtr:absent", "DT ", End::Resets),
    row(
        "TSS unmapped",
        "pt:{tss}:absent",
        "old RSP0 ",
        End::Reported("#PF page fault, vector 14, error code 0x0"),
    ),
    row(
        "a page of the #DF stack unmapped",
        "pt:0xffff_c980_0000_8ff8:absent",
        "IST1 #DF stack ",
        End::Runs,
    ),
    row(
        "RSP0 zero",
        "rsp0=0",
        "RSP0 stack 0xffff_ffff_ffff_ffd0",
        End::Reported("#DF double fault, vector 8, error code 0x0"),
    ),
    row(
        "RSP0 of a stack that is no more",
        "rsp0=0xffff_c900_00e0_0000",
        "RSP0 stack 0xffff_c900_00df_ffd0",
        End::Reported("#DF double fault, vector 8, error code 0x0"),
    ),
    row(
        "slot of the kernel stacks missing",
        "pml4:0xffff_c900_0000_0000:absent",
        "return address ",
        End::Reported("#DF double fault, vector 8, error code 0x0"),
    ),
    row(
        "slot of the kernel image missing",
        "pml4:$lstar:absent",
        "next instruction ",
        End::Resets,
    ),
    row(
        "W lost on the kernel stacks",
        "pml4:0xffff_c900_0000_0000:read-only",
        "stack in use ",
        End::Reported("#DF double fault, vector 8, error code 0x0"),
    ),
    row(
        "a user stack that cannot be written",
        "pd:0x7fff_ffef_fff8:read-only",
        "-#PF page fault at 0x0000_7fff_ffef_",
        End::Dies("#PF page fault at 0x0000_7fff_ffef_"),
    ),
    row(
        "NX on the entry page",
        "pt:{entry}:no-execute",
        "-error code 0x15 (P U/S I/D), in ring 3 at its first fetch",
        End::Dies("error code 0x15 (P U/S I/D)"),
    ),
    row(
        "U missing at one level",
        "pdpt:{entry}:supervisor",
        "-error code 0x15 (P U/S I/D), in ring 3 at its first fetch",
        End::Dies("error code 0x15 (P U/S I/D)"),
    ),
    row(
        "code unmapped",
        "pd:{entry}:absent",
        "-error code 0x14 (U/S I/D), in ring 3 at its first fetch",
        End::Dies("error code 0x14 (U/S I/D)"),
    ),
];

/// Each way, in a guest of its own where the kernel does not survive it.
pub(crate) fn spaces(built: &Built, firmware: Firmware) -> Result<After> {
    let mut options = built.options(firmware);
    // One way ends in silence.
    options.silence = std::time::Duration::from_secs(30);
    let mut guest = None;
    for row in &ROWS {
        let mut used = match guest.take() {
            Some(guest) => guest,
            None => Guest::boot(&options).context("boot")?,
        };
        let lives = one(&mut used, row).context(row.name)?;
        println!("{}: as foretold", row.name);
        guest = lives.then_some(used);
    }
    // The stack pointer at the exclusive end: the word there is not mapped.
    let mut guest = match guest {
        Some(guest) => guest,
        None => Guest::boot(&options).context("boot")?,
    };
    let line = "iretq nothing rsp=0x7fff_fff0_0000";
    let refused = fails(&mut guest, line)?;
    let wanted = "refused: #PF page fault at 0x0000_7fff_fff0_0000, error code 0x4 (U/S)";
    ensure!(refused.contains(wanted), "{refused}");
    let said = guest.command(&format!("{line} --force"))?;
    let predicted = said.output.last().context("nothing was said")?;
    ensure!(predicted.starts_with("as predicted: "), "{said:?}");
    Ok(After::alive(guest))
}

/// Whether the kernel lives on.
fn one(guest: &mut Guest, row: &Row) -> Result<bool> {
    ok(guest, "spawn hello; iretq nothing")?;
    let before = free_frames(guest)?;
    let words = |guest: &mut Guest, pid: u64| fill(guest, row.words, pid);

    // The cause is named, and nothing has changed when the process is gone.
    let mut foretold = String::new();
    let pid = background(guest, "sleeper 1000000")?;
    let filled = words(guest, pid)?;
    ok(guest, &format!("spoil {pid} {filled}"))?;
    if !row.cause.starts_with('-') {
        let reply = guest.command(&format!("check switch {pid}"))?;
        ensure!(!reply.is_ok(), "{reply:?}");
        let named = |line: &String| {
            line.starts_with("FAIL") && line.contains(row.cause.split(" 0x").next().unwrap_or(""))
        };
        ensure!(reply.output.iter().any(named), "{reply:#?}");
        let answer = reply.output.last().context("no answer")?;
        let is_so = match row.end {
            End::Resets => answer.contains("ends in a triple fault"),
            End::Fetch => answer.contains("error code 0x10 (I/D)"),
            End::Reported(text) if text.starts_with("#DF") => {
                answer.contains("ends in a double fault, whose handler runs")
            }
            End::Reported(text) => {
                let name = text.split(',').next().unwrap_or("");
                answer.contains(name) && answer.contains("its handler runs")
            }
            End::Runs | End::Dies(_) => answer.starts_with("enters ring 3"),
        };
        ensure!(is_so, "{answer}");
        foretold.clone_from(answer);
    }
    ok(guest, &format!("kill {pid}; wait {pid}"))?;

    // A try is refused, with the same reason.
    let spoils = spoils(&words(guest, 0)?);
    let refused = fails(guest, &format!("iretq nothing {spoils}"))?;
    let cause = row.cause.trim_start_matches('-');
    ensure!(refused.contains("refused: "), "{refused}");
    ensure!(refused.contains(cause), "no {cause:?} in {refused}");
    let after = free_frames(guest)?;
    ensure!(
        before == after,
        "{before} frames free before, {after} after"
    );

    // And what is tried all the same comes as foretold.
    // One that must meet an interrupt goes on until there is one.
    let program = match row.end {
        End::Resets => "spinner",
        _ => "nothing",
    };
    let tried = guest.command(&format!("iretq {program} {spoils} --force"));
    match (&row.end, tried) {
        (End::Runs, Ok(reply)) if reply.is_ok() => {}
        (End::Dies(text), Ok(reply)) => {
            let said = reply.output.last().context("nothing was said")?;
            ensure!(said.starts_with("as predicted: "), "{reply:?}");
            ensure!(reply.errors.join("\n").contains(text), "{reply:?}");
        }
        (End::Reported(text), Err(failure)) => reported(text, &failure)?,
        (End::Fetch, Err(failure)) => fetch(&foretold, &failure)?,
        (End::Resets, Err(failure)) => {
            ensure!(
                failure.trouble == Trouble::Left(Left::TripleFault),
                "{failure}"
            );
            // What was foretold is the last thing it said.
            ensure!(failure.to_string().contains("|predicted: "), "{failure}");
        }
        (_, Ok(reply)) => anyhow::bail!("{reply:?}"),
        (_, Err(failure)) => return Err(failure.into()),
    }
    if matches!(row.end, End::Reported(_) | End::Fetch | End::Resets) {
        return Ok(false);
    }
    let after = free_frames(guest)?;
    ensure!(
        before == after,
        "{before} frames free before, {after} after"
    );
    Ok(true)
}

/// The kernel's report names the exception, and says that it was foretold.
fn reported(wanted: &str, failure: &Failure) -> Result<()> {
    let Trouble::Fault { report } = &failure.trouble else {
        anyhow::bail!("no report: {failure}");
    };
    let has = |text: &str| report.iter().any(|line| line.contains(text));
    ensure!(has(wanted), "no {wanted:?} in {report:#?}");
    ensure!(has("as predicted"), "{report:#?}");
    Ok(())
}

/// Code that cannot be fetched: which end is foretold depends on what else is on its page.
fn fetch(foretold: &str, failure: &Failure) -> Result<()> {
    if foretold.contains("; its handler runs") {
        return reported("#PF page fault, vector 14, error code 0x10", failure);
    }
    if foretold.contains("whose handler runs") {
        return reported("#DF double fault, vector 8, error code 0x0", failure);
    }
    ensure!(foretold.contains("; it does not end"), "{foretold}");
    let is_endless = matches!(
        failure.trouble,
        Trouble::Silent { .. } | Trouble::TimeUp { .. }
    );
    ensure!(is_endless, "{failure}");
    Ok(())
}

/// The words with what they stand for.
fn fill(guest: &mut Guest, words: &str, pid: u64) -> Result<String> {
    let mut filled = words.to_owned();
    for (mark, line, what) in [
        ("{after}", "check switch", "next instruction "),
        ("{tss}", "check switch", " TSS "),
        ("{entry}", "events kind=iretq last=1", "rip "),
    ] {
        if !filled.contains(mark) {
            continue;
        }
        let mut line = line.to_owned();
        let mut probe = None;
        if line.starts_with("check") {
            let pid = match pid {
                0 => background(guest, "sleeper 1000000")?,
                pid => pid,
            };
            line = format!("{line} {pid}");
            probe = Some(pid);
        }
        let reply = guest.command(&line)?;
        let mut lines = reply.output.iter();
        let found = lines.find_map(|line| line.split_once(what)).context(what)?;
        let end = found.1.find([' ', '.', ':']).unwrap_or(found.1.len());
        filled = filled.replace(mark, &found.1[..end]);
        if let (Some(probe), 0) = (probe, pid) {
            ok(guest, &format!("kill {probe}; wait {probe}"))?;
        }
    }
    if filled.contains("{stack}") {
        // The one the next process gets is the one the last one had.
        let stacks = ok(guest, "stacks")?;
        let wanted = match pid {
            0 => "free".to_owned(),
            pid => format!("pid {pid}"),
        };
        let mut lines = stacks.iter();
        let line = lines
            .find(|line| line.starts_with("kernel") && line.contains(&wanted))
            .with_context(|| format!("{wanted}: {stacks:#?}"))?;
        let range = line.split_whitespace().find(|word| word.contains(".."));
        let last = range.and_then(|range| range.split("..").nth(1));
        filled = filled.replace("{stack}", &format!("{}+1", last.context("no range")?));
    }
    Ok(filled)
}

/// The words of `spoil` as those of `iretq`.
fn spoils(words: &str) -> String {
    let each = words
        .split_whitespace()
        .map(|word| match word.contains('=') {
            true => word.to_owned(),
            false => format!("spoil={word}"),
        });
    each.collect::<Vec<_>>().join(" ")
}
