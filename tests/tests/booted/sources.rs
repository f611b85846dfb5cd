//! `list` in a kernel whose ramdisk has the sources: the line that a report names, as it is in the file.

use anyhow::{Context as _, Result, ensure};
use xtask::built::Built;
use xtask::guest::{Firmware, Guest};
use xtask::ramdisk;
use xtask::scratch::Scratch;

use crate::early::disk;
use crate::outside;
use crate::ring3::ok;

/// Of the kernel's code and a program's, in a kernel that has died.
pub(crate) fn are_listed(built: &Built) -> Result<()> {
    let folder = Scratch::new("sources")?;
    let mut options = built.options(Firmware::Uefi);
    options.image = disk(built, options.firmware, &folder, |archive| {
        ramdisk::with_sources(&built.project, &built.kernel, &built.programs, archive)
    })?;
    let mut guest = Guest::boot(&options)?;
    let lines = ok(
        &mut guest,
        "spawn sleeper 1000000 &; in $_ list sleeper::main 1",
    )?;
    let path = "/ringwalk/kernel/programs/src/bin/sleeper.rs:";
    ensure!(lines.iter().any(|line| line.starts_with(path)), "{lines:?}");
    ensure!(
        lines.iter().any(|line| line.contains(" fn main(")),
        "{lines:?}"
    );
    // From outside those that were built in are shown, too, and not those of the checkout.
    let asked = ["list kernel::boot::shell 3", "list shell/src/run.rs:40 5"];
    outside::compare(&mut guest, &asked.map(str::to_owned))?;
    let (report, _) = guest.crash("crash null")?;
    let (path, line) = place(&report)?;
    let lines = ok(&mut guest, "list")?;
    ensure!(
        lines.first() == Some(&format!("{path}:{line}")),
        "{lines:?}"
    );
    let file = path.strip_prefix("/ringwalk/").context("not ours")?;
    let text = std::fs::read_to_string(built.project.root().join(file))?;
    let wanted = text.lines().nth(line - 1).context("no such line")?;
    ensure!(wanted.contains("asm!"), "{wanted}");
    let marked = lines.iter().find_map(|line| line.strip_prefix("=> "));
    ensure!(marked == Some(&format!("{line:>4} {wanted}")), "{lines:?}");
    ensure!(lines.len() == 11, "{lines:?}");
    Ok(())
}

/// File and line of the first function that a report names.
fn place(report: &[String]) -> Result<(String, usize)> {
    let named = report.iter().find(|line| line.starts_with("    "));
    let (_, place) = named
        .and_then(|line| line.split_once(" at "))
        .context("no place")?;
    let mut parts = place.split([':', ',']);
    let path = parts.next().context("no path")?.to_owned();
    let line = parts.next().context("no line")?.parse()?;
    Ok((path, line))
}
