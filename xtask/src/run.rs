//! `run`: boot, with the kernel's shell on this terminal.

use std::process::{Child, Command};
use std::time::Duration;

use anyhow::{Context as _, bail};

use crate::guest::{Options, machine};
use crate::signals;

/// Boots and stays until the machine ends.
///
/// The serial line and QEMU's monitor share the terminal: every key goes to the guest, Ctrl-C too.
///
/// # Errors
///
/// When QEMU cannot be started or fails.
pub fn run(options: &Options, display: bool) -> anyhow::Result<()> {
    let mut command = Command::new(&options.qemu);
    command.args(machine::arguments(options));
    command.args(["-serial", "mon:stdio"]);
    if display {
        window(options)?;
    } else {
        command.args(["-display", "none"]);
    }
    eprintln!(
        "Ctrl-A X ends the machine, Ctrl-A C is QEMU's monitor; all other keys go to the kernel"
    );
    if options.gdb {
        eprintln!("stopped before the first instruction; on another terminal: cargo xtask gdb");
    }
    let mut child = command
        .spawn()
        .with_context(|| format!("cannot start {}", options.qemu.display()))?;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if signals::asked_to_stop() {
            end(&mut child)?;
            bail!("interrupted");
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    if !status.success() {
        bail!("QEMU ended with {status}");
    }
    Ok(())
}

/// Asks QEMU to end, so that it gives the terminal back as it was; insists after two seconds.
fn end(child: &mut Child) -> std::io::Result<()> {
    Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status()?;
    for _ in 0..100 {
        if child.try_wait()?.is_some() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill()?;
    child.wait().map(drop)
}

/// A window needs a screen; asked before anything is built.
///
/// # Errors
///
/// When there is none.
pub fn screen() -> anyhow::Result<()> {
    let names = ["DISPLAY", "WAYLAND_DISPLAY"];
    if !names.iter().any(|name| std::env::var_os(name).is_some()) {
        bail!("--display: there is no screen here (neither DISPLAY nor WAYLAND_DISPLAY is set)");
    }
    Ok(())
}

/// Can this QEMU draw on a screen? One that cannot would silently serve VNC instead.
fn window(options: &Options) -> anyhow::Result<()> {
    let known = Command::new(&options.qemu)
        .args(["-display", "help"])
        .output()?;
    let known = String::from_utf8_lossy(&known.stdout).into_owned();
    if !known
        .lines()
        .any(|line| matches!(line.trim(), "gtk" | "sdl" | "cocoa"))
    {
        bail!(
            "--display: this QEMU has no window to show; on Debian, apt-get install qemu-system-gui"
        );
    }
    Ok(())
}
