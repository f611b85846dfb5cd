//! Breaking in: whatever runs, the debugger can be had, again and again, and everything goes on.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tests::remote::{Register, Remote};
use xtask::built::Built;
use xtask::elf;
use xtask::guest::{Firmware, Guest};

use crate::machines::After;
use crate::ring3::{background, end_all, free_frames, ok};
use crate::stops::image_base;

/// What asks for the debugger on a serial line.
const BREAK_IN: &[u8] = b"\x1c";
/// Holds the serial line in a break.
const BREAK: &str = "chardev-send-break serial";
/// Until a machine that was let go comes somewhere.
const PATIENCE: Duration = Duration::from_secs(20);

/// How often somebody breaks in. The kernel is the same whoever booted it; so one of the two does it
/// a thousand times.
fn rounds(firmware: Firmware) -> u32 {
    match firmware {
        Firmware::Bios => 1000,
        Firmware::Uefi => 100,
    }
}

/// The banner of a stop that nobody was waiting for: the line after the prompt, and the next.
fn banner(guest: &mut Guest, reason: &[u8]) -> Result<()> {
    guest.read_until(reason)?;
    guest.read_until(b"\nnote: 0x")?;
    guest.read_until(b"\n")?;
    Ok(())
}

/// A program spins: each of the ways stops it, and it goes on.
pub(crate) fn while_a_program_spins(built: &Built, firmware: Firmware) -> Result<After> {
    let mut guest = Guest::boot(&built.options(firmware))?;
    ok(&mut guest, "spawn hello")?;
    let frames = free_frames(&mut guest)?;
    let spinner = background(&mut guest, "endless")?;
    for round in 0..rounds(firmware) {
        match round % 10 {
            9 => drop(guest.hmp("sendkey f12")?),
            4 => drop(guest.hmp(BREAK)?),
            _ => guest.send_raw(BREAK_IN)?,
        }
        let stopped = banner(&mut guest, b": break-in; ").and_then(|()| ok(&mut guest, "continue"));
        stopped.with_context(|| format!("round {round}"))?;
    }
    ok(&mut guest, &format!("kill {spinner}"))?;
    end_all(&mut guest)?;
    let after = free_frames(&mut guest)?;
    ensure!(after == frames, "{frames} frames free, then {after}");
    Ok(After::alive(guest))
}

/// Output floods: that of a program, which is stopped and goes on, and that of a command, which ends.
pub(crate) fn while_output_floods(built: &Built, firmware: Firmware) -> Result<After> {
    let mut guest = Guest::boot(&built.options(firmware))?;
    guest.framing(true)?;
    let mut line: &[u8] = b"spawn counter 4000000000\r";
    for round in 0..rounds(firmware) / 2 {
        guest.send_raw(line)?;
        guest.read_until(b"\n|")?;
        guest.read_until(b"\n|")?;
        guest.send_raw(BREAK_IN)?;
        let stopped = guest.read_until(b": break-in; ");
        stopped.with_context(|| format!("round {round}"))?;
        read_past(&mut guest, b"\n@end ")?;
        line = b"continue\r";
    }
    guest.send_raw(b"abort\r")?;
    guest.read_until(b"was killed")?;
    guest.read_until(b"\n@end ")?;
    for round in 0..rounds(firmware) / 2 {
        guest.send_raw(b"repeat 100000000 regs\r")?;
        guest.read_until(b"|rip 0x")?;
        guest.send_raw(BREAK_IN)?;
        guest
            .read_until(b"\n!interrupted")
            .with_context(|| format!("round {round}"))?;
        read_past(&mut guest, b"\n@end ")?;
    }
    guest.framing(false)?;
    Ok(After::alive(guest))
}

/// An NMI stops the handler of the timer's interrupt: at its first instruction, at its second, and so
/// on. The GDB stub holds the machine there meanwhile.
pub(crate) fn in_an_interrupt_handler(built: &Built, firmware: Firmware) -> Result<After> {
    let mut guest = Guest::boot(&built.options(firmware))?;
    let base = image_base(&mut guest)?;
    let stubs = elf::symbol(&built.kernel.whole, "ringwalk_stubs").context("no stubs")?;
    let timer = base + stubs + 0x20 * 16;
    let spinner = background(&mut guest, "endless")?;
    let socket = guest.folder().join("gdb");
    let name = socket.display().to_string().replace(',', ",,");
    let said = guest.hmp(&format!("gdbserver unix:{name},server=on,wait=off"))?;
    let mut remote = Remote::connect(&socket).with_context(|| said)?;
    for round in 0..rounds(firmware) {
        let held = hold(&mut remote, timer, round % 16)
            .and_then(|()| Ok(guest.hmp("nmi")?))
            .and_then(|_| remote.go());
        held.with_context(|| format!("round {round}"))?;
        let lines = banner(&mut guest, b": NMI; ").and_then(|()| ok(&mut guest, "eval $cs & 3"));
        let lines = lines.with_context(|| format!("round {round}"))?;
        ensure!(
            lines.iter().any(|line| line == "decimal 0"),
            "round {round}: {lines:?}"
        );
        ok(&mut guest, "continue").with_context(|| format!("round {round}"))?;
        remote.stop()?;
    }
    remote.go()?;
    ok(&mut guest, &format!("kill {spinner}"))?;
    end_all(&mut guest)?;
    Ok(After::alive(guest))
}

/// Lets a machine that is held go on until the timer interrupts ring 3, and so many instructions on.
fn hold(remote: &mut Remote, timer: u64, steps: u32) -> Result<()> {
    remote.set_breakpoint(timer)?;
    loop {
        remote.go()?;
        remote.stopped(PATIENCE)?;
        // RIP and CS are what the CPU pushed last.
        let rsp = remote.register(Register::Rsp)?;
        let pushed = remote.words(rsp, 2)?;
        if pushed.get(1).is_some_and(|cs| cs & 3 == 3) {
            break;
        }
        // The stub stops again at once where it stands.
        remote.step()?;
    }
    remote.clear_breakpoint(timer)?;
    for _ in 0..steps {
        remote.step()?;
    }
    Ok(())
}

/// Nobody reads keys, and more have been typed than there is room for: the keyboard and a break on
/// the line still get through.
pub(crate) fn behind_a_full_queue(built: &Built, firmware: Firmware) -> Result<After> {
    let mut guest = Guest::boot(&built.options(firmware))?;
    guest.framing(true)?;
    guest.send_raw(b"spawn endless\r")?;
    for way in ["sendkey f12", BREAK] {
        // The command runs, or goes on.
        read_past(&mut guest, b"@begin ")?;
        guest.send_raw(&[b'x'; 9000])?;
        std::thread::sleep(Duration::from_millis(300));
        guest.hmp(way)?;
        let stopped = guest.read_until(b": break-in; ");
        stopped.with_context(|| way.to_owned())?;
        guest.read_until(b"\n@end ")?;
        // What was typed is one line, and no command.
        guest.send_raw(b"\r")?;
        read_past(&mut guest, b"\n@end ")?;
        guest.send_raw(b"continue\r")?;
    }
    read_past(&mut guest, b"@begin ")?;
    guest.send_raw(BREAK_IN)?;
    read_past(&mut guest, b"\n@end ")?;
    guest.send_raw(b"abort\r")?;
    read_past(&mut guest, b"\n@end ")?;
    guest.framing(false)?;
    Ok(After::alive(guest))
}

/// Reads to the end of the line that this mark ends in.
fn read_past(guest: &mut Guest, mark: &[u8]) -> Result<()> {
    guest.read_until(mark)?;
    guest.read_until(b"\n")?;
    Ok(())
}
