//! Faults planted in boot: from its second half on they end in the shell, before that in a report that is
//! complete and says why there is no shell.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use xtask::built::Built;
use xtask::guest::{Firmware, Guest, Options};
use xtask::image;
use xtask::lock::Lock;
use xtask::ramdisk;
use xtask::scratch::Scratch;

use crate::ring3::fails;

/// The kernel on a disk of its own, with the ramdisk that comes of the usual one.
pub(crate) fn disk(
    built: &Built,
    firmware: Firmware,
    folder: &Scratch,
    ramdisk: impl FnOnce(&Path) -> Result<PathBuf>,
) -> Result<PathBuf> {
    let _lock = Lock::take(&built.project)?;
    let ramdisk = ramdisk(&built.kernel.ramdisk)?;
    let disk = folder.path().join("disk.img");
    let kernel = &built.kernel.loaded;
    image::write(&built.project, firmware, kernel, Some(&ramdisk), &disk)?;
    Ok(disk)
}

/// The same with a ramdisk that plants a fault at a stage of boot.
pub(crate) fn planted(
    built: &Built,
    stage: &str,
    firmware: Firmware,
    folder: &Scratch,
) -> Result<PathBuf> {
    disk(built, firmware, folder, |archive| {
        let archive = std::fs::read(archive)?;
        let archive = ramdisk::with(&archive, "boot/fault", stage.as_bytes())?;
        let file = folder.path().join("ramdisk");
        std::fs::write(&file, archive)?;
        Ok(file)
    })
}

/// What every report of one of these has: the fault where it was planted, named, with its backtrace.
const WHOLE: [&str; 6] = [
    "fault: kernel write at 0xffff_c900_0000_0010 refused: ",
    "#PF page fault, vector 14, error code 0x2",
    "\n=> 0x",
    "    kernel::crash::store",
    "backtrace:",
    "next: ",
];

fn boot(options: &Options, end: &str) -> Result<(Guest, String)> {
    let mut guest = Guest::start(options)?;
    let report = guest.read_until(end.as_bytes())?;
    let report = String::from_utf8_lossy(&report).into_owned();
    for text in WHOLE {
        ensure!(report.contains(text), "no {text:?} in {report}");
    }
    Ok((guest, report))
}

/// Before there is a stack for it, there is no shell.
pub(crate) fn too_early(built: &Built) -> Result<()> {
    // The first with descriptor tables, and the last without a stack.
    for (stage, firmware) in [("cpu features", Firmware::Uefi), ("stacks", Firmware::Bios)] {
        let folder = Scratch::new("too-early")?;
        let mut options = built.options(firmware);
        options.image = planted(built, stage, firmware, &folder)?;
        let end = format!(
            "halted at the stage `{stage}` of boot, too early for a shell; the machine stays as it is"
        );
        let (_, report) = boot(&options, &end).context(stage)?;
        ensure!(report.contains("kernel::boot::first_half"), "{report}");
    }
    Ok(())
}

/// Without a heap, and without interrupts: everything that reads can be typed.
pub(crate) fn in_the_second_half(built: &Built) -> Result<()> {
    for (stage, firmware) in [("heap", Firmware::Bios), ("interrupts", Firmware::Uefi)] {
        in_stage(built, stage, firmware).context(stage)?;
    }
    Ok(())
}

fn in_stage(built: &Built, stage: &str, firmware: Firmware) -> Result<()> {
    let folder = Scratch::new(stage)?;
    let mut options = built.options(firmware);
    options.image = planted(built, stage, firmware, &folder)?;
    let (mut guest, report) = boot(&options, "stopped> ")?;
    let ended = format!("boot has ended at `{stage}`; ");
    ensure!(report.contains(&ended), "{report}");
    ensure!(report.contains("kernel::boot::second_half"), "{report}");
    ensure!(report.contains("RSP is on kernel stack 1: "), "{report}");
    ensure!(report.contains("halted; the shell looks at"), "{report}");
    let reply = guest.command("bt")?;
    let has = |text: &str| reply.output.iter().any(|line| line.contains(text));
    ensure!(has("kernel::boot::second_half"), "{reply:?}");
    let reply = guest.command(
        "fault; faults; regs; walk $rip; map; frames; events last=5; stacks; gdt; dis; ps; whatis $rsp",
    )?;
    ensure!(reply.is_ok(), "{reply:?}");
    let why = fails(&mut guest, "spawn hello")?;
    ensure!(why.contains("the kernel has died"), "{why}");
    // Even another crash, on the stack of the first.
    let (report, _) = guest.crash("crash null")?;
    let line = report.first().context("no report")?;
    ensure!(line.contains("through a null pointer"), "{line}");
    Ok(())
}
