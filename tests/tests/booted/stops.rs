//! Stopping and stepping, held against QEMU: its GDB stub steps a second machine that was booted in
//! the same way, and both must go the same way.

use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tests::deviations::STEP_OVER_PAUSE;
use tests::leaf::hex;
use tests::remote::{Register, Remote};
use xtask::built::Built;
use xtask::elf;
use xtask::guest::{Firmware, Guest, Options};

use crate::check::clean;
use crate::machines::After;
use crate::reports::newest;
use crate::ring3::{free_frames, ok};

/// How many instructions are compared.
const STEPS: usize = 600;
/// Until the machine comes to the first of them.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where an instruction was executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct At {
    rip: u64,
    cs: u64,
    cr3: u64,
}

/// What is started, one after another; each with system calls, an interrupt, exceptions or flags of
/// its own.
const PROGRAMS: [&str; 5] = ["hello", "echo one two", "counter", "numbers", "flags"];

/// The way of five programs, from the kernel's first return to ring 3 on: through IRETQ, their first
/// instructions, system calls and back.
pub(crate) fn steps_are_those_of_the_stub(built: &Built, firmware: Firmware) -> Result<After> {
    let mut options = built.options(firmware);
    // The other side steps meanwhile.
    options.silence = Duration::from_secs(60);
    let ours = ours(&options, built)?;
    let theirs = theirs(&options, built)?;
    for (program, (ours, theirs)) in PROGRAMS.iter().zip(ours.iter().zip(&theirs)) {
        for (step, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
            ensure!(
                ours == theirs,
                "{program}, step {step}: {ours:x?}, and the stub says {theirs:x?}"
            );
        }
        let rings = ours.windows(2).filter(|pair| pair[0].cs != pair[1].cs);
        println!(
            "{program}: {} steps, {} changes of ring",
            ours.len(),
            rings.count()
        );
        ensure!(ours.len() == STEPS, "{program}: only {} steps", ours.len());
    }
    Ok(After::Dead)
}

pub(crate) fn image_base(guest: &mut Guest) -> Result<u64> {
    let lines = ok(guest, "version")?;
    let place = lines.iter().find_map(|line| line.split("image at ").nth(1));
    let place = place.with_context(|| format!("{lines:?}"))?;
    hex(place.split(',').next().unwrap_or_default())
}

fn start(guest: &mut Guest, built: &Built) -> Result<u64> {
    let base = image_base(guest)?;
    let symbol = elf::symbol(&built.kernel.whole, "ringwalk_first_return");
    Ok(base + symbol.context("no symbol ringwalk_first_return")?)
}

/// The kernel steps itself.
fn ours(options: &Options, built: &Built) -> Result<Vec<Vec<At>>> {
    let mut guest = Guest::boot(options)?;
    let start = start(&mut guest, built)?;
    ok(&mut guest, &format!("break {start:#x}"))?;
    let ways = PROGRAMS.map(|program| {
        ok(&mut guest, &format!("spawn {program}"))?;
        let way = trace(&mut guest, start).with_context(|| program.to_owned())?;
        ok(&mut guest, "continue")?;
        Ok(way)
    });
    let ways = ways.into_iter().collect::<Result<_>>()?;
    clean(&mut guest)?;
    Ok(ways)
}

fn trace(guest: &mut Guest, start: u64) -> Result<Vec<At>> {
    let value = |guest: &mut Guest, name: &str| -> Result<u64> {
        let lines = ok(guest, &format!("eval ${name}"))?;
        let line = lines.first().context("eval printed nothing")?;
        let word = line.split_whitespace().find(|word| word.starts_with("0x"));
        hex(word.with_context(|| line.clone())?)
    };
    let mut at = At {
        rip: start,
        cs: value(guest, "cs")?,
        cr3: value(guest, "cr3")?,
    };
    ensure!(value(guest, "rip")? == start, "not stopped at {start:#x}");
    let mut way = Vec::new();
    for line in ok(guest, &format!("trace {STEPS}"))? {
        let (instruction, changes) = line.split_once('#').unwrap_or((&line, ""));
        // The banner ends what is traced.
        if line.starts_with("stop ") {
            break;
        }
        at.rip = hex(instruction.split(' ').next().unwrap_or_default())?;
        way.push(at);
        let words: Vec<_> = changes.split_whitespace().collect();
        for pair in words.chunks(2) {
            match pair {
                ["cs", value] => at.cs = hex(value)?,
                ["cr3", value] => at.cr3 = hex(value)?,
                _ => {}
            }
        }
    }
    Ok(way)
}

/// QEMU steps it.
fn theirs(options: &Options, built: &Built) -> Result<Vec<Vec<At>>> {
    let mut guest = Guest::boot(options)?;
    let start = start(&mut guest, built)?;
    let socket = guest.folder().join("gdb");
    let name = socket.display().to_string().replace(',', ",,");
    let said = guest.hmp(&format!("gdbserver unix:{name},server=on,wait=off"))?;
    let mut remote = Remote::connect(&socket).with_context(|| said)?;
    let ways = PROGRAMS.map(|program| {
        remote.set_breakpoint(start)?;
        remote.go()?;
        let way = thread::scope(|scope| {
            // It has its answer when the program has ended.
            let answer = scope.spawn(|| ok(&mut guest, &format!("spawn {program}")));
            let way = follow(&mut remote, start);
            let answer = answer.join().ok().context("panicked")?;
            answer.and(way)
        });
        remote.stop()?;
        way.with_context(|| program.to_owned())
    });
    remote.go()?;
    let ways = ways.into_iter().collect::<Result<_>>()?;
    clean(&mut guest)?;
    Ok(ways)
}

