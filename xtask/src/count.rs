//! The second half of `bench`: how long paths through the kernel are, in guest instructions.
//!
//! Under `-icount shift=0,sleep=off` the guest's time-stamp counter counts executed instructions, so
//! these numbers repeat exactly, however busy this machine is.

use std::io::Write;
use std::time::Duration;

use anyhow::{Context as _, anyhow, ensure};
use symbolizer::Index;
use symbolizer::dwarf::Elf;

use crate::built::Built;
use crate::guest::{Firmware, Guest, Reply};

/// What makes the guest count instructions.
pub(crate) const ICOUNT: [&str; 2] = ["-icount", "shift=0,sleep=off"];

/// Boots once under icount, measures and prints.
///
/// # Errors
///
/// When the guest does not boot, a program that measures fails, or nobody reads `out` any more.
pub fn run(built: &Built, out: &mut impl Write) -> anyhow::Result<()> {
    let mut guest = boot(built)?;
    writeln!(out, "guest instructions, under {}", ICOUNT.join(" "))?;
    let reply = guest.command("spawn measure")?;
    ensure!(reply.is_ok(), "measure: {:?}", reply.errors);
    for line in &reply.output {
        let (what, count) = measured(line).context("measure printed no number")?;
        writeln!(out, "{count:>8} instructions  {what}, from ring 3 and back")?;
    }
    names(built, &mut guest, out)?;
    report(&mut guest, out)?;
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

/// A guest whose time-stamp counter counts instructions.
///
/// # Errors
///
/// It does not boot.
pub fn boot(built: &Built) -> anyhow::Result<Guest> {
    let mut options = built.options(Firmware::Bios);
    options.extra.extend(ICOUNT.map(str::to_owned));
    options.timeout = Duration::from_secs(900);
    // Two programs that only spin are a long silence on a busy machine.
    options.silence = Duration::from_secs(300);
    Ok(Guest::boot(&options)?)
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
fn names(built: &Built, guest: &mut Guest, out: &mut impl Write) -> anyhow::Result<()> {
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
pub fn deepest_names(built: &Built, guest: &mut Guest) -> anyhow::Result<Costs> {
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

fn report(guest: &mut Guest, out: &mut impl Write) -> anyhow::Result<()> {
    let (calls, cycles) = a_report(guest)?;
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
pub fn a_report(guest: &mut Guest) -> anyhow::Result<(u64, u64)> {
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
        assert_eq!(
            named("0xffff_8000_0002_94ef: 3 frames in 4210 cycles"),
            Some((3, 4210))
        );
        assert_eq!(named("sym: nothing"), None);
        let line = "17 calls: 90 cycles to write it down, 8 to name them";
        assert_eq!(reported(line), Some((17, 98)));
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
