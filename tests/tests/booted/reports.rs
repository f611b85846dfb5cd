//! The cause in a sentence, of every program that faults: the right one, twice in a row; with function,
//! file and line.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use xtask::built::Built;
use xtask::count::{self, names};
use xtask::guest::{Firmware, Guest};

use crate::machines::After;
use crate::named::{Named, Place, places};
use crate::ring3::{free_frames, ok};

/// What each program does wrong, in the words of the report: written by hand from what the program
/// does, not from what the kernel said.
const CAUSES: [(&str, &str); 22] = [
    (
        "deep",
        "user read through a null pointer, 0x8 bytes past it",
    ),
    (
        "fault-code-write",
        " has W=0, set by the loader for .text; in ",
    ),
    ("fault-divide", "a division by zero"),
    ("fault-int-gate", "int 0xe from ring 3"),
    ("fault-int3", "int3, a breakpoint in the code"),
    ("fault-kernel-jump", "the ring is wrong, not the mapping"),
    (
        "fault-kernel-read",
        "has U=0: this is the kernel's memory, heap; in ",
    ),
    (
        "fault-kernel-write",
        "has U=0: this is the kernel's memory, heap; in ",
    ),
    (
        "fault-lock",
        "no instruction of this CPU as it is set up: f0",
    ),
    ("fault-long", "an instruction of more than 15 bytes"),
    ("fault-non-canonical-access", "rax is 0x8000000000000000"),
    (
        "fault-non-canonical-jump",
        "a jump or a return to an address that is not canonical",
    ),
    ("fault-null-jump", "user fetch through a null pointer"),
    ("fault-null-read", "user read through a null pointer"),
    ("fault-null-write", "user write through a null pointer"),
    ("fault-page-end", "user fetch at 0x0000_0000_0040_"),
    ("fault-privileged", "an instruction for ring 0 only: cli"),
    (
        "fault-sse-alignment",
        "an SSE move that takes aligned operands only",
    ),
    (
        "fault-stack-jump",
        " has NX=1, set for the program's stack; in ",
    ),
    ("fault-stack-overflow", "the stack is used up"),
    ("fault-trap-flag", "single step (TF)"),
    ("fault-ud2", "ud2"),
];

/// Those whose RIP is in no code: the call that led there is.
const NOWHERE: [&str; 4] = [
    "fault-kernel-jump",
    "fault-non-canonical-jump",
    "fault-null-jump",
    "fault-stack-jump",
];

pub(crate) fn every_fault_has_its_cause(guest: &mut Guest, built: &Built) -> Result<()> {
    let programs = ok(guest, "programs")?;
    let faulting: BTreeSet<_> = programs
        .iter()
        .filter_map(|line| {
            line.split_whitespace()
                .find(|word| word.starts_with("fault-"))
        })
        .collect();
    let known = CAUSES.iter().map(|(program, _)| *program);
    let known: BTreeSet<_> = known.filter(|program| *program != "deep").collect();
    ensure!(faulting == known, "{faulting:?}\n{known:?}");
    for (program, cause) in CAUSES {
        let mut named = Named::default();
        for _ in 0..2 {
            guest.command(&format!("spawn {program}"))?;
            let report = ok(guest, "fault")?;
            let line = report.first().context("no report")?;
            ensure!(line.contains(cause), "{program}: {line}");
            ensure!(line.contains(&format!("; in {program} (pid ")), "{line}");
            let places = places(&report)?;
            is_named(program, &places).with_context(|| report.join("\n"))?;
            named.note(places, 0);
        }
        let compared = named.agree_with_llvm(&built.programs.folder.join(program))?;
        ensure!(compared >= 2, "{program}: only {compared} addresses");
    }
    Ok(())
}

/// The function is the one that faults, the line is in the program's own file, and the outermost call
/// is where it began.
fn is_named(program: &str, places: &[Place]) -> Result<()> {
    let file = format!("/ringwalk/kernel/programs/src/bin/{program}.rs:");
    let in_file = |place: &&Place| {
        place
            .frames
            .iter()
            .any(|frame| frame.place.starts_with(&file))
    };
    ensure!(places.iter().find(in_file).is_some(), "no line of {file}");
    let [rip, .., outermost] = places else {
        bail!("no backtrace")
    };
    let functions = |place: &Place| place.frames.first().map(|frame| frame.function.clone());
    let wanted = match program {
        "deep" => Some("deep::cellar"),
        program if NOWHERE.contains(&program) => None,
        _ => Some("fault_here"),
    };
    ensure!(functions(rip).as_deref() == wanted, "{rip:?}");
    ensure!(
        functions(outermost).as_deref() == Some("_start"),
        "{outermost:?}"
    );
    Ok(())
}

