//! What is foretold, held against what the CPU does: frames from a grid, executed for real.

use anyhow::{Context as _, Result, ensure};
use tests::grid::{self, Expected, Fault, Frame, Program};
use tests::leaf::hex;
use xtask::built::Built;
use xtask::elf;
use xtask::guest::{Firmware, Guest};

use crate::machines::After;
use crate::ring3::{free_frames, ok};

const SEED: u64 = 0x5eed_0001;
/// Frames a line: as many as always fit.
const BATCH: usize = 7;

/// Each frame of the grid goes to IRETQ unchecked. What comes must be what the manual says,
/// written down apart from the kernel, or what a named deviation excuses; and the kernel must
/// have foretold it.
pub(crate) fn grid(built: &Built, firmware: Firmware) -> Result<After> {
    let mut options = built.options(firmware);
    options.timeout = std::time::Duration::from_secs(300);
    let mut guest = Guest::boot(&options)?;
    let program = program(&mut guest)?;
    let system_call = address(&mut guest, "$lstar")?;
    let symbol = |name| elf::symbol(&built.kernel.whole, name).with_context(|| name.to_owned());
    let iretq = system_call - symbol("ringwalk_system_call")? + symbol("ringwalk_iretq")?;
    let before = free_frames(&mut guest)?;
    let frames = grid::frames(&program, SEED);
    let mut excuses = std::collections::BTreeMap::new();
    for (number, batch) in frames.chunks(BATCH).enumerate() {
        let lines: Vec<String> = batch.iter().map(|(frame, _)| line(frame)).collect();
        let reply = guest.command(&lines.join("; "))?;
        let context = || format!("batch {number}, seed {SEED:#x}: {batch:x?}: {reply:?}");
        ensure!(reply.output.len() == batch.len(), "{}", context());
        let mut errors = reply.errors.iter();
        for ((frame, expected), said) in batch.iter().zip(&reply.output) {
            let error = match said.contains("enters ring 3") {
                true => None,
                false => errors.next().map(String::as_str),
            };
            let came = observed(error, iretq).with_context(context)?;
            let used = hold(came, expected, said)
                .with_context(|| format!("{frame:x?}, seed {SEED:#x}: {error:?}"))?;
            for id in used {
                *excuses.entry(*id).or_insert(0) += 1;
            }
        }
        ensure!(errors.next().is_none(), "{}", context());
    }
    let after = free_frames(&mut guest)?;
    ensure!(
        before == after,
        "{before} frames free before, {after} after"
    );
    ok(&mut guest, "spawn hello")?;
    println!("{} frames; excused: {excuses:?}", frames.len());
    Ok(After::alive(guest))
}

/// Holds what came, and what the kernel said about it, against what was expected; the
/// deviations that had to excuse it.
fn hold(came: Option<Fault>, expected: &Expected, said: &str) -> Result<&'static [&'static str]> {
    ensure!(said.starts_with("as predicted"), "{said}");
    if came == expected.fault {
        ensure!(said.starts_with("as predicted: "), "{said}");
        return Ok(&[]);
    }
    let Some((fault, ids)) = expected.excused else {
        anyhow::bail!("{came:?} came, not {:?}: {said}", expected.fault);
    };
    ensure!(came == fault, "{came:?} came, not {fault:?}: {said}");
    for id in ids {
        ensure!(said.contains(id), "{id} is not named: {said}");
    }
    Ok(ids)
}

fn line(frame: &Frame) -> String {
    let Frame {
        rip,
        cs,
        rflags,
        rsp,
        ss,
    } = frame;
    format!(
        "iretq nothing rip={rip:#x} cs={cs:#x} rflags={rflags:#x} rsp={rsp:#x} ss={ss:#x} unchecked"
    )
}

/// Where the program begins, with which RSP, and a page of kernel code.
fn program(guest: &mut Guest) -> Result<Program> {
    ok(guest, "iretq nothing")?;
    let event = ok(guest, "events kind=iretq last=1")?;
    let words: Vec<&str> = event
        .first()
        .context("no event")?
        .split_whitespace()
        .collect();
    let after = |name: &str| {
        let at = words.iter().position(|word| *word == name);
        let value = at.and_then(|at| words.get(at + 1));
        hex(value.with_context(|| format!("{name} in {words:?}"))?)
    };
    Ok(Program {
        entry: after("rip")?,
        rsp: after("rsp")?,
        kernel: address(guest, "$lstar")? & !0xfff,
    })
}

fn address(guest: &mut Guest, expression: &str) -> Result<u64> {
    let said = ok(guest, &format!("eval {expression}"))?;
    let first = said.first().context("eval printed nothing")?;
    hex(first.split_whitespace().nth(1).unwrap_or_default())
}

/// How the process ended: `None` if it exited with code 0.
fn observed(error: Option<&str>, iretq: u64) -> Result<Option<Fault>> {
    let Some(error) = error else {
        return Ok(None);
    };
    let (_, died) = error.split_once(" died: ").context("it did not die")?;
    let vector = match died.get(..3) {
        Some("#DB") => 1,
        Some("#NP") => 11,
        Some("#SS") => 12,
        Some("#GP") => 13,
        Some("#PF") => 14,
        other => anyhow::bail!("{other:?}"),
    };
    let after = |name: &str| {
        let (_, rest) = died.split_once(name)?;
        let end = rest.find([' ', ',']);
        hex(rest.get(..end.unwrap_or(rest.len()))?).ok()
    };
    let rip = after(", rip ").context("no RIP")?;
    Ok(Some(Fault {
        vector,
        code: after(", error code ").unwrap_or(0),
        ring: if rip == iretq { 0 } else { 3 },
        cr2: after(" at "),
    }))
}
