//! Every way to crash the kernel: the right sentence of cause, the exact function, file and line,
//! twice in a row, and a shell that looks at what is left.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use tests::deviations::{Deviation, NO_EXT};
use xtask::built::Built;
use xtask::guest::{Firmware, Guest};

use crate::machines::After;
use crate::named::{Named, places};
use crate::reports::newest;
use crate::ring3::ok;
use crate::stops::image_base;

/// A kind of crash, by hand: what the report must say.
struct Crash {
    kind: &'static str,
    /// In its first line.
    sentence: &'static str,
    /// The innermost function at RIP; empty where RIP is in no code, or in the panic's own.
    at: &'static str,
    /// A function of the backtrace, and so of the kernel's source.
    through: &'static str,
    /// Somewhere else in it.
    says: &'static str,
    /// What the instruction at RIP begins with; empty where the compiler chose it.
    code: &'static str,
    /// What it says instead under an emulator, with the table's excuse.
    deviates: Option<(Deviation, &'static str)>,
}

const fn crash(
    kind: &'static str,
    sentence: &'static str,
    at: &'static str,
    says: &'static str,
) -> Crash {
    Crash {
        kind,
        sentence,
        at,
        through: "kernel::crash::crash",
        says,
        code: "",
        deviates: None,
    }
}

impl Crash {
    const fn by(self, code: &'static str) -> Crash {
        Crash { code, ..self }
    }

