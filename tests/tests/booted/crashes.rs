//! Every way to crash the kernel: the right sentence of cause, the exact function, file and line,
//! twice in a row, and a shell that looks at what is left.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use symbolizer::dwarf::demangle;
use xtask::built::Built;
use xtask::guest::{Firmware, Guest};
use xtask::lock::Lock;
use xtask::project::Project;
use xtask::setup;

use crate::machines::After;
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
    }
}

impl Crash {
    const fn by(self, code: &'static str) -> Crash {
        Crash { code, ..self }
    }
}

/// The causes by what each does, and the manuals; not by what the kernel said.
const CRASHES: [Crash; 30] = [
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
        "has W=0",
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
    crash("per-cpu", "GS", "kernel::crash::per_cpu", "error code 0x0").by("mov rax, qword gs:["),
    Crash {
        through: "kernel::crash::call",
        ..crash("execute", "has NX=1", "", "error code bits: P I/D")
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
        "0x8000000000000000",
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
        "#GP general protection, vector 13, error code 0x14",
    )
    .by("mov es, "),
    crash(
        "stack-segment",
        "GDT entry 9 (selector 0x48) is no usable stack segment",
        "kernel::crash::stack_segment",
        "#SS stack-segment fault, vector 12, error code 0x48",
    )
    .by("mov ss, "),
    crash(
        "gate",
        "IDT gate 0x81 (interrupt) is not present",
        "kernel::crash::interrupt",
        "#NP segment not present, vector 11, error code 0x",
    )
    .by("int 0x81"),
    crash(
        "selector",
        "GDT",
        "kernel::crash::selector",
        "#GP general protection, vector 13, error code 0x1230",
    )
    .by("mov es, "),
    crash(
        "not-present",
        "GDT",
        "kernel::crash::selector",
        "#NP segment not present, vector 11, error code 0x40",
    )
    .by("mov es, "),
    crash(
        "divide",
        "a division by zero",
        "kernel::crash::divide",
        "vector 0",
    )
    .by("div e"),
    crash("undefined", "ud2", "kernel::crash::undefined", "vector 6").by("ud2"),
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
        "#MC machine check",
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
    for row in CRASHES.iter().chain([&exhausted]) {
        for _ in 0..2 {
            let (report, reply) = guest.crash(&format!("crash {}", row.kind))?;
            check(row, &report, base, &mut named)
                .with_context(|| format!("crash {}:\n{}", row.kind, report.join("\n")))?;
            let told = reply.output.first().context("the shell says nothing")?;
            ensure!(told.contains(": the kernel died of "), "{told}");
        }
        // The reports inside others are of what came first.
        let reply = guest.command("fault; bt; regs")?;
        ensure!(reply.is_ok(), "{}: {reply:?}", row.kind);
    }
    named.agree_with_llvm(built)?;
    everything_can_be_read(&mut guest)?;
    Ok(After::alive(guest))
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
    ensure!(has(row.says), "no {:?}", row.says);
    let last = report.last().context("no report")?;
    ensure!(last.starts_with("halted; the shell"), "{last}");
    // A report inside another one is short.
    if is_inside {
        return Ok(());
    }
    ensure!(has(row.through), "no {:?}", row.through);
    ensure!(has("next: "), "no hint");
    instruction(row, report)?;
    let mut lines = report.iter().map(String::as_str).peekable();
    let (mut in_backtrace, mut is_interrupted) = (false, true);
    let mut calls = 0;
    while let Some(line) = lines.next() {
        in_backtrace |= line == "backtrace:";
        is_interrupted |= line.contains("--- interrupted ");
        let address = match line.split_once(' ') {
            Some(("RIP", rest)) => rest.split(' ').next(),
            Some((number, rest)) if in_backtrace && number.starts_with('#') => {
                calls += 1;
                rest.split_whitespace().next()
            }
            _ => continue,
        };
        let address = address.context("no address")?.replace('_', "");
        let rip = u64::from_str_radix(address.trim_start_matches("0x"), 16)?;
        let mut frames = Vec::new();
        while let Some(frame) = lines.next_if(|line| line.starts_with("    ")) {
            frames.extend(Frame::parse(frame));
        }
        let is_rip = line.starts_with("RIP");
        if is_rip && !row.at.is_empty() {
            let innermost = frames.first().context("RIP has no name")?;
            ensure!(innermost.function == row.at, "{innermost:?}");
        }
        // A return address belongs to the call before it.
        let link = rip
            .wrapping_sub(base)
            .wrapping_sub(u64::from(!is_interrupted));
        // RIP and the first call are the same.
        is_interrupted = is_rip;
        if !frames.is_empty() && (rip >> 63) != 0 {
            named.0.insert(link, frames);
        }
    }
    ensure!(calls > 0, "no backtrace");
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

/// A function, and the line in it.
#[derive(Debug, PartialEq, Eq)]
struct Frame {
    function: String,
    place: String,
}

impl Frame {
    /// `    kernel::crash::store at /ringwalk/kernel/src/crash.rs:128:14, inlined into`.
    fn parse(line: &str) -> Option<Frame> {
        let line = line.trim();
        let line = line.strip_suffix(", inlined into").unwrap_or(line);
        let (function, place) = line.rsplit_once(" at ").unwrap_or((line, ""));
        let function = match function.rsplit_once("+0x") {
            Some((name, _)) => name,
            None => function,
        };
        (!line.starts_with("and ") && !line.starts_with("ends here")).then(|| Frame {
            function: function.to_owned(),
            place: place.to_owned(),
        })
    }
}

/// What the reports said about addresses of the linker's.
#[derive(Default)]
struct Named(BTreeMap<u64, Vec<Frame>>);

impl Named {
    fn agree_with_llvm(&self, built: &Built) -> Result<()> {
        let project = Project::find();
        let tool = {
            let _lock = Lock::take(&project)?;
            let ready = setup::ready(&project)?;
            ready.toolchain.compiler.llvm.join("llvm-symbolizer")
        };
        if !tool.is_file() {
            println!("not compared: there is no {}", tool.display());
            return Ok(());
        }
        let mut child = Command::new(tool)
            .args(["--output-style=JSON", "--no-demangle", "-e"])
            .arg(&built.kernel.whole)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        // They are a few dozen: less than a pipe holds.
        let mut stdin = child.stdin.take().context("piped")?;
        for address in self.0.keys() {
            writeln!(stdin, "{address:#x}")?;
        }
        drop(stdin);
        let output = child.wait_with_output()?;
        let text = String::from_utf8(output.stdout)?;
        let mut answers = text.lines();
        for (address, ours) in &self.0 {
            let line = answers.next().context("too few answers")?;
            let value: Value = serde_json::from_str(line)?;
            let theirs: Vec<Frame> = value["Symbol"]
                .as_array()
                .context("no list")?
                .iter()
                .map(frame)
                .collect();
            ensure!(*ours == theirs, "{address:#x}: {ours:#?}\n{theirs:#?}");
        }
        ensure!(self.0.len() > 30, "only {} addresses", self.0.len());
        Ok(())
    }
}

fn frame(value: &Value) -> Frame {
    let text = |name: &str| value[name].as_str().unwrap_or_default();
    let number = |name: &str| value[name].as_u64().unwrap_or_default();
    let (file, line, column) = (text("FileName"), number("Line"), number("Column"));
    let place = match (line, column) {
        // Of the compiler's own code. With no file either, llvm-symbolizer names the object file.
        (0, _) if file.contains('/') => file.to_owned(),
        (0, _) => String::new(),
        (line, 0) => format!("{file}:{line}"),
        (line, column) => format!("{file}:{line}:{column}"),
    };
    Frame {
        function: demangle(text("FunctionName")),
        place,
    }
}
