//! Address spaces and ring 3: the evidence that it is ring 3, stacks that every space sees, and
//! that nothing is lost whatever fails.

use anyhow::{Context as _, Result, bail, ensure};
use tests::leaf::hex;
use xtask::built::Built;
use xtask::guest::{Firmware, Guest};

use crate::machines::After;

/// Runs a line that must succeed.
pub(crate) fn ok(guest: &mut Guest, line: &str) -> Result<Vec<String>> {
    let reply = guest.command(line)?;
    ensure!(
        reply.is_ok(),
        "{line}: {:?} {:?}",
        reply.output,
        reply.errors
    );
    Ok(reply.output)
}

/// Runs a line that must fail, and its message.
pub(crate) fn fails(guest: &mut Guest, line: &str) -> Result<String> {
    let reply = guest.command(line)?;
    ensure!(!reply.is_ok(), "{line} succeeded: {:?}", reply.output);
    Ok(reply.errors.join("\n"))
}

/// Free frames, by `frames`.
pub(crate) fn free_frames(guest: &mut Guest) -> Result<u64> {
    let output = ok(guest, "frames")?;
    let last = output.last().context("frames printed nothing")?;
    ensure!(last.contains("all accounted for"), "{last}");
    let free = last
        .split(" + ")
        .nth(1)
        .and_then(|rest| rest.split(' ').next());
    Ok(free.with_context(|| last.clone())?.parse()?)
}

/// Starts a program in the background; its pid.
pub(crate) fn background(guest: &mut Guest, line: &str) -> Result<u64> {
    let output = ok(guest, &format!("spawn {line} &"))?;
    let last = output.last().context("spawn & printed nothing")?;
    let pid = last
        .split("(pid ")
        .nth(1)
        .and_then(|rest| rest.split(')').next());
    Ok(pid.with_context(|| last.clone())?.parse()?)
}