    const fn or(self, why: Deviation, says: &'static str) -> Crash {
        Crash {
            deviates: Some((why, says)),
            ..self
        }
    }
}

/// The causes by what each does, and the manuals; not by what the kernel said.
const CRASHES: [Crash; 31] = [
    crash(
        "panic",
        "panic: asked for by the command `crash panic`, at kernel/src/crash.rs:",
        "",
        "rust_begin_unwind",
    ),
    crash(
        "index",
        "panic: index out of bounds: the len is 3 but the index is 7, at kernel/src/crash.rs:",
        "",
        "kernel::crash::index",
    ),
    crash(
        "panic-locked",
        "panic: asked for with the console's locks held, at kernel/src/crash.rs:",
        "",
        "kernel::console::while_locked",
    ),
    crash(
        "page-fault",
        "kernel write at 0xffff_c900_0000_0010 refused: PT entry 0 is not present",
        "kernel::crash::store",
        "CR2 is in the guard page of kernel stack 0",
    )
    .by("mov byte [r"),
    crash(
        "read-only",
        " has W=0, set for kernel rodata; in the kernel",
        "kernel::crash::store",
        "(kernel rodata)",
    )
    .by("mov byte [r"),
    crash(
        "null",
        "kernel read through a null pointer, 0x18 bytes past it",
        "kernel::crash::null",
        "error code 0x0",
    )
    .by("mov r"),
    crash(
        "per-cpu",
        "kernel read through a null pointer: offset 0x10 of GS, whose base is 0",
        "kernel::crash::per_cpu",
        "error code 0x0",
    )
    .by("mov rax, qword gs:["),
    Crash {
        through: "kernel::crash::call",
        ..crash("execute", "has NX=1, set for kernel data; in the kernel", "", "error code bits: P I/D")
    },
    Crash {
        through: "kernel::crash::call",
        ..crash(
            "null-call",
            "kernel fetch through a null pointer",
            "",
            "error code 0x10",
        )
    },
    crash(
        "non-canonical",
        " is 0x8000000000000000; in the kernel",
        "kernel::crash::load",
        "#GP general protection, vector 13, error code 0x0",
    )
    .by("mov r"),
    crash(
        "smap",
        "the page is a user page, SMAP is on and AC is clear; in the kernel, for nothing (pid ",
        "kernel::crash::load",
        "#PF page fault, vector 14, error code 0x1",
    )
    .by("mov r"),
    Crash {
        through: "kernel::crash::call",
        // SMEP alone: the page may be executed in ring 3.
        ..crash(
            "smep",
            "kernel fetch at 0x0000_0000_0040_",
            "_start",
            "#PF page fault, vector 14, error code 0x11",
        )
    },
    crash(
        "reserved",
        "PML4 entry 32 has reserved bits set, 0x80; in the kernel, for nothing (pid ",
        "kernel::crash::load",
        "0000000000000081 ",
    )
    .by("mov r"),
    crash(
        "local-selector",
        "LDT entry 2 (selector 0x14) cannot be used here",
        "kernel::crash::selector",
        "LDT entry 2: there is no LDT, LDTR is null",
    )
    .by("mov es, "),
    crash(
        "stack-segment",
        "GDT entry 9 (selector 0x48) is no usable stack segment",
        "kernel::crash::stack_segment",
        "GDT entry 9: 00cf13000000ffff data dpl 0 writable, not present",
    )
    .by("mov ss, "),
    crash(
        "gate",
        "IDT gate 0x81 (interrupt) is not present",
        "kernel::crash::interrupt",
        "interrupt gate dpl 0, not present -> 0xffff_8000_",
    )
    .by("int 0x81"),
    crash(
        "interrupt",
        "IDT gate 0x20 (interrupt) is not present, while an interrupt or an earlier exception was delivered",
        "kernel::crash::tick",
        // An interrupt's gate, and not `int`'s: 0x20 * 8 + 3.
        "#NP segment not present, vector 11, error code 0x103",
    )
    .or(NO_EXT, "#NP segment not present, vector 11, error code 0x202"),
    crash(
        "selector",
        "GDT entry 582 (selector 0x1230) cannot be used here",
        "kernel::crash::selector",
        "GDT entry 582: the table ends before it, limit 0x",
    )
    .by("mov es, "),
    crash(
        "not-present",
        "GDT entry 8 (selector 0x40) is not present",
        "kernel::crash::selector",
        "GDT entry 8: 00cf73000000ffff data dpl 3 writable, not present",
    )
    .by("mov es, "),
    crash(
        "divide",
        "a division by zero",
        "kernel::crash::divide",
        "vector 0",
    )
    .by("div e"),
    crash(
        "undefined",
        "ud2, which compilers put where code must not come to",
        "kernel::crash::undefined",
        "vector 6",
    )
    .by("ud2"),
    crash(
        "double-fault",
        "an exception could not be delivered: the stack at 0xffff_c900_0000_0010 ",
        "kernel::crash::push_at",
        "CR2 is in the guard page of kernel stack 0",
    )
    .by("push 0x0"),
    Crash {
        // Where exactly the last page ends is the compiler's business.
        through: "kernel::crash::overflow",
        ..crash(
            "stack-overflow",
            "an exception could not be delivered: the stack at 0xffff_c900_0001_",
            "",
            "CR2 is in the guard page of kernel stack 1",
        )
    },
    crash(
        "machine-check",
        "a machine check: ",
        "kernel::crash::machine_check",
        "vector 18",
    ),
    Crash {
        through: "kernel::crash::nmi",
        ..crash(
            "nmi",
            "kernel write at 0xffff_c900_0000_0010 refused: PT entry 0 is not present",
            "kernel::crash::store",
            "RSP is on IST2 NMI stack",
        )
    },
    crash(
        "locked",
        "kernel write at 0xffff_c900_0000_0010 refused: PT entry 0 is not present",
        "kernel::crash::store",
        "kernel::console::while_locked",
    ),
    crash(
        "frames-locked",
        "kernel write at 0xffff_c900_0000_0010 refused: PT entry 0 is not present",
        "kernel::crash::store",
        "kernel::memory::frames::while_locked",
    ),
    crash(
        "panic-in-panic",
        "panic: inside a report: asked for inside a report, at kernel/src/crash.rs:",
        "",
        "the first one: a panic, at kernel/src/crash.rs:",
    ),
    crash(
        "fault-in-panic",
        "fault: inside a report: #PF page fault at RIP",
        "",
        "the first one: a panic, at kernel/src/crash.rs:",
    ),
    crash(
        "fault-in-report",
        "fault: inside a report: #PF page fault at RIP",
        "",
        "the first one: #PF page fault, vector 14, error code 0x2, CR2 0xffff_c900_0000_0010",
    ),
    crash(
        "panic-in-report",
        "panic: inside a report: asked for inside a report",
        "",
        "the first one: #PF page fault, vector 14, error code 0x2, CR2 0xffff_c900_0000_0010",
    ),
];

pub(crate) fn each_kind_twice(built: &Built, firmware: Firmware) -> Result<After> {
    let mut guest = Guest::boot(&built.options(firmware))?;
    let base = image_base(&mut guest)?;
    let mut named = Named::default();
    // The heap stays lost, so that is the last one.
    let exhausted = Crash {
        through: "kernel::crash::with_no_heap",
        ..crash(
            "heap-exhausted",
            "kernel write at 0xffff_c900_0000_0010 refused: PT entry 0 is not present",
            "kernel::crash::store",
            "RSP is on kernel stack 1",
        )
    };
    let rows: Vec<&Crash> = CRASHES.iter().chain([&exhausted]).collect();
    none_is_left_out(&mut guest, &rows)?;
    for row in rows {
        let before = newest(&mut guest)?;
        for _ in 0..2 {
            let (report, reply) = guest.crash(&format!("crash {}", row.kind))?;
            check(row, &report, base, &mut named)
                .with_context(|| format!("crash {}:\n{}", row.kind, report.join("\n")))?;
            let told = reply.output.first().context("the shell says nothing")?;
            ensure!(told.contains(": the kernel died of "), "{told}");
        }
        let reply = guest.command("fault; bt; regs")?;
        ensure!(reply.is_ok(), "{}: {reply:?}", row.kind);
        // None is lost from the list: of one inside another, both are there.
        let after = newest(&mut guest)?;
        let more = if row.sentence.contains("inside a report") {
            4
        } else {
            2
        };
        ensure!(
            after == before + more,
            "{}: {before}, then {after}",
            row.kind
        );
    }
    let compared = named.agree_with_llvm(&built.kernel.whole)?;
    ensure!(compared > 30, "only {compared} addresses");
    everything_can_be_read(&mut guest)?;
    Ok(After::alive(guest))
}

/// Those that the kernel, or the shell, survives. Tests of their own have them.
const SURVIVED: [&str; 3] = ["breakpoint", "debugger", "debugger-again"];

/// Whatever the kernel can do to itself is in the table.
fn none_is_left_out(guest: &mut Guest, rows: &[&Crash]) -> Result<()> {
    let lines = ok(guest, "crash list")?;
    let kinds: BTreeSet<_> = lines
        .iter()
        .filter_map(|line| line.split(' ').next())
        .collect();
    let known: BTreeSet<_> = rows.iter().map(|row| row.kind).chain(SURVIVED).collect();
    ensure!(kinds == known, "{kinds:?}\n{known:?}");
    Ok(())
}

/// What reads works as before, whatever was locked; what acts says why it does not.
fn everything_can_be_read(guest: &mut Guest) -> Result<()> {
    for line in [
        "walk $rip; map; x $rsp 8; dis $rip; frames; frame $cr3; whatis $rsp",
        "regs; cr; gdt; idt; tss; irq; events last=20; faults; fault; ps; stacks; programs",
        "sym kernel::crash::load; tables master; check all; breakpoints; bt; version",
    ] {
        let reply = guest.command(line)?;
        ensure!(reply.is_ok(), "{line}: {reply:?}");
    }
    for line in ["spawn hello", "continue", "si"] {
        let reply = guest.command(line)?;
        let why = reply.errors.first().context("no error")?;
        ensure!(why.contains("the kernel has died"), "{line}: {why}");
    }
    // One that it survives does not bring it back to life.
    let reply = guest.command("crash breakpoint; spawn hello")?;
    let why = reply.errors.first().context("no error")?;
    ensure!(why.contains("the kernel has died"), "{why}");
    Ok(())
}

fn check(row: &Crash, report: &[String], base: u64, named: &mut Named) -> Result<()> {
    let has = |text: &str| report.iter().any(|line| line.contains(text));
    // One inside another one comes when the first has begun.
    let is_inside = has(": inside a report");
    let first = report.first().context("no report")?;
    ensure!(
        first.contains(row.sentence) || is_inside && has(row.sentence),
        "no {:?} in {first}",
        row.sentence
    );
    match row.deviates.filter(|(_, says)| has(says)) {
        Some((why, _)) => println!("{}: excused by {}", row.kind, why.id),
        None => ensure!(has(row.says), "no {:?}", row.says),
    }
    let last = report.last().context("no report")?;
    ensure!(last.starts_with("halted; the shell"), "{last}");
    // A report inside another one is short.
    if is_inside {
        return Ok(());
    }
    ensure!(has(row.through), "no {:?}", row.through);
    ensure!(has("next: "), "no hint");
    instruction(row, report)?;
    let places = places(report)?;
    if let Some(at_rip) = places.first().filter(|_| !row.at.is_empty()) {
        let innermost = at_rip.frames.first().context("RIP has no name")?;
        ensure!(innermost.function == row.at, "{innermost:?}");
    }
    let calls = places.iter().filter(|place| !place.is_rip).count();
    ensure!(calls > 0, "no backtrace");
    // Of a program's code, its own file is asked.
    let kernels = places.into_iter().filter(|place| place.address >> 63 != 0);
    named.note(kernels, base);
    Ok(())
}

/// The instruction at RIP is shown, with its address and its bytes.
fn instruction(row: &Crash, report: &[String]) -> Result<()> {
    let after = |lead: &str| report.iter().find_map(|line| line.strip_prefix(lead));
    let rip = after("RIP ").and_then(|rest| rest.split(' ').next());
    let rip = rip.context("no RIP")?;
    // Where RIP is in no code, or in the panic's own, nothing is promised.
    if row.at.is_empty() {
        return Ok(());
    }
    let line = after("=> ").context("no instruction")?;
    let (at, rest) = line.split_once(' ').context("no address")?;
    ensure!(at == rip, "{line}");
    let (bytes, code) = rest.split_once(' ').context("no bytes")?;
    ensure!(u128::from_str_radix(bytes, 16).is_ok(), "{line}");
    ensure!(code.trim_start().starts_with(row.code), "{line}");
    Ok(())
}
