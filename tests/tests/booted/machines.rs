//! Machines that lack something, end, or crash: each boots its own guest.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use xtask::built::{self, Built};
use xtask::guest::{Firmware, Guest, Left};

use crate::check::clean;

/// A test that boots guests of its own.
pub(crate) type Test = fn(&Built, Firmware) -> Result<After>;

/// What there is at the end of one.
pub(crate) enum After {
    /// A guest that lives: [`clean`] is asked of it.
    Alive(Box<Guest>),
    /// Nobody is left to be asked: the guests ended, as they should, or were asked before.
    Dead,
}

impl After {
    pub(crate) fn alive(guest: Guest) -> Self {
        After::Alive(Box::new(guest))
    }
}

/// `poweroff` and `reboot` do what they say, and QEMU says which it was.
pub(crate) fn poweroff_and_reboot(built: &Built, firmware: Firmware) -> Result<After> {
    for (command, wanted) in [("poweroff", Left::PowerOff), ("reboot", Left::Reset)] {
        let mut guest = Guest::boot(&built.options(firmware))?;
        guest.send_raw(format!("{command}\r").as_bytes())?;
        let left = guest.wait_for_end()?;
        ensure!(left == wanted, "{command}: {left:?}");
    }
    Ok(After::Dead)
}

/// Without a serial port the kernel boots, and the keyboard and the screen are enough.
pub(crate) fn no_serial_line(built: &Built, firmware: Firmware) -> Result<After> {
    let mut options = built.options(firmware);
    options.serial = false;
    let mut guest = Guest::start(&options)?;
    // Nothing says when it is ready but the screen: until a typed `poweroff` works.
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    while std::time::Instant::now() < deadline {
        std::thread::sleep(Duration::from_secs(1));
        // Fails once QEMU is gone.
        if guest.type_keys("\npoweroff\n").is_err() {
            break;
        }
    }
    let left = guest.wait_for_end()?;
    ensure!(left == Left::PowerOff, "{left:?}");
    Ok(After::Dead)
}

/// QEMU's default model has no SMEP, SMAP or UMIP: the banner says so, and all else works.
pub(crate) fn default_cpu(built: &Built, firmware: Firmware) -> Result<After> {
    let mut options = built.options(firmware);
    options.cpu = None;
    let mut guest = Guest::boot(&options)?;
    let version = guest.command("version")?;
    let cpu = version
        .output
        .iter()
        .find(|line| line.starts_with("cpu"))
        .context("no cpu line")?;
    ensure!(cpu.ends_with("NX WP on; off: SMEP SMAP UMIP"), "{cpu}");
    let reply = guest.command("assert $cr4.smep == 0; assert $cr0.wp == 1; walk $rip")?;
    ensure!(reply.is_ok(), "{reply:?}");
    for name in ["smap", "smep"] {
        let reply = guest.command(&format!("crash {name}"))?;
        let wanted = format!("crash: this CPU has no {}", name.to_uppercase());
        ensure!(reply.errors == [wanted], "{reply:?}");
    }
    Ok(After::alive(guest))
}

/// Without a display (UEFI only: the BIOS bootloader stops without VESA) the kernel boots.
pub(crate) fn no_screen(built: &Built) -> Result<After> {
    let mut options = built.options(Firmware::Uefi);
    options.screen = false;
    let mut guest = Guest::boot(&options)?;
    let version = guest.command("version")?;
    ensure!(
        version
            .output
            .iter()
            .any(|line| line.starts_with("no screen")),
        "{version:?}"
    );
    Ok(After::alive(guest))
}

/// From little memory to more than 4 GiB of address space.
pub(crate) fn memory_sizes(built: &Built, firmware: Firmware) -> Result<After> {
    for mib in [96, 3072] {
        let mut options = built.options(firmware);
        options.memory_mib = mib;
        let mut guest = Guest::boot(&options).with_context(|| format!("{mib} MiB"))?;
        let reply = guest.command("frames; map; walk $rsp")?;
        ensure!(reply.is_ok(), "{mib} MiB: {reply:?}");
        clean(&mut guest).with_context(|| format!("{mib} MiB"))?;
    }
    Ok(After::Dead)
}

/// A breakpoint in the kernel is noted and survived.
pub(crate) fn a_breakpoint_is_survived(built: &Built, firmware: Firmware) -> Result<After> {
    let mut guest = Guest::boot(&built.options(firmware))?;
    let reply = guest.command("crash breakpoint; echo survived")?;
    ensure!(
        reply.output.last().is_some_and(|line| line == "survived"),
        "{reply:?}"
    );
    Ok(After::alive(guest))
}

pub(crate) fn nmi(built: &Built, firmware: Firmware) -> Result<After> {
    let mut guest = Guest::boot(&built.options(firmware))?;
    guest.hmp("nmi")?;
    guest.read_until(b"NMI")?;
    guest.read_until(b"going on")?;
    let reply = guest.command("echo survived")?;
    ensure!(reply.output == ["survived"], "{reply:?}");
    Ok(After::alive(guest))
}

/// A kernel built to hang in boot: found silent within its wall clock, and where is said.
pub(crate) fn hang_is_reported() -> Result<()> {
    let built = built::prepare(&["hang-in-boot".to_owned()])?;
    let mut options = built.options(Firmware::Uefi);
    options.silence = Duration::from_secs(5);
    match Guest::boot(&options) {
        Ok(_) => bail!("a kernel that hangs reached its prompt"),
        Err(failure) => {
            let text = failure.to_string();
            ensure!(text.contains("silent"), "{text}");
            ensure!(text.contains("hanging on purpose"), "{text}");
            Ok(())
        }
    }
}
