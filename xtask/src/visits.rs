//! The third part of `bench`: what `map` and `diff` cost for each entry they visit.
//!
//! Both are linear in the tables there are, so the cost of an entry must be the same for a small
//! space and a large one, and what both sides share must cost nothing. The small one is a process
//! that has mapped 1 MiB, the large one a process that has mapped 4 GiB, page by page.

use std::fmt;
use std::io::Write;

use anyhow::{Context as _, ensure};

use crate::built::Built;
use crate::count::{self, ICOUNT};
use crate::guest::Guest;

/// Entries of a table.
const ENTRIES: u64 = 512;
/// What 1 MiB and 4 GiB are in pages, and how `map` says it.
const SMALL: (u64, &str) = (256, " 1M ");
const LARGE: (u64, &str) = (1 << 20, " 1G ");
/// Room for the large one beside the kernel, in MiB.
const MEMORY: u32 = 6144;
/// Where nobody has anything: what a command costs besides visiting entries.
const NOWHERE: &str = "0xffff_f000_0000_0000..0xffff_f000_0000_0fff";

/// Boots once under icount, measures and prints.
///
/// # Errors
///
/// When the guest does not boot, a command fails, or nobody reads `out` any more.
pub fn run(built: &Built, out: &mut impl Write) -> anyhow::Result<()> {
    let mut options = count::options(built);
    options.memory_mib = MEMORY;
    let mut guest = Guest::boot(&options)?;
    writeln!(out, "entries visited, under {}", ICOUNT.join(" "))?;
    let (one, two) = (process(&mut guest, SMALL)?, process(&mut guest, SMALL)?);
    let small = tables(&mut guest, one)?;
    let own = small.private;
    // Of the top table only the lower half is visited.
    let lower = own * ENTRIES - ENTRIES / 2;
    let mut report = |what: &str, entries, cost: Cost| {
        writeln!(
            out,
            "{cost:>8} instructions  {what}, each of {entries} entries"
        )
    };

    let map = |root: u64, range: &str| format!("map {root} {range} 1g");
    let nothing = cycles(&mut guest, &map(one, NOWHERE))?;
    let cost = cycles(&mut guest, &map(one, "lower"))?;
    report(
        "map of a process of 1 MiB",
        lower,
        Cost::of(cost, nothing, lower),
    )?;

    let diff = |left: &str, right: u64, range: &str| format!("diff {left} {right} {range} | count");
    let left = one.to_string();
    let nothing = cycles(&mut guest, &diff(&left, two, NOWHERE))?;
    let cost = cycles(&mut guest, &diff(&left, two, "user"))?;
    let entries = lower * 2;
    report(
        "diff of two such processes",
        entries,
        Cost::of(cost, nothing, entries),
    )?;

    let large = process(&mut guest, LARGE)?;
    let tables = tables(&mut guest, large)?;
    ensure!(tables.private > 2048, "only {} tables", tables.private);
    let lower = tables.private * ENTRIES - ENTRIES / 2;
    let nothing = cycles(&mut guest, &map(large, NOWHERE))?;
    let cost = cycles(&mut guest, &map(large, "lower"))?;
    report(
        "map of a process of 4 GiB",
        lower,
        Cost::of(cost, nothing, lower),
    )?;

    // The kernel half is shared: of it, only the entries of the top table are visited.
    let nothing = cycles(&mut guest, &diff("master", large, NOWHERE))?;
    let cost = cycles(&mut guest, &diff("master", large, "all"))?;
    let entries = ENTRIES * 2 + (tables.private - 1) * ENTRIES;
    report(
        "diff of it with the master, the kernel half shared",
        entries,
        Cost::of(cost, nothing, entries),
    )?;

    let taken = guest.command(&format!("snap before {large}"))?;
    ensure!(taken.is_ok(), "{:?}", taken.errors);
    let cost = cycles(&mut guest, &diff("@before", large, "user"))?;
    let entries = lower * 2;
    report(
        "diff of it with a snapshot, which shares nothing",
        entries,
        Cost::of(cost, nothing, entries),
    )?;
    Ok(())
}

/// A process that has mapped so many pages and sleeps; its pid.
fn process(guest: &mut Guest, (pages, size): (u64, &str)) -> anyhow::Result<u64> {
    let reply = guest.command(&format!("spawn sleeper 100000000 {pages} &"))?;
    let line = reply.output.last().context("spawn printed nothing")?;
    let (_, rest) = line.split_once("(pid ").with_context(|| line.clone())?;
    let pid = rest.trim_end_matches(')').parse()?;
    // It maps before it sleeps.
    for _ in 0..1000 {
        let asleep = guest.command(&format!("map {pid} lower | grep {size:?}; ps"))?;
        let mapped = asleep.output.iter().any(|line| line.contains(size));
        let row = format!(" {pid} ");
        let mut rows = asleep
            .output
            .iter()
            .filter(|line| format!(" {line}").contains(&row));
        if mapped && rows.any(|line| line.contains("sleeping")) {
            return Ok(pid);
        }
    }
    anyhow::bail!("process {pid} has not mapped its memory")
}

/// The tables of a process.
struct Tables {
    private: u64,
}

/// By the last line of `tables`: `46 tables 184K: 7 private 28K, 39 shared 156K`.
fn tables(guest: &mut Guest, pid: u64) -> anyhow::Result<Tables> {
    let reply = guest.command(&format!("tables {pid} | tail 1"))?;
    let line = reply.output.last().context("tables printed nothing")?;
    counted(line).with_context(|| line.clone())
}

fn counted(line: &str) -> Option<Tables> {
    let before = |word: &str| {
        let mut words = line.split(' ');
        let mut last = words.next()?;
        for next in words {
            if next == word {
                return last.parse().ok();
            }
            last = next;
        }
        None
    };
    Some(Tables {
        private: before("private")?,
    })
}

/// What a command takes. Of what it prints, one line goes over the wire.
fn cycles(guest: &mut Guest, command: &str) -> anyhow::Result<u64> {
    let reply = guest.command(&format!("time \"{command}\""))?;
    ensure!(reply.is_ok(), "{command}: {:?}", reply.errors);
    let line = reply.output.last().context("time printed nothing")?;
    let count = line.split(' ').next().unwrap_or_default();
    count.parse().with_context(|| line.clone())
}

/// Tenths of instructions.
struct Cost(u64);

impl Cost {
    fn of(cycles: u64, nothing: u64, entries: u64) -> Cost {
        Cost(cycles.saturating_sub(nothing).saturating_mul(10) / entries.max(1))
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}.{}", self.0 / 10, self.0 % 10))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_of_a_process_are_counted_by_the_last_line() {
        let line = "46 tables 184K: 7 private 28K, 39 shared 156K";
        let found = counted(line).map(|tables| tables.private);
        assert_eq!(found, Some(7));
        assert!(counted("1 row could not be followed").is_none());
    }

    #[test]
    fn a_cost_has_one_decimal_and_leaves_out_what_is_no_entry() {
        assert_eq!(format!("{:>6}", Cost::of(1250, 1000, 100)), "   2.5");
        assert_eq!(Cost::of(1, 2, 0).to_string(), "0.0");
    }
}
