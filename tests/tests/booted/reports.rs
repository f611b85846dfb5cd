//! The cause in a sentence, of every program that faults: the right one, twice in a row.

use anyhow::{Context as _, Result, ensure};
use xtask::guest::Guest;

/// What each program does wrong, in the words of the report: written by hand from what the program
/// does, not from what the kernel said.
const CAUSES: [(&str, &str); 21] = [
    ("fault-code-write", "user write at "),
    ("fault-divide", "a division by zero"),
    ("fault-int-gate", "int 0xe from ring 3"),
    ("fault-int3", "int3, a breakpoint in the code"),
    ("fault-kernel-jump", "the ring is wrong, not the mapping"),
    ("fault-kernel-read", "has U=0"),
    ("fault-kernel-write", "has U=0"),
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
    ("fault-page-end", "is not present"),
    ("fault-privileged", "an instruction for ring 0 only: cli"),
    (
        "fault-sse-alignment",
        "an SSE move that takes aligned operands only",
    ),
    ("fault-stack-jump", "has NX=1"),
    ("fault-stack-overflow", "the stack is used up"),
    ("fault-trap-flag", "single step (TF)"),
    ("fault-ud2", "ud2"),
];

pub(crate) fn every_fault_has_its_cause(guest: &mut Guest) -> Result<()> {
    for _ in 0..2 {
        for (program, cause) in CAUSES {
            guest.command(&format!("spawn {program}"))?;
            let reply = guest.command("fault")?;
            let line = reply.output.first().context("no report")?;
            ensure!(line.contains(cause), "{program}: {line}");
            ensure!(line.contains(&format!("; in {program} (pid ")), "{line}");
        }
    }
    Ok(())
}

/// More faults than are kept: none is lost from the count, and the oldest of those kept is whole.
pub(crate) fn no_fault_is_lost_from_the_count(guest: &mut Guest) -> Result<()> {
    // `64 faults, 136 overwritten`
    let newest = |guest: &mut Guest| -> Result<u64> {
        let reply = guest.command("faults")?;
        let mut words = reply.output.last().context("no line")?.split(' ');
        let kept: u64 = words.next().context("no count")?.parse()?;
        let lost: u64 = words.nth(1).context("no count")?.parse()?;
        Ok(kept + lost)
    };
    let before = newest(guest)?;
    for _ in 0..10 {
        // One that fails does not keep the next from running.
        guest.command(&"spawn fault-ud2; ".repeat(20))?;
    }
    let after = newest(guest)?;
    ensure!(after == before + 200, "{before} and then {after}");
    let reply = guest.command("faults")?;
    let last = reply.output.last().context("no line")?;
    ensure!(
        *last == format!("64 faults, {} overwritten", after - 64),
        "{last}"
    );
    let reply = guest.command(&format!("fault {}", after - 63))?;
    let line = reply.output.first().context("no report")?;
    ensure!(line.contains("ud2"), "{line}");
    let reply = guest.command(&format!("fault {}", after - 64))?;
    ensure!(!reply.is_ok(), "{reply:?}");
    Ok(())
}
