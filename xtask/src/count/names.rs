//! What names cost: of one address, and of all that a report of a fault has.

use std::io::Write;

use anyhow::{Context as _, anyhow, ensure};
use symbolizer::Index;
use symbolizer::dwarf::Elf;

use crate::built::Built;
use crate::guest::Guest;

/// How many functions of the kernel are asked for, in their middle.
const ASKED: usize = 64;
/// How many addresses with the most inlined calls.
const DEEPEST: usize = 32;
/// How far addresses are apart among which those are sought.
const STEP: usize = 8;
/// The most that names of one address may cost: a fault report asks for a few dozen.
pub const MOST: u64 = 20_000;

/// What it costs to name an address in the middle of a function, and where the most is inlined: the worst
/// of many, and all together.
pub(super) fn print(built: &Built, guest: &mut Guest, out: &mut impl Write) -> anyhow::Result<()> {
    let file = std::fs::read(&built.kernel.whole)?;
    let elf = Elf::read(&file).map_err(|why| anyhow!("{why}"))?;
    let functions: Vec<_> = elf
        .symbols()
        .iter()
        .filter(|symbol| symbol.is_code && symbol.bytes > 0)
        .collect();
    let step = functions.len().div_ceil(ASKED).max(1);
    let middles = functions
        .into_iter()
        .step_by(step)
        .map(|symbol| symbol.address + symbol.bytes / 2);
    let middles = named_all(guest, middles)?;
    writeln!(
        out,
        "{:>8} instructions  the dearest of {} addresses to name, with up to {} frames; {} on average",
        middles.worst,
        middles.count,
        middles.frames,
        middles.sum / middles.count.max(1)
    )?;
    let deep = deepest(guest, &file, &elf)?;
    writeln!(
        out,
        "{:>8} instructions  the dearest of the {} with the most inlined, up to {} frames; {} on average",
        deep.worst,
        deep.count,
        deep.frames,
        deep.sum / deep.count.max(1)
    )?;
    if middles.worst.max(deep.worst) > MOST {
        writeln!(
            out,
            "         that is more than {MOST}, which it should not be"
        )?;
    }
    Ok(())
}

/// What naming some addresses costs, in instructions.
#[derive(Debug, Default)]
pub struct Costs {
    /// The dearest of them.
    pub worst: u64,
    /// All together.
    pub sum: u64,
    /// How many addresses there were.
    pub count: u64,
    /// The most frames that one had.
    pub frames: u64,
}

fn named_all(guest: &mut Guest, links: impl Iterator<Item = u64>) -> anyhow::Result<Costs> {
    let mut costs = Costs::default();
    for link in links {
        let reply = guest.command(&format!("sym sym:__ehdr_start+{link:#x} cost"))?;
        ensure!(reply.is_ok(), "{:?}", reply.errors);
        let line = reply.output.first().map_or("", String::as_str);
        let (frames, cycles) = named(line).with_context(|| format!("no cost in `{line}`"))?;
        costs.worst = costs.worst.max(cycles);
        costs.frames = costs.frames.max(frames);
        costs.sum += cycles;
        costs.count += 1;
    }
    Ok(costs)
}

/// What it costs to name the addresses of the kernel where the most is inlined.
///
/// # Errors
///
/// The kernel's file cannot be read, or the guest does not say what it costs.
pub fn of_the_deepest(built: &Built, guest: &mut Guest) -> anyhow::Result<Costs> {
    let file = std::fs::read(&built.kernel.whole)?;
    let elf = Elf::read(&file).map_err(|why| anyhow!("{why}"))?;
    deepest(guest, &file, &elf)
}

fn deepest(guest: &mut Guest, file: &[u8], elf: &Elf<'_>) -> anyhow::Result<Costs> {
    named_all(guest, most_inlined(file, elf)?.into_iter())
}

/// The addresses that the most calls are inlined at.
fn most_inlined(file: &[u8], elf: &Elf<'_>) -> anyhow::Result<Vec<u64>> {
    let index = symbolizer::build::index(file).map_err(|why| anyhow!("{why}"))?;
    let index = Index::open(&index).map_err(|why| anyhow!("{why}"))?;
    let mut depths: Vec<(usize, u64)> = elf
        .code()
        .iter()
        .flat_map(|range| range.clone().step_by(STEP))
        .map(|address| {
            (
                index
                    .lookup(address)
                    .map_or(0, |found| found.frames.count()),
                address,
            )
        })
        .collect();
    depths.sort_unstable_by_key(|(depth, address)| (std::cmp::Reverse(*depth), *address));
    Ok(depths
        .into_iter()
        .take(DEEPEST)
        .map(|(_, address)| address)
        .collect())
}

/// The most that a report of sixteen calls may cost besides printing.
pub const MOST_OF_A_REPORT: u64 = 2_000_000;

/// The same of a report.
pub(super) fn print_report(guest: &mut Guest, out: &mut impl Write) -> anyhow::Result<()> {
    let (calls, cycles) = of_a_report(guest)?;
    writeln!(
        out,
        "{cycles:>8} instructions  the report of a fault with {calls} calls, besides printing"
    )?;
    if cycles > MOST_OF_A_REPORT {
        writeln!(
            out,
            "         that is more than {MOST_OF_A_REPORT}, which it should not be"
        )?;
    }
    Ok(())
}

/// What the report of a fault in the last of sixteen functions costs: to walk up the stack and write
/// everything down, and to find the names. How many calls it has, and how many instructions that takes.
///
/// # Errors
///
/// The guest does not say, or there are fewer calls.
pub fn of_a_report(guest: &mut Guest) -> anyhow::Result<(u64, u64)> {
    // That it dies is what it is for.
    guest.command("spawn deep")?;
    let reply = guest.command("fault cost")?;
    ensure!(reply.is_ok(), "{:?}", reply.errors);
    let line = reply.output.first().map_or("", String::as_str);
    let (calls, cycles) = reported(line).with_context(|| format!("no cost in `{line}`"))?;
    ensure!(calls >= 16, "only {line}");
    Ok((calls, cycles))
}

/// How many calls a line of `fault cost` has, and what they cost in all.
fn reported(line: &str) -> Option<(u64, u64)> {
    let (calls, rest) = line.split_once(" calls: ")?;
    let mut words = rest.split(' ');
    let written: u64 = words.next()?.parse().ok()?;
    let (_, named) = rest.split_once(", ")?;
    let named: u64 = named.split(' ').next()?.parse().ok()?;
    Some((calls.parse().ok()?, written + named))
}

/// How many frames a line of `sym ADDRESS cost` has, and what they cost.
fn named(line: &str) -> Option<(u64, u64)> {
    let (_, rest) = line.split_once(": ")?;
    let mut words = rest.split(' ');
    let frames = words.next()?.parse().ok()?;
    Some((frames, words.nth(2)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_are_taken_from_what_the_shell_says() {
        assert_eq!(
            named("0xffff_8000_0002_94ef: 3 frames in 4210 cycles"),
            Some((3, 4210))
        );
        assert_eq!(named("sym: nothing"), None);
        let line = "17 calls: 90 cycles to write it down, 8 to name them";
        assert_eq!(reported(line), Some((17, 98)));
    }
}
