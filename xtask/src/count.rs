//! The second half of `bench`: how long paths through the kernel are, in guest instructions.
//!
//! Under `-icount shift=0,sleep=off` the guest's time-stamp counter counts executed instructions, so
//! these numbers repeat exactly, however busy this machine is.

use std::time::Duration;

use anyhow::{Context as _, ensure};

use crate::built::Built;
use crate::guest::{Firmware, Guest, Reply};

/// What makes the guest count instructions.
const ICOUNT: [&str; 2] = ["-icount", "shift=0,sleep=off"];

/// Boots once under icount, measures and prints.
///
/// # Errors
///
/// When the guest does not boot, or a program that measures fails.
pub fn run(built: &Built) -> anyhow::Result<()> {
    let mut options = built.options(Firmware::Bios);
    options.extra.extend(ICOUNT.map(str::to_owned));
    options.timeout = Duration::from_secs(300);
    let mut guest = Guest::boot(&options)?;
    println!("guest instructions, under {}", ICOUNT.join(" "));
    let reply = guest.command("spawn measure")?;
    ensure!(reply.is_ok(), "measure: {:?}", reply.errors);
    for line in &reply.output {
        let (what, count) = line
            .rsplit_once(": ")
            .context("measure printed no number")?;
        println!("{count:>8}  {what}, from ring 3 and back");
    }
    // Two that never give way: the timer switches between them.
    let reply =
        guest.command("spawn spinner &; spawn spinner &; spawn sleeper 200; events last=4000")?;
    ensure!(reply.is_ok(), "{:?}", reply.errors);
    let least = switches(&reply)
        .into_iter()
        .min()
        .context("no switch was recorded")?;
    println!(
        "{least:>8}  switch to another process: context saved, CR3 and RSP0 loaded, stack switched"
    );
    let cost = reply
        .output
        .last()
        .and_then(|line| line.rsplit(", ").next())
        .unwrap_or("?")
        .to_owned();
    println!("          {cost} for a record in the event ring, of which a switch makes four");
    Ok(())
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
