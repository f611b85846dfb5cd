//! One program for each way to die in ring 3: the exact vector, error code, CR2 and RIP; the
//! process gone, the others unharmed, every frame back (F-01).

use anyhow::{Context as _, Result, ensure};
use tests::deviations::{INT_GATE_CODE, JUMP_RIP};
use xtask::built::Built;
use xtask::elf;
use xtask::guest::{Firmware, Guest};

use crate::machines::After;
use crate::ring3::{background, end_all, fails, free_frames, ok};

/// What CR2 must be.
enum Cr2 {
    /// No page fault.
    None,
    /// This address.
    At(u64),
    /// The faulting instruction's own address.
    Rip,
}

/// Where RIP must be.
enum Rip {
    /// At the symbol `fault_here`.
    Here,
    /// So many bytes behind it: a trap, reported after its instruction.
    After(u64),
    /// Where a bad jump led.
    At(u64),
}

struct Death {
    program: &'static str,
    name: &'static str,
    /// As the manuals have it.
    code: Option<u64>,
    /// What the emulator pushes instead, with the table's excuse.
    deviates: Option<u64>,
    cr2: Cr2,
    rip: Rip,
    /// Where the emulator says it was instead, with the table's excuse.
    rip_deviates: Option<u64>,
}

const fn death(
    program: &'static str,
    name: &'static str,
    code: Option<u64>,
    cr2: Cr2,
    rip: Rip,
) -> Death {
    Death {
        program,
        name,
        code,
        deviates: None,
        cr2,
        rip,
        rip_deviates: None,
    }
}

/// The kernel's heap.
const KERNEL: u64 = 0xffff_c800_0000_0000;
/// Where `fault-non-canonical-jump` goes.
const NON_CANONICAL: u64 = 1 << 63;

/// Error codes by SDM, "Page-Fault Exceptions": P 1, W 2, U 4, I 0x10.
fn deaths() -> Vec<Death> {
    use {Cr2::At as Cr2At, Rip::At as RipAt, Rip::Here};
    vec![
        death("fault-null-read", "#PF", Some(0x4), Cr2At(0), Here),
        death("fault-null-write", "#PF", Some(0x6), Cr2At(0), Here),
        death("fault-null-jump", "#PF", Some(0x14), Cr2At(0), RipAt(0)),
        death("fault-kernel-read", "#PF", Some(0x5), Cr2At(KERNEL), Here),
        death("fault-kernel-write", "#PF", Some(0x7), Cr2At(KERNEL), Here),
        death(
            "fault-kernel-jump",
            "#PF",
            Some(0x15),
            Cr2At(KERNEL),
            RipAt(KERNEL),
        ),
        death("fault-code-write", "#PF", Some(0x7), Cr2::Rip, Here),
        death("fault-ud2", "#UD", None, Cr2::None, Here),
        death("fault-divide", "#DE", None, Cr2::None, Here),
        death("fault-privileged", "#GP", Some(0), Cr2::None, Here),
        death("fault-sse-alignment", "#GP", Some(0), Cr2::None, Here),
        death(
            "fault-non-canonical-access",
            "#GP",
            Some(0),
            Cr2::None,
            Here,
        ),
        Death {
            rip_deviates: Some(NON_CANONICAL),
            ..death("fault-non-canonical-jump", "#GP", Some(0), Cr2::None, Here)
        },
        death("fault-int3", "#BP", None, Cr2::None, Rip::After(1)),
        Death {
            // Vector 14 by `int`: the IDT's entry 14, bit 1 set.
            deviates: Some(14 * 16 + 2),
            ..death("fault-int-gate", "#GP", Some(14 * 8 + 2), Cr2::None, Here)
        },
        death("fault-lock", "#UD", None, Cr2::None, Here),
        death("fault-long", "#GP", Some(0), Cr2::None, Here),
    ]
}