/// Steps from where it stops on, and lets it go.
fn follow(remote: &mut Remote, start: u64) -> Result<Vec<At>> {
    remote.stopped(PATIENCE)?;
    remote.clear_breakpoint(start)?;
    let mut way = Vec::new();
    for _ in 0..STEPS {
        way.push(At {
            rip: remote.register(Register::Rip)?,
            cs: remote.register(Register::Cs)?,
            cr3: remote.register(Register::Cr3)?,
        });
        remote.step()?;
    }
    remote.go()?;
    Ok(way)
}

/// A loop of PAUSE and JMP, stepped: by the architecture each is a step of its own.
pub(crate) fn a_loop_of_pause_is_stepped(guest: &mut Guest) -> Result<()> {
    const TURNS: usize = 20;
    ok(guest, "spawn spinner --stop-at FirstUserInstruction")?;
    let mut steps = 0;
    while !ok(guest, "si")?.iter().any(|line| line.contains(" pause")) {
        steps += 1;
        ensure!(steps < 100, "no PAUSE in the first {steps} instructions");
    }
    let way = ok(guest, &format!("trace {}", 2 * TURNS))?;
    // The banner ends what is traced.
    let way: Vec<_> = way
        .iter()
        .take_while(|line| !line.starts_with("stop "))
        .collect();
    let count = |what: &str| way.iter().filter(|line| line.contains(what)).count();
    match (count(" pause"), count(" jmp ")) {
        (TURNS, TURNS) => {}
        (pauses, 0) if pauses == 2 * TURNS => println!("excused by {}", STEP_OVER_PAUSE.id),
        other => anyhow::bail!("PAUSE and JMP {other:?} times: {way:#?}"),
    }
    ok(guest, "abort")?;
    Ok(())
}

/// A fault in the debugger itself: said, the command given up, and all is as before.
pub(crate) fn a_fault_in_the_debugger(built: &Built, firmware: Firmware) -> Result<After> {
    let mut guest = Guest::boot(&built.options(firmware))?;
    for _ in 0..10 {
        let reply = guest.command("crash debugger")?;
        let said = reply.errors.join(" ");
        ensure!(
            said.contains("the debugger faulted: #PF") && said.contains("0xffff_c900_0000_0010"),
            "{said}"
        );
        ok(&mut guest, "spawn hello; frames")?;
    }
    // Its report is kept as those of others are.
    let report = ok(&mut guest, "fault")?;
    let has = |text: &str| report.iter().any(|line| line.contains(text));
    ensure!(
        has("kernel write at 0xffff_c900_0000_0010 refused")
            && has("kernel::crash::store")
            && has("RSP is on kernel stack 0"),
        "{report:#?}"
    );
    // What runs for a fault may fault the debugger, and is not run again for that.
    ok(&mut guest, "on fault { crash debugger }")?;
    let before = newest(&mut guest)?;
    guest.command("spawn fault-ud2")?;
    ok(&mut guest, "frames")?;
    let after = newest(&mut guest)?;
    ensure!(after == before + 2, "{before} faults, then {after}");
    ok(&mut guest, "on fault {}")?;
    // At a stop, too; the stop stays.
    ok(&mut guest, "spawn hello --stop-at Iretq")?;
    let reply = guest.command("crash debugger")?;
    ensure!(!reply.is_ok(), "{reply:?}");
    ok(&mut guest, "si; continue; frames")?;
    // Again and again as it begins: there is a whole report, and a shell that remembers nothing.
    ok(&mut guest, "on fault { echo remembered }")?;
    for _ in 0..2 {
        let (report, reply) = guest.crash("crash debugger-again")?;
        let has = |text: &str| report.iter().any(|line| line.contains(text));
        ensure!(
            has("kernel write at 0xffff_c900_0000_0010 refused")
                && has("kernel::crash::in_shell")
                && has("halted; the shell begins anew"),
            "{report:#?}"
        );
        let said = reply.errors.join(" ");
        ensure!(said.contains("again and again"), "{said}");
        let reply = guest.command("spawn fault-ud2; history")?;
        ensure!(
            !reply.output.iter().any(|line| line.contains("remembered")),
            "{reply:?}"
        );
        ok(&mut guest, "spawn hello; frames")?;
    }
    Ok(After::alive(guest))
}

/// Abandoned at every stage, a program leaves nothing behind.
pub(crate) fn every_stage_can_be_given_up(guest: &mut Guest) -> Result<()> {
    ok(guest, "spawn hello")?;
    let frames = free_frames(guest)?;
    for stage in [
        "SaveContext",
        "LoadCr3",
        "SetRsp0",
        "SwitchStack",
        "BuildIretFrame",
        "Iretq",
        "FirstUserInstruction",
        "FirstTrapBack",
    ] {
        let said = ok(guest, &format!("spawn hello --stop-at {stage}"))?;
        ensure!(
            said.iter()
                .any(|line| line.starts_with(&format!("stage {stage}: "))),
            "{stage}: {said:?}"
        );
        ensure!(
            !said.iter().any(|line| line.contains("NOT as foretold")),
            "{stage}: {said:?}"
        );
        ok(guest, "abort").with_context(|| stage.to_owned())?;
        let after = free_frames(guest)?;
        ensure!(
            after == frames,
            "{stage}: {frames} frames free, then {after}"
        );
    }
    ok(guest, "assert $pid == 0; spawn hello")?;
    Ok(())
}