/// How many faults are kept.
const KEPT: u64 = 64;
/// How many programs die for one line.
const A_LINE: u64 = 20;

/// Five hundred processes that fault, one after another: none is lost from the count, the oldest of
/// those kept is whole, and no frame stays behind.
pub(crate) fn no_fault_is_lost_from_the_count(guest: &mut Guest) -> Result<()> {
    deaths(guest, 500)
}

/// The same, ten thousand times; only where it is asked for by name.
pub(crate) fn soak(built: &Built, firmware: Firmware) -> Result<After> {
    let mut options = built.options(firmware);
    options.timeout = Duration::from_secs(3600);
    options.silence = Duration::from_secs(3600);
    let mut guest = Guest::boot(&options)?;
    deaths(&mut guest, 10_000)?;
    Ok(After::alive(guest))
}

/// The number of the newest fault: how many there have been.
pub(crate) fn newest(guest: &mut Guest) -> Result<u64> {
    // `64 faults, 136 overwritten`
    let reply = guest.command("faults")?;
    let mut words = reply.output.last().context("no line")?.split(' ');
    let kept: u64 = words.next().context("no count")?.parse()?;
    let lost: u64 = words.nth(1).context("no count")?.parse()?;
    Ok(kept + lost)
}

fn deaths(guest: &mut Guest, count: u64) -> Result<()> {
    // The first one may leave a page table of the kernel's behind.
    guest.command("spawn fault-ud2")?;
    let before = newest(guest)?;
    let free = free_frames(guest)?;
    for _ in 0..count / A_LINE {
        // One that fails does not keep the next from running.
        let line = "spawn fault-ud2; ".repeat(usize::try_from(A_LINE)?);
        guest.command(&line)?;
    }
    let after = newest(guest)?;
    ensure!(after == before + count, "{before} and then {after}");
    let left = free_frames(guest)?;
    ensure!(free == left, "{free} frames free before, {left} after");
    let reply = guest.command("faults")?;
    let last = reply.output.last().context("no line")?;
    ensure!(
        *last == format!("{KEPT} faults, {} overwritten", after - KEPT),
        "{last}"
    );
    let reply = guest.command(&format!("fault {}", after - KEPT + 1))?;
    let line = reply.output.first().context("no report")?;
    ensure!(line.contains("ud2"), "{line}");
    let reply = guest.command(&format!("fault {}", after - KEPT))?;
    ensure!(!reply.is_ok(), "{reply:?}");
    Ok(())
}

/// What is set runs: for a program's fault, its end and, in the shell that is left, for a panic.
pub(crate) fn reactions_run(built: &Built, firmware: Firmware) -> Result<After> {
    let mut guest = Guest::boot(&built.options(firmware))?;
    let set = "on fault { fault; events last=3 }; on exit { echo gone }; on panic { bt; faults }";
    ok(&mut guest, set)?;
    let has = |lines: &[String], text: &str| lines.iter().any(|line| line.contains(text));
    let reply = guest.command("spawn fault-ud2")?;
    ensure!(
        has(&reply.output, "on fault: fault; events last=3"),
        "{reply:?}"
    );
    ensure!(has(&reply.output, "3 events"), "{reply:?}");
    ensure!(has(&reply.output, "gone"), "{reply:?}");
    // What runs faults itself, and is not run again for that.
    ok(
        &mut guest,
        "on exit {}; on fault { spawn fault-ud2; echo once }",
    )?;
    let reply = guest.command("spawn fault-ud2; echo after")?;
    let times = reply.output.iter().filter(|line| *line == "once").count();
    ensure!(times == 1, "{reply:?}");
    let (_, reply) = guest.crash("crash panic")?;
    ensure!(has(&reply.output, "on panic: bt; faults"), "{reply:?}");
    ensure!(has(&reply.output, "kernel::crash::crash"), "{reply:?}");
    Ok(After::alive(guest))
}

/// Where the most is inlined, and in a report: counted in the guest's instructions, so it repeats exactly.
pub(crate) fn names_cost_little(built: &Built, _: Firmware) -> Result<After> {
    let mut guest = Guest::boot(&count::options(built))?;
    let deep = names::of_the_deepest(built, &mut guest)?;
    // Else it would not be known what is dear.
    ensure!(deep.frames >= 16, "{deep:?}");
    ensure!(deep.worst <= names::MOST, "{deep:?}");
    let (calls, cost) = names::of_a_report(&mut guest)?;
    let most = names::MOST_OF_A_REPORT;
    ensure!(cost <= most, "{calls} calls in {cost} instructions");
    Ok(After::alive(guest))
}