/// Waits until a process sleeps. Before that, the accessed bits of its tables may still change.
pub(crate) fn asleep(guest: &mut Guest, pid: u64) -> Result<()> {
    for _ in 0..100 {
        let lines = ok(guest, "ps")?;
        let is_it = |line: &&String| line.split_whitespace().next() == Some(&pid.to_string());
        if lines
            .iter()
            .find(is_it)
            .is_some_and(|line| line.contains(" sleeping "))
        {
            return Ok(());
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    anyhow::bail!("pid {pid} does not come to sleep")
}

/// Kills and reaps everything, dead or alive.
pub(crate) fn end_all(guest: &mut Guest) -> Result<()> {
    for line in ok(guest, "ps")? {
        let Some(Ok(pid)) = line.split_whitespace().next().map(str::parse::<u64>) else {
            continue;
        };
        if line.ends_with("processes") || line.contains(" process") {
            continue;
        }
        guest.command(&format!("kill {pid}; wait {pid}"))?;
    }
    let left = ok(guest, "ps")?;
    ensure!(
        left.last().is_some_and(|line| line == "0 processes"),
        "{left:?}"
    );
    Ok(())
}

/// Waits until every process has ended: children that outlive a parent that failed, too.
pub(crate) fn settle(guest: &mut Guest) -> Result<()> {
    for _ in 0..200 {
        if ok(guest, "ps")?
            .last()
            .is_some_and(|line| line == "0 processes")
        {
            return Ok(());
        }
    }
    bail!("processes that never end: {:#?}", ok(guest, "ps")?)
}

/// The physical address a walk ends at.
fn leads_to(guest: &mut Guest, va: u64, root: &str) -> Result<u64> {
    let output = ok(guest, &format!("walk {va:#x} {root}"))?;
    let last = output.last().context("walk printed nothing")?;
    let to = last.split(" -> ").nth(1).with_context(|| last.clone())?;
    hex(to.split_whitespace().next().unwrap_or_default())
}

/// What the origin of this project called success, and what it did not reach: CR3 switched, the
/// kernel stack still there, RSP0 updated, no double fault, IRETQ, and the first trap back, proved
/// to come from ring 3 by the CS that the CPU pushed.
pub(crate) fn evidence(guest: &mut Guest) -> Result<()> {
    let before = ok(guest, "events last=1")?;
    let first = before
        .first()
        .and_then(|line| line.split_whitespace().next())
        .and_then(|seq| seq.parse::<u64>().ok())
        .unwrap_or(0);
    let said = ok(guest, "spawn hello")?;
    ensure!(said.iter().any(|line| line.contains("ring 3")), "{said:?}");
    let all = ok(guest, "events last=200")?;
    let events: Vec<&String> = all
        .iter()
        .filter(|line| {
            line.split_whitespace()
                .next()
                .and_then(|w| w.parse::<u64>().ok())
                .is_some_and(|s| s > first)
        })
        .collect();
    let mut rest = events.iter();
    let mut find = |wanted: &[&str]| -> Result<String> {
        rest.find(|line| wanted.iter().all(|word| line.contains(word)))
            .map(|line| (**line).clone())
            .with_context(|| {
                format!("after what came before, no event with {wanted:?} in\n{events:#?}")
            })
    };
    find(&["spawn pid"])?;
    let switch = find(&["cr3-load", "->"])?;
    let words: Vec<&str> = switch.split_whitespace().collect();
    let at = words
        .iter()
        .position(|word| *word == "cr3-load")
        .context("cr3-load")?;
    ensure!(
        words.get(at + 1) != words.get(at + 3),
        "CR3 did not change: {switch}"
    );
    find(&["rsp0-set"])?;
    find(&["stack-switch"])?;
    find(&["iretq to rip"])?;
    // Entered through a gate, with the CS that the CPU pushed, in the process's own CR3.
    let back = find(&["ring 3", "trap-entry"])?;
    let root = words.get(at + 3).context("new root")?;
    ensure!(
        back.contains(&format!("cr3 {root}")),
        "the trap back is not in {root}: {back}"
    );
    find(&["trap-exit"])?;
    find(&["exit pid"])?;
    let counters = ok(guest, "irq")?;
    ensure!(
        !counters.iter().any(|line| line.contains("#DF")),
        "a double fault: {counters:#?}"
    );
    Ok(())
}

/// A stack that is mapped after ten processes were made is seen by all ten, through the same
/// leaf.
pub(crate) fn a_late_stack_is_seen_by_all(guest: &mut Guest) -> Result<()> {
    let mut pids = Vec::new();
    for _ in 0..10 {
        pids.push(background(guest, "sleeper 1000000")?);
    }
    let late = background(guest, "sleeper 1000000")?;
    let stacks = ok(guest, "stacks")?;
    let line = stacks
        .iter()
        .find(|line| line.starts_with("kernel") && line.contains(&format!("pid {late}")))
        .with_context(|| format!("no kernel stack of pid {late} in {stacks:#?}"))?;
    let range = line
        .split_whitespace()
        .find(|word| word.contains(".."))
        .context("no range")?;
    let bottom = hex(range.split("..").next().unwrap_or_default())?;
    for va in [bottom, bottom + 0xf008] {
        let master = leads_to(guest, va, "master")?;
        for pid in &pids {
            let theirs = leads_to(guest, va, &pid.to_string())?;
            ensure!(
                theirs == master,
                "{va:#x}: {theirs:#x} in {pid}, {master:#x} in the master"
            );
        }
    }
    ok(guest, "stacks verify")?;
    end_all(guest)
}

/// The n-th request for a frame is refused, for every n that matters: an error, and nothing lost.
pub(crate) fn refused_frames_lose_nothing(guest: &mut Guest) -> Result<()> {
    // A first run leaves behind what is made once: tables of the stack region, for one.
    ok(guest, "spawn hello; spawn forker")?;
    let before = free_frames(guest)?;
    let mut failures = 0;
    for n in 1..=500 {
        let program = if n % 2 == 0 { "hello" } else { "forker" };
        ok(guest, &format!("frames fail {n}"))?;
        let reply = guest.command(&format!("spawn {program}"))?;
        failures += u32::from(!reply.is_ok());
        ok(guest, "frames fail off")?;
        settle(guest)?;
        let after = free_frames(guest)?;
        ensure!(
            after == before,
            "frame {n} refused during {program}: {before} free before, {after} after"
        );
    }
    ensure!(
        failures > 20,
        "only {failures} of 500 failed: the refusals did not reach them"
    );
    ok(guest, "spawn hello")?;
    println!("{failures} of 500 were refused, no frame lost");
    Ok(())
}

/// Processes come and go, and every frame comes back.
pub(crate) fn frames_come_back(guest: &mut Guest) -> Result<()> {
    spawn_and_exit(guest, 2000)
}

/// The same, a hundred thousand times; only where it is asked for by name.
pub(crate) fn soak(built: &Built, firmware: Firmware) -> Result<After> {
    let mut options = built.options(firmware);
    options.timeout = std::time::Duration::from_secs(3600);
    options.silence = std::time::Duration::from_secs(3600);
    let mut guest = Guest::boot(&options)?;
    spawn_and_exit(&mut guest, 100_000)?;
    for _ in 0..100 {
        ok(&mut guest, "spawn forker; spawn mapper")?;
    }
    Ok(After::alive(guest))
}

fn spawn_and_exit(guest: &mut Guest, times: u32) -> Result<()> {
    ok(guest, "spawn nothing")?;
    let before = free_frames(guest)?;
    let output = ok(guest, &format!("repeat {times} spawn nothing"))?;
    ensure!(
        output
            .last()
            .is_some_and(|line| line.starts_with(&format!("{times} rounds"))),
        "{output:?}"
    );
    let after = free_frames(guest)?;
    ensure!(
        before == after,
        "{before} frames free before, {after} after {times} processes"
    );
    Ok(())
}

/// The stack region grows past the tables made at boot, and past a PDPT entry, below the PDPT
/// that every space shares; processes made before see it.
pub(crate) fn the_stack_region_grows(built: &Built, firmware: Firmware) -> Result<After> {
    const STRIDE: u64 = 0x1_1000;
    const BASE: u64 = 0xffff_c900_0000_0000;
    let mut options = built.options(firmware);
    options.timeout = std::time::Duration::from_secs(400);
    let mut guest = Guest::boot(&options)?;
    let early = background(&mut guest, "sleeper 1000000")?;
    // One place is the shell's, one that of the thread that runs processes, one the sleeper's.
    let mut taken = 3;
    for mark in [16u64 << 20, 1 << 30, 4 << 30] {
        // Up to the last place that ends before the mark, then four across it.
        let wanted = mark / STRIDE - 2;
        ok(&mut guest, &format!("stacks reserve {}", wanted - taken))?;
        taken = wanted;
        for _ in 0..4 {
            let pid = background(&mut guest, "sleeper 1000000")?;
            let bottom = BASE + taken * STRIDE + 0x1000;
            for va in [bottom, bottom + 0xfff8] {
                let master = leads_to(&mut guest, va, "master")?;
                ensure!(
                    leads_to(&mut guest, va, &early.to_string())? == master,
                    "{va:#x}: not in {early}"
                );
                ensure!(
                    leads_to(&mut guest, va, &pid.to_string())? == master,
                    "{va:#x}: not in {pid}"
                );
            }
            taken += 1;
        }
        let last = BASE + (taken - 1) * STRIDE;
        ensure!(
            last > BASE + mark - STRIDE,
            "{last:#x} is not past {mark:#x}"
        );
        println!("stacks across {mark:#x} are seen by a process made before");
        if taken < 1000 {
            // Every guard page in every space: quick while there are few places.
            ok(&mut guest, "stacks verify")?;
        }
    }
    ok(&mut guest, "stacks release")?;
    ok(&mut guest, "spawn hello")?;
    Ok(After::alive(guest))
}

/// Bad uses of the commands end in one line each (F-02).
pub(crate) fn misuse_is_refused(guest: &mut Guest) -> Result<()> {
    let pid = background(guest, "sleeper 1000000")?;
    ok(guest, &format!("kill {pid}"))?;
    let rows = [
        ("spawn no-such-program".to_owned(), "is not a program"),
        ("kill 2147483647".to_owned(), "no such process"),
        ("wait 2147483647".to_owned(), "no such process"),
        (format!("kill {pid}"), "dead"),
        (format!("walk 0x40_0000 {pid}"), "dead"),
        (format!("in {pid} regs"), "dead"),
        ("kill 0".to_owned(), "kernel"),
    ];
    for (line, wanted) in rows {
        let message = fails(guest, &line)?;
        ensure!(message.lines().count() == 1, "{line}: {message}");
        if !message.contains(wanted) {
            bail!("{line}: no {wanted:?} in {message:?}");
        }
    }
    end_all(guest)
}
