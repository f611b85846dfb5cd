//! `bench`: how long from QEMU's start to the prompt, beside the same kernel without debug information.
//!
//! The file that is loaded decides the boot time, so the reference is this kernel with every
//! symbol and debug section gone, its file filled up with zeros to 600,000 bytes. Rounds
//! alternate, so that a busy machine disturbs all alike.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::built::Built;
use crate::exec::Outcome;
use crate::guest::{Firmware, Guest, Options};
use crate::image;
use crate::kernel;

/// The size the reference is filled up to, in bytes.
const REFERENCE: u64 = 600_000;

/// What the ratio of medians must stay under.
fn limit(firmware: Firmware) -> f64 {
    match firmware {
        Firmware::Uefi => 1.5,
        Firmware::Bios => 3.0,
    }
}

/// Times of one kind of boot.
#[derive(Clone, Debug, Default)]
struct Times(Vec<Duration>);

impl Times {
    fn least(&self) -> f64 {
        self.0.iter().min().map_or(0.0, Duration::as_secs_f64)
    }

    /// The middle one; of an even number, the mean of the two in the middle.
    fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort();
        let middle = sorted.len() / 2;
        let at = |index: usize| sorted.get(index).map_or(0.0, Duration::as_secs_f64);
        if sorted.len() % 2 == 1 {
            at(middle)
        } else {
            (at(middle.saturating_sub(1)) + at(middle)) / 2.0
        }
    }
}

/// Boots everything `runs` times and prints a table.
///
/// # Errors
///
/// When the reference cannot be made or a boot fails.
pub fn run(
    built: &Built,
    change: impl Fn(&mut Options),
    runs: usize,
    check: bool,
) -> anyhow::Result<Outcome> {
    let outcome = table(&mut std::io::stdout().lock(), built, change, runs, check);
    outcome.or_else(quietly)
}

fn table(
    out: &mut impl Write,
    built: &Built,
    change: impl Fn(&mut Options),
    runs: usize,
    check: bool,
) -> anyhow::Result<Outcome> {
    let reference = reference(built)?;
    let size = |path: &Path| std::fs::metadata(path).map(|about| about.len());
    let (ours, theirs) = (size(&built.kernel.loaded)?, size(&reference)?);
    writeln!(
        out,
        "kernel file: {ours} bytes; reference, stripped: {theirs} bytes"
    )?;
    if theirs > REFERENCE {
        writeln!(
            out,
            "the stripped kernel is larger than {REFERENCE} bytes; it is the reference as it is"
        )?;
    }
    writeln!(
        out,
        "seconds from QEMU's start to the prompt, {}, alternating",
        boots(runs)
    )?;
    writeln!(
        out,
        "firmware   kernel min  median   reference min  median   ratio of medians"
    )?;

    let mut outcome = Outcome::Ok;
    for firmware in Firmware::ALL {
        let mut usual = built.options(firmware);
        change(&mut usual);
        usual.firmware = firmware;
        let mut stripped = usual.clone();
        stripped.image = reference.with_file_name(format!("{}.img", firmware.word()));
        image::write(&built.project, firmware, &reference, None, &stripped.image)?;
        let (mut kernel, mut reference) = (Times::default(), Times::default());
        for _ in 0..runs {
            kernel.0.push(Guest::boot(&usual)?.boot_report().prompt);
            reference
                .0
                .push(Guest::boot(&stripped)?.boot_report().prompt);
        }
        let ratio = kernel.median() / reference.median();
        writeln!(
            out,
            "{:8}   {:10.2}  {:6.2}   {:13.2}  {:6.2}   {ratio:16.2}",
            firmware.word(),
            kernel.least(),
            kernel.median(),
            reference.least(),
            reference.median()
        )?;
        if check && ratio >= limit(firmware) {
            writeln!(
                out,
                "{}: the ratio must stay under {}",
                firmware.word(),
                limit(firmware)
            )?;
            outcome = Outcome::Failed;
        }
    }
    crate::naming::run(built, out)?;
    crate::count::run(built, out)?;
    crate::visits::run(built, out)?;
    Ok(outcome)
}

/// Nobody reads any more, as behind `| head`: nothing to say, and nobody to say it to.
fn quietly(error: anyhow::Error) -> anyhow::Result<Outcome> {
    match error.downcast_ref::<std::io::Error>() {
        Some(closed) if closed.kind() == ErrorKind::BrokenPipe => Ok(Outcome::Broken),
        _ => Err(error),
    }
}

fn boots(runs: usize) -> String {
    let boots = if runs == 1 { "boot" } else { "boots" };
    format!("{runs} {boots} each")
}

fn reference(built: &Built) -> anyhow::Result<PathBuf> {
    let folder = built.project.target().join("bench");
    std::fs::create_dir_all(&folder)?;
    let stripped = folder.join("kernel");
    kernel::strip(
        &built.project,
        &built.ready.toolchain,
        &built.kernel.whole,
        &stripped,
    )?;
    let file = std::fs::OpenOptions::new().write(true).open(&stripped)?;
    if file.metadata()?.len() < REFERENCE {
        // What lies behind the sections of an ELF file is loaded, and never looked at.
        file.set_len(REFERENCE)?;
    }
    Ok(stripped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_pipe_is_nothing_to_report_and_another_failure_is() {
        let io = |kind: ErrorKind| anyhow::Error::from(std::io::Error::from(kind));
        let ended = quietly(io(ErrorKind::BrokenPipe)).expect("it is quiet");
        assert_eq!(ended, Outcome::Broken);
        assert!(quietly(io(ErrorKind::NotFound)).is_err());
        assert!(quietly(anyhow::anyhow!("no boot")).is_err());
    }

    #[test]
    fn one_boot_is_not_boots() {
        assert_eq!(boots(1), "1 boot each");
        assert_eq!(boots(5), "5 boots each");
    }

    #[test]
    fn the_median_is_in_the_middle_whatever_the_order() {
        let times =
            |millis: &[u64]| Times(millis.iter().map(|ms| Duration::from_millis(*ms)).collect());
        assert!((times(&[3000, 1000, 2000]).median() - 2.0).abs() < 1e-9);
        assert!((times(&[4000, 1000]).median() - 2.5).abs() < 1e-9);
        assert!((times(&[4000, 1000]).least() - 1.0).abs() < 1e-9);
        assert!(times(&[]).median().abs() < 1e-9);
    }
}
