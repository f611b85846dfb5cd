//! Rough handling over the serial line: nothing of it may panic, hang or wedge the shell.

use std::time::Duration;

use anyhow::{Result, ensure};
use tests::random::Random;
use xtask::built::Built;
use xtask::guest::{Firmware, Guest};

use crate::machines::After;

const LINES: usize = 20_000;
/// Lines between two checks that the prompt comes back.
const BATCH: usize = 200;
const SEED: u64 = 0x2026;

/// Words that make random lines reach deep into the commands. None can end the guest.
const WORDS: [&str; 56] = [
    "--json",
    "|",
    "| head 3",
    "| tail 3",
    "| count",
    "| grep 0",
    "| sort 2",
    "| skip",
    "walk",
    "map",
    "regs",
    "cr",
    "gdt",
    "idt",
    "tss",
    "x",
    "frames",
    "eval",
    "echo",
    "assert",
    "repeat",
    "time",
    "version",
    "history",
    "help",
    "--help",
    "leaves",
    "phys",
    "upper",
    "lower",
    "w",
    "_w",
    "x",
    "_x",
    "4k",
    "2m",
    "cr3",
    "master",
    "root=cr3",
    "$rip",
    "$rsp",
    "$cr3",
    "$_",
    "$?",
    "0",
    "1",
    "-1",
    "0x",
    "0xffff_8000_0000_0000",
    "0xffff_ffff_ffff_ffff",
    "18446744073709551616",
    "sym:main",
    "+",
    "==",
    "\"",
    ";",
];

pub(crate) fn random_lines(built: &Built, firmware: Firmware) -> Result<After> {
    let mut options = built.options(firmware);
    options.timeout = Duration::from_secs(600);
    let mut guest = Guest::boot(&options)?;
    let mut random = Random::new(SEED);
    let mut interrupts = 0;
    for batch in 0..LINES / BATCH {
        let mut bytes = Vec::new();
        for _ in 0..BATCH {
            line(&mut random, &mut bytes);
        }
        // Out of whatever the last line left open: a pager, a search, half a sequence.
        bytes.extend_from_slice(b"q\x15\rq\x15\r");
        send_while_reading(&mut guest, &bytes)?;
        interrupts += sync(&mut guest, batch)?;
    }
    println!("{LINES} lines, {interrupts} endless commands interrupted");
    works(&mut guest)?;
    Ok(After::alive(guest))
}

/// Waits for an echo; a command that goes on for ever (`repeat` with a huge count is one) is
/// interrupted as a person would. Says how often that was needed.
fn sync(guest: &mut Guest, batch: usize) -> Result<usize> {
    for attempt in 0..6 {
        let marker = format!("sync-{batch}-{attempt}-done");
        guest.send_raw(format!("\x15\recho {marker}\r").as_bytes())?;
        guest.set_timeout(Duration::from_secs(if attempt == 0 { 5 } else { 30 }));
        if guest
            .read_until(format!("\n{marker}\r\n").as_bytes())
            .is_ok()
        {
            guest.rewind();
            return Ok(attempt);
        }
        guest.send_raw(b"\x03")?;
    }
    guest.rewind();
    let last = String::from_utf8_lossy(&guest.drain(Duration::from_millis(300))).into_owned();
    anyhow::bail!("no prompt after batch {batch}, seed {SEED:#x}; the last of it: {last:?}")
}

/// A line: words of the language, or bytes of any kind, ended in one of three ways.
fn line(random: &mut Random, out: &mut Vec<u8>) {
    match random.below(3) {
        0 => {
            for _ in 0..random.below(40) {
                // Ctrl-C drops what was typed ahead, so it is rare here: the lines shall be run.
                let byte = (random.number() & 0xff) as u8;
                out.push(if byte == 3 && random.below(20) != 0 {
                    4
                } else {
                    byte
                });
            }
        }
        1 => {
            for _ in 0..random.below(60) {
                out.push(b' ' + random.below(95) as u8);
            }
        }
        _ => {
            for _ in 0..random.below(7) {
                out.extend_from_slice(random.pick(&WORDS).as_bytes());
                out.push(b' ');
            }
        }
    }
    const ENDS: [&[u8]; 3] = [b"\r", b"\n", b"\r\n"];
    let end: &&[u8] = random.pick(&ENDS);
    out.extend_from_slice(end);
}

/// Sends in pieces and reads in between: neither side may wait for the other for ever.
fn send_while_reading(guest: &mut Guest, bytes: &[u8]) -> Result<()> {
    for piece in bytes.chunks(512) {
        guest.send_raw(piece)?;
        guest.drain(Duration::from_millis(1));
    }
    Ok(())
}

/// 64 KiB without a newline: refused as a whole, and the next command works.
pub(crate) fn flood(built: &Built, firmware: Firmware) -> Result<After> {
    let mut guest = Guest::boot(&built.options(firmware))?;
    let flood = vec![b'a'; 64 << 10];
    send_while_reading(&mut guest, &flood)?;
    guest.send_raw(b"\r")?;
    guest.read_until(b"ringwalk> ")?;
    works(&mut guest)?;
    // The same while framed: one frame, failed, in one line.
    let reply = guest.command("echo before")?;
    ensure!(reply.is_ok(), "{reply:?}");
    Ok(After::alive(guest))
}

fn works(guest: &mut Guest) -> Result<()> {
    guest.drain(Duration::from_millis(300));
    let reply = guest.command("echo the next command works")?;
    ensure!(reply.output == ["the next command works"], "{reply:?}");
    let reply = guest.command("assert 1 + 1 == 2; walk $rip")?;
    ensure!(reply.is_ok(), "{reply:?}");
    Ok(())
}
