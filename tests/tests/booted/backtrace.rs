//! Backtraces in reports: from the fault up to the outermost function, across a trap, and into
//! the program.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use object::read::elf::ElfFile64;
use object::{Object as _, ObjectSymbol as _};
use xtask::built::Built;
use xtask::guest::{Firmware, Guest};

use crate::machines::After;
use crate::ring3::{background, end_all, ok};
use crate::stops::image_base;

/// The addresses of a report's backtrace.
fn calls(report: &str) -> Result<Vec<u64>> {
    let hex = |text: &str| u64::from_str_radix(&text.replace(['_', '\r'], "")[2..], 16);
    let (_, lines) = report.split_once("backtrace:").context("no backtrace")?;
    let mut out = Vec::new();
    for line in lines.lines().filter(|line| line.starts_with('#')) {
        let mut words = line.split_whitespace().skip(1);
        out.push(hex(words.next().context("no address")?)?);
    }
    Ok(out)
}

/// The name of the function that holds an offset, from the file's symbols.
fn function(file: &[u8], at: u64) -> Result<String> {
    let elf: ElfFile64<'_> = ElfFile64::parse(file)?;
    let symbols = elf.symbols().filter(|symbol| symbol.address() <= at);
    let last = symbols.max_by_key(|symbol| symbol.address());
    Ok(last.context("no symbol")?.name()?.to_owned())
}

/// A panic deep in a command: every call is in the kernel, and the outermost one is what the
/// kernel's own thread does for ever.
pub(crate) fn of_a_panic(built: &Built, firmware: Firmware) -> Result<After> {
    let mut guest = Guest::boot(&built.options(firmware))?;
    let base = image_base(&mut guest)?;
    guest.send_raw(b"crash panic\r")?;
    let report = guest.read_until(b"halted;")?;
    let calls = calls(&String::from_utf8_lossy(&report))?;
    let file = std::fs::read(&built.kernel.whole)?;
    let names = calls
        .iter()
        .map(|rip| {
            function(
                &file,
                rip.checked_sub(base).context("not in the kernel")? - 1,
            )
        })
        .collect::<Result<Vec<_>>>()?;
    ensure!(names.len() >= 3, "{names:?}");
    let first = names.first().context("none")?;
    ensure!(first.contains("rust_begin_unwind"), "{names:?}");
    let last = names.last().context("none")?;
    ensure!(last.contains("serve"), "{names:?}");
    Ok(After::Dead)
}

/// A machine check while a program spins: the report begins in the program, and every call is in
/// its text, up to its entry point.
pub(crate) fn of_a_program(built: &Built, firmware: Firmware) -> Result<After> {
    let mut guest = Guest::boot(&built.options(firmware))?;
    guest.send_raw(b"spawn spinner\r")?;
    // Processor 0, bank 0: valid, uncorrected, enabled, address valid; MCG_STATUS: RIPV, in
    // progress (SDM volume 3, section 15.3).
    // It must come in the program, not in whoever runs in between: so while nothing runs.
    for _ in 0..200 {
        std::thread::sleep(std::time::Duration::from_millis(20));
        guest.hmp("stop")?;
        if guest.hmp("info registers")?.contains("CPL=3") {
            break;
        }
        guest.hmp("cont")?;
    }
    guest.hmp("mce 0 0 0xb400000000000000 5 0 0")?;
    guest.hmp("cont")?;
    let report = guest.read_until(b"halted;")?;
    let report = String::from_utf8_lossy(&report).into_owned();
    ensure!(report.contains("#MC"), "{report}");
    let calls = calls(&report)?;
    let path = built.programs.folder.join("spinner");
    let file = std::fs::read(&path).with_context(|| path.display().to_string())?;
    let names = calls
        .iter()
        .map(|rip| function(&file, *rip))
        .collect::<Result<BTreeSet<_>>>()?;
    ensure!(calls.iter().all(|rip| rip >> 47 == 0), "{calls:x?}");
    ensure!(
        names.iter().any(|name| name == "_start"),
        "{names:?}\n{report}"
    );
    ensure!(!report.contains("ends here"), "{report}");
    Ok(After::Dead)
}

/// `bt` of threads that wait: out of the kernel, over the marked line, through the program to its
/// entry point. The names are those in the sources.
pub(crate) fn of_threads(guest: &mut Guest) -> Result<()> {
    let sleeper = background(guest, "sleeper 100000000")?;
    let spinner = background(guest, "endless")?;
    let functions = |lines: &[String], wanted: &[&str]| -> Result<()> {
        let mut rest = lines.iter();
        for text in wanted {
            ensure!(
                rest.any(|line| line.contains(text)),
                "no {text:?} behind the one before in {lines:#?}"
            );
        }
        ensure!(
            !lines.iter().any(|line| line.contains("ends here")),
            "{lines:#?}"
        );
        Ok(())
    };
    let kernel = ["#0 ", "kernel::debugger::request::serve"];
    let asleep = [
        "#0 ",
        "kernel::process::schedule::give_way",
        "kernel::fault::trap",
        "   --- interrupted by ",
        " in ring 3 ---",
        "programs::calls::sleep",
        "sleeper::main",
        "_start",
    ];
    let preempted = [
        "#0 ",
        "kernel::process::schedule::give_way",
        "kernel::fault::trap",
        "   --- interrupted by vector 0x20 in ring 3 ---",
        "_start",
    ];
    functions(&ok(guest, "bt 0")?, &kernel)?;
    // It may not be asleep yet.
    ok(guest, "repeat 3 ps")?;
    functions(&ok(guest, &format!("bt {sleeper}"))?, &asleep[..3])?;
    functions(&ok(guest, &format!("bt {sleeper}"))?, &asleep[5..])?;
    functions(&ok(guest, &format!("bt {spinner}"))?, &preempted)?;
    let all = ok(guest, "bt all")?;
    let heads = ["kernel (pid 0):", "sleeper (pid ", "endless (pid "];
    functions(&all, &heads)?;
    // A stack that leads nowhere: the last line says so.
    ok(guest, "break on syscall; spawn hello")?;
    let lines = ok(guest, "eval $rsp")?;
    let mut words = lines.iter().flat_map(|line| line.split_whitespace());
    let rsp = words.find(|word| word.starts_with("0x"));
    let rsp = rsp.with_context(|| format!("{lines:?}"))?;
    let lines = ok(
        guest,
        &format!("set $rsp = 0xdead_0000; bt; set $rsp = {rsp}"),
    )?;
    let ends = lines
        .iter()
        .any(|line| line.contains("ends here: the stack cannot be read"));
    ensure!(ends, "{lines:#?}");
    ok(guest, "delete all")?;
    ok(guest, "abort")?;
    end_all(guest)
}
