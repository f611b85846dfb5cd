//! The second half of `bench`: how long paths through the kernel are, in guest instructions.
//!
//! Under `-icount shift=0,sleep=off` the guest's time-stamp counter counts executed instructions, so
//! these numbers repeat exactly, however busy this machine is.

pub mod names;

use std::io::Write;
use std::time::Duration;

use anyhow::{Context as _, ensure};

use crate::built::Built;
use crate::guest::{Firmware, Guest, Options, Reply};

/// What makes the guest count instructions.
pub(crate) const ICOUNT: [&str; 2] = ["-icount", "shift=0,sleep=off"];

/// Boots once under icount, measures and prints.
///
/// # Errors
///
/// When the guest does not boot, a program that measures fails, or nobody reads `out` any more.
pub fn run(built: &Built, out: &mut impl Write) -> anyhow::Result<()> {
    let mut guest = Guest::boot(&options(built))?;
    writeln!(out, "guest instructions, under {}", ICOUNT.join(" "))?;
    let reply = guest.command("spawn measure")?;
    ensure!(reply.is_ok(), "measure: {:?}", reply.errors);
    for line in &reply.output {
        let (what, count) = measured(line).context("measure printed no number")?;
        writeln!(out, "{count:>8} instructions  {what}, from ring 3 and back")?;
    }
    names::print(built, &mut guest, out)?;
    names::print_report(&mut guest, out)?;
    let reply = switching(&mut guest)?;
    let least = least_switch(&reply)?;
    writeln!(
        out,
        "{least:>8} instructions  switch to another process: context saved, CR3 and RSP0 loaded, stack switched"
    )?;
    let cost = reply.output.last().and_then(|line| cost(line));
    let cost = cost.context("events did not say what a record costs")?;
    writeln!(
        out,
        "{cost:>8} instructions  a record in the event ring, of which a switch makes four"
    )?;
    // Nobody comes to that address, and nobody faults.
    let never = 0xffff_ffff_8000_0000_u64;
    let armed = guest.command(&format!(
        "break {never:#x}; watch {never:#x} 8; break on fault"
    ))?;
    ensure!(armed.is_ok(), "{:?}", armed.errors);
    let watched = least_switch(&switching(&mut guest)?)?;
    writeln!(
        out,
        "{watched:>8} instructions  the same switch with breakpoints on that are never hit"
    )?;
    Ok(())
}

/// How to boot a guest whose time-stamp counter counts instructions.
#[must_use]
pub fn options(built: &Built) -> Options {
    let mut options = built.options(Firmware::Bios);
    options.extra.extend(ICOUNT.map(str::to_owned));
    options.timeout = Duration::from_secs(900);
    // Programs that only spin, or map a lot, are a long silence on a busy machine.
    options.silence = Duration::from_secs(300);
    options
}

/// Two that never give way: the timer switches between them.
fn switching(guest: &mut Guest) -> anyhow::Result<Reply> {
    let line = "spawn spinner &; spawn spinner &; spawn sleeper 200; events last=4000";
    let reply = guest.command(line)?;
    ensure!(reply.is_ok(), "{:?}", reply.errors);
    Ok(reply)
}

fn least_switch(reply: &Reply) -> anyhow::Result<u64> {
    let least = switches(reply).into_iter().min();
    least.context("no switch was recorded")
}

/// What a line of `measure` is about, and its number: a cycle is an instruction here.
fn measured(line: &str) -> Option<(&str, u64)> {
    let (what, count) = line.strip_suffix(" cycles")?.rsplit_once(": ")?;
    Some((what, count.parse().ok()?))
}

/// What a record costs, by the last line of `events`.
fn cost(line: &str) -> Option<u64> {
    let (_, each) = line.rsplit_once(", ")?;
    let mut words = each.split(' ');
    let cycles = words.next()?.parse().ok()?;
    words
        .next()
        .is_some_and(|unit| unit.starts_with("cycle"))
        .then_some(cycles)
}

/// The instructions from each `save-context` to its `stack-switch`, of those that load CR3 and RSP0.
fn switches(reply: &Reply) -> Vec<u64> {
    let mut found = Vec::new();
    let mut open: Option<(u64, usize)> = None;
    for line in &reply.output {
        let delta = line
            .split_whitespace()
            .find_map(|word| word.strip_prefix('+'))
            .and_then(|digits| digits.parse::<u64>().ok());
        let Some(delta) = delta else { continue };
        if line.contains(" save-context ") {
            open = Some((0, 0));
            continue;
        }
        let step = [" cr3-load ", " rsp0-set ", " stack-switch "]
            .iter()
            .any(|kind| line.contains(kind));
        open = match open {
            Some((sum, steps)) if step => Some((sum + delta, steps + 1)),
            _ => None,
        };
        if line.contains(" stack-switch ")
            && let Some((sum, 3)) = open.take()
        {
            found.push(sum);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use shell::Status;

    #[test]
    fn a_number_counts_only_with_its_unit() {
        let what = "getpid by int 0x80";
        assert_eq!(measured(&format!("{what}: 31 cycles")), Some((what, 31)));
        assert_eq!(measured(&format!("{what}: 31")), None);
        let events = "60 events, 0 lost, ";
        assert_eq!(cost(&format!("{events}41 cycles each")), Some(41));
        assert_eq!(cost(&format!("{events}1 cycle each")), Some(1));
        assert_eq!(cost(events), None);
    }

    #[test]
    fn only_whole_switches_to_another_space_are_counted() {
        let output = [
            "  1          - pid 1 ring - cr3 0x1 save-context rsp 0x1",
            "  2        +10 pid 1 ring - cr3 0x1 save-context rsp 0x1",
            "  3        +20 pid 1 ring - cr3 0x2 cr3-load 0x1 -> 0x2",
            "  4        +30 pid 1 ring - cr3 0x2 rsp0-set 0x1 -> 0x2",
            "  5        +40 pid 2 ring - cr3 0x2 stack-switch 0x1 -> 0x2",
            "  6        +50 pid 2 ring - cr3 0x2 save-context rsp 0x1",
            "  7        +60 pid 0 ring - cr3 0x2 stack-switch 0x1 -> 0x2",
        ];
        let reply = Reply {
            seq: 1,
            command: String::new(),
            output: output.map(str::to_owned).to_vec(),
            errors: Vec::new(),
            notes: Vec::new(),
            status: Status::Ok,
            took: Duration::ZERO,
        };
        assert_eq!(switches(&reply), [90]);
    }
}
