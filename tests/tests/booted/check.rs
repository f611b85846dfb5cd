//! `check` in the booted kernel: clean whatever was done before, and not clean once an entry is
//! wrong.

use anyhow::{Context as _, Result, ensure};
use xtask::built::Built;
use xtask::guest::{Firmware, Guest};

use crate::machines::After;
use crate::ring3::{background, end_all, ok, settle};

/// Nothing is wrong, in any part.
pub(crate) fn clean(guest: &mut Guest) -> Result<()> {
    let output = ok(guest, "check all; assert $_ == 0")?;
    let last = output.last().context("check printed nothing")?;
    ensure!(last == "11 parts passed", "{output:#?}");
    ok(guest, "frames audit; assert $_ == 0")?;
    Ok(())
}

/// After boot, with ten processes, under a mixed load and after it.
pub(crate) fn clean_under_load(built: &Built, firmware: Firmware) -> Result<After> {
    let mut guest = Guest::boot(&built.options(firmware))?;
    load(&mut guest)?;
    Ok(After::alive(guest))
}

fn load(guest: &mut Guest) -> Result<()> {
    clean(guest).context("after boot")?;
    let mut pids = Vec::new();
    for _ in 0..10 {
        pids.push(background(guest, "sleeper 1000000")?);
    }
    clean(guest).context("with ten processes")?;
    let output = ok(guest, "check kernel-half")?;
    ensure!(
        output == ["kernel-half  pass  10 processes, 2560 slots"],
        "{output:#?}"
    );
    for root in pids.iter().map(u64::to_string).chain(["master".into()]) {
        let output = ok(guest, &format!("check all {root}"))?;
        // The books about frames are no one space's.
        ensure!(
            output
                .last()
                .is_some_and(|line| line == "10 parts passed, 1 skipped"),
            "{output:#?}"
        );
    }
    for round in 0..5 {
        for line in ["forker", "mapper", "fault-null-write"] {
            guest.command(&format!("spawn {line} &"))?;
        }
        clean(guest).with_context(|| format!("in round {round}"))?;
        let victim = pids.remove(0);
        ok(guest, &format!("kill {victim}"))?;
        clean(guest).with_context(|| format!("after a kill in round {round}"))?;
        for request in [3, 17, 40] {
            ok(guest, &format!("frames fail {request}"))?;
            guest.command("spawn forker")?;
            ok(guest, "frames fail off")?;
            clean(guest).with_context(|| format!("{request} frames, round {round}"))?;
        }
    }
    end_all(guest)?;
    settle(guest)
}

/// An entry written by hand: where, what is written, and what is found in which part.
struct Plant {
    poke: &'static str,
    part: &'static str,
    found: &'static str,
}

/// Each in process PID, or in the master.
const PLANTS: &[Plant] = &[
    Plant {
        poke: "PID 0x40_0000 pdpt u=0",
        part: "user-bits",
        found: "U/S clear above ",
    },
    Plant {
        poke: "PID 0x40_0000 pd nx=1",
        part: "nx",
        found: "XD set above ",
    },
    Plant {
        poke: "PID $rsp pml4 w=0",
        part: "wx",
        found: "R/W clear above ",
    },
    Plant {
        poke: "PID $rsp pt nx=0",
        part: "wx",
        found: "R/W set, XD clear: both writable and executable",
    },
    Plant {
        poke: "PID $rsp pt g=1",
        part: "global",
        found: "G set, in the user half",
    },
    Plant {
        poke: "PID 0xffff_c800_0000_0000 pml4 g=1",
        part: "global",
        found: "G set where a table is referenced, in heap",
    },
    Plant {
        poke: "PID 0xffff_c800_0000_0000 pml4 pcd=1",
        part: "kernel-half",
        found: "slot 400 (heap)",
    },
    Plant {
        poke: "PID 0x40_0000 pml4 ps=1",
        part: "reserved",
        found: "malformed: bit 7 set in a PML4",
    },
    Plant {
        poke: "master 0xffff_c800_0010_0000 pt u=1",
        part: "user-bits",
        found: "U/S set: only an entry above keeps user code out, in heap",
    },
];

/// What is planted is found, by the entry that was written; what is taken back is not.
pub(crate) fn plants_are_found(guest: &mut Guest) -> Result<()> {
    let pid = background(guest, "sleeper 1000000")?;
    for Plant { poke, part, found } in PLANTS {
        let poke = poke.replace("PID", &pid.to_string());
        let line = format!("in {pid} 'poke-entry {poke} --force'");
        ok(guest, &line)?;
        let reply = guest.command(&format!("check {part}"))?;
        ok(guest, "undo")?;
        let rows: Vec<&String> = reply.output.iter().skip(1).collect();
        ensure!(
            !reply.is_ok() && rows.len() == 1 && rows.iter().all(|row| row.contains(found)),
            "{line}: {:#?} {:?}",
            reply.output,
            reply.errors
        );
        clean(guest).with_context(|| format!("after {line} and undo"))?;
    }
    end_all(guest)
}
