//! Typing: the keyboard and the serial line, as a person would.

use std::time::Duration;

use anyhow::{Result, ensure};
use xtask::guest::Guest;

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Keys typed on the PS/2 keyboard run a command whose output comes over the serial line too.
pub(crate) fn keyboard_types_into_the_shell(guest: &mut Guest) -> Result<()> {
    guest.framing(false)?;
    guest.drain(Duration::from_millis(200));
    guest.type_keys("ecko")?;
    // Back over the typo, with the arrows; then the rest.
    guest.press(&["left", "left", "delete", "h", "end"])?;
    guest.type_keys(" \"Keys: $0_9\"\n")?;
    let seen = text(&guest.read_until(b"Keys: $0_9\r\n")?);
    ensure!(seen.contains("echo"), "{seen:?}");
    guest.prompt()?;
    // One shell: half a line from each.
    guest.send_raw(b"echo from-both-")?;
    guest.read_until(b"both-")?;
    guest.type_keys("sides\n")?;
    guest.read_until(b"\nfrom-both-sides\r\n")?;
    guest.prompt()?;
    Ok(())
}

pub(crate) fn editing_over_serial(guest: &mut Guest) -> Result<()> {
    guest.framing(false)?;
    guest.drain(Duration::from_millis(200));
    // Home, insert, end; Ctrl-W; history; Tab.
    let rows: [(&[u8], &[u8]); 5] = [
        (b"one two\x1b[Hecho \x1b[F three\r", b"\none two three\r\n"),
        (b"echo keep drop\x17this\r", b"\nkeep this\r\n"),
        (b"\x1b[A\x1b[A\r", b"\none two three\r\n"),
        (b"ech\tcompleted\r", b"\ncompleted\r\n"),
        (b"echo lost\x03echo after-ctrl-c\r", b"\nafter-ctrl-c\r\n"),
    ];
    for (typed, wanted) in rows {
        guest.send_raw(typed)?;
        guest.read_until(wanted)?;
        guest.prompt()?;
    }
    Ok(())
}

pub(crate) fn ctrl_c_ends_a_command(guest: &mut Guest) -> Result<()> {
    guest.framing(false)?;
    guest.drain(Duration::from_millis(200));
    guest.send_raw(b"repeat 1000000000 eval 1\r")?;
    // A page fills first: then all of it.
    guest.read_until(b"more")?;
    guest.send_raw(b"a")?;
    std::thread::sleep(Duration::from_millis(300));
    guest.send_raw(b"\x03")?;
    let seen = text(&guest.read_until(b"interrupted")?);
    ensure!(
        seen.len() > 1000,
        "little came before the interrupt: {seen:?}"
    );
    guest.prompt()?;
    guest.send_raw(b"echo still-here\r")?;
    guest.read_until(b"\nstill-here\r\n")?;
    guest.prompt()?;
    Ok(())
}