pub(crate) fn each_kind(built: &Built, firmware: Firmware) -> Result<After> {
    let mut guest = Guest::boot(&built.options(firmware))?;
    let bystander = background(&mut guest, "sleeper 1000000")?;
    ok(&mut guest, "spawn hello")?;
    let before = free_frames(&mut guest)?;
    for row in deaths() {
        one(&mut guest, built, &row).with_context(|| row.program)?;
        let after = free_frames(&mut guest)?;
        ensure!(
            after == before,
            "{}: {before} frames free before, {after} after",
            row.program
        );
    }
    // These have no one place: the report must name the vector and the page.
    let rows = [
        ("fault-stack-overflow", "#PF", ", error code 0x6 "),
        ("fault-stack-jump", "#PF", ", error code 0x15 "),
        ("fault-page-end", "#PF", ", error code 0x14 "),
        ("fault-trap-flag", "#DB", ""),
    ];
    for (program, name, code) in rows {
        let message = fails(&mut guest, &format!("spawn {program}"))?;
        ensure!(
            message.contains(name) && message.contains(code),
            "{program}: {message}"
        );
        let after = free_frames(&mut guest)?;
        ensure!(
            after == before,
            "{program}: {before} frames free before, {after} after"
        );
    }
    // Endless, until somebody kills it.
    let endless = background(&mut guest, "endless")?;
    ok(&mut guest, &format!("kill {endless}; wait {endless}")).or_else(|_| {
        // `wait` fails for a process that was killed; the frames say the rest.
        guest
            .command("ps")
            .map(|reply| reply.output)
            .map_err(anyhow::Error::from)
    })?;
    let state = ok(&mut guest, "ps")?;
    ensure!(
        state
            .iter()
            .any(|line| line.contains("sleeper") && !line.contains("dead")),
        "the bystander {bystander} is gone: {state:#?}"
    );
    end_all(&mut guest)?;
    ok(&mut guest, "spawn hello")?;
    Ok(After::alive(guest))
}

fn one(guest: &mut Guest, built: &Built, row: &Death) -> Result<()> {
    let message = fails(guest, &format!("spawn {}", row.program))?;
    let file = built.program(row.program);
    let here = elf::symbol(&file, "fault_here").context("no symbol fault_here")?;
    ensure!(
        message.contains(&format!("died: {}", row.name)),
        "{message}"
    );
    let rip = match row.rip {
        Rip::Here => here,
        Rip::After(bytes) => here + bytes,
        Rip::At(at) => at,
    };
    let spelled = |value: u64| {
        let digits = format!("{value:016x}");
        format!(
            "0x{}_{}_{}_{}",
            &digits[..4],
            &digits[4..8],
            &digits[8..12],
            &digits[12..]
        )
    };
    let at = |rip: u64| message.contains(&format!("rip {}", spelled(rip)));
    let excused = row.rip_deviates.is_some_and(at);
    if excused && !at(rip) {
        println!("{}: excused by {}", row.program, JUMP_RIP.id);
    }
    ensure!(at(rip) || excused, "rip is not {rip:#x}: {message}");
    match row.code {
        Some(code) => {
            let has = |code: u64| {
                let text = format!("error code {code:#x}");
                message.contains(&format!("{text},")) || message.contains(&format!("{text} "))
            };
            let excused = row.deviates.is_some_and(has);
            if excused && !has(code) {
                println!("{}: excused by {}", row.program, INT_GATE_CODE.id);
            }
            ensure!(has(code) || excused, "the code is not {code:#x}: {message}");
        }
        None => ensure!(!message.contains("error code"), "{message}"),
    }
    match row.cr2 {
        Cr2::None => ensure!(!message.contains(" at 0x"), "{message}"),
        Cr2::At(at) => ensure!(
            message.contains(&format!(" at {}", spelled(at))),
            "{message}"
        ),
        Cr2::Rip => ensure!(
            message.contains(&format!(" at {}", spelled(here))),
            "{message}"
        ),
    }
    Ok(())
}
