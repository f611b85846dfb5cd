//! GDB itself, with our scripts, on a machine that is stopped, stepped, and sent back in time.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use xtask::built::Built;
use xtask::gdb::{self, Background};
use xtask::guest::Firmware;
use xtask::recording;
use xtask::scratch::Scratch;
use xtask::signals;

use crate::early;
use crate::machines::After;

/// How long a session may take, and the longest part of it is a boot by UEFI.
const PATIENCE: Duration = Duration::from_secs(100);

/// From a breakpoint that is set before the kernel's first instruction, by single steps over
/// `mov cr3` and IRETQ, into ring 3; then back from the kernel's handler of a page fault into the program.
const INTO_RING_3: &str = r#"
break kernel::boot::first_half
continue
echo [first half]\n
bt 2
delete
rw stepping
rw send spawn forker 1
rw step-switch
echo [ring 3]\n
info registers rip cs
python
from ringwalk import machine, programs
programs.load("forker")
end
rw break fault 14
continue
delete
tbreak ringwalk_trap
continue
echo [handler]\n
bt
echo [again]\n
rw send spawn forker 1
rw break cr3
continue
python
# To a process: its space has something in the lower half.
while machine.read_physical(machine.register("rdi") & ~0xfff, 8) == bytes(8):
    gdb.execute("continue")
gdb.execute("delete")
steps = 0
before = machine.register("cr3")
while machine.register("cs") & 3 == 0 and steps < 5000:
    machine.step()
    steps += 1
    if steps == 1:
        print("one step changed CR3:", machine.register("cr3") != before)
print("steps to ring 3:", steps, "at", hex(machine.register("rip")))
end
echo [breaks]\n
rw break ring3
continue
info registers cs
delete
python
from ringwalk import kernel, processes
pid = next(processes.records())["pid"]
gdb.execute(f"rw break cr3 {pid}")
gdb.execute("continue")
print("to its root:", machine.register("rdi") & ~0xfff == int(processes.record(pid, "root").replace("_", ""), 0))
gdb.execute("delete")
gdb.execute("rw break iret")
quiet = kernel.get().address("ringwalk_quiet_iretq")
for turn in range(100):
    # The first one stops the world for the kernel's own debugger; one that comes while that has stopped it goes
    # back by itself.
    if turn % 10 == 0:
        gdb.execute("monitor nmi")
    gdb.execute("continue")
    if machine.register("rip") == quiet:
        break
print("at the IRETQ of an NMI:", machine.register("rip") == quiet)
end
bt
kill
"#;

pub(crate) fn into_ring_3(built: &Built, firmware: Firmware) -> Result<After> {
    let folder = Scratch::new("gdb")?;
    let qemu = Background::start(&built.options(firmware), &["-S"], folder)?;
    let stub = qemu.stub().display().to_string();
    let mut command = gdb::debugger(
        &built.project,
        &built.ready.tools.gdb,
        &built.kernel.whole,
        &stub,
    );
    command.env("RINGWALK_CONSOLE", qemu.console());
    command.env("RINGWALK_PROGRAMS", &built.programs.folder);
    command.env("RINGWALK_RW", std::env::current_exe()?);
    let said = session(command, INTO_RING_3)?;
    let part = |name: &str| {
        let part = said.split(&format!("[{name}]\n")).nth(1);
        let part = part.with_context(|| format!("no [{name}] in\n{said}"))?;
        // What the kernel says comes in between, and may begin with a bracket, too.
        let next = ["first half", "ring 3", "handler", "again", "breaks"]
            .map(|name| format!("\n[{name}]\n"));
        let end = next.iter().filter_map(|mark| part.find(mark)).min();
        anyhow::Ok(
            part.get(..end.unwrap_or(part.len()))
                .unwrap_or(part)
                .to_owned(),
        )
    };
    let has = |text: &str, wanted: &str| {
        ensure!(text.contains(wanted), "no {wanted:?} in\n{said}");
        Ok(())
    };

    let build = built.kernel.build_id.as_str();
    has(&said, &format!("kernel build {build} at 0x"))?;
    ensure!(!said.to_lowercase().contains("warning"), "{said}");
    let first = part("first half")?;
    has(&first, "kernel::boot::first_half")?;
    has(
        &first,
        &format!(
            "boot.rs:{}",
            line_of(
                built,
                "kernel/src/boot.rs",
                "let _ = cpu::interrupts_off();"
            )?
        ),
    )?;
    has(&first, "stepping is quiet")?;
    for stage in [
        "LoadCr3",
        "after LoadCr3",
        "SwitchStack",
        "Iretq",
        "FirstUserInstruction",
    ] {
        has(&first, &format!("\n{stage} "))?;
    }
    // Where the program begins, by the file.
    let entry = {
        let file = std::fs::read(built.program("forker"))?;
        let bytes = file.get(24..32).context("no ELF header")?;
        u64::from_le_bytes(bytes.try_into()?)
    };
    let ring3 = part("ring 3")?;
    has(&ring3, &format!("{entry:#x}"))?;
    has(&ring3, "0x23")?;
    has(&ring3, "error code 0x7, from ring 3 at 0x0000_0000_0040_")?;

    // The handler, the entry, and the program, which writes to a page it shares with its child.
    let handler = part("handler")?;
    has(&handler, "ringwalk_trap")?;
    has(&handler, "<signal handler called>")?;
    let program = handler.split("<signal handler called>").nth(1);
    let program = program.unwrap_or_default();
    // Which of its writes is the first depends on who had a turn; LLVM says where that one is.
    let (_, rip) = ring3.split_once("from ring 3 at ").context("no address")?;
    let rip = tests::leaf::hex(rip.lines().next().unwrap_or_default())?;
    let mut llvm = Command::new(built.ready.toolchain.compiler.llvm.join("llvm-symbolizer"));
    llvm.arg("--obj").arg(built.program("forker"));
    let places = llvm.arg(format!("{rip:#x}")).output()?;
    let places = String::from_utf8(places.stdout)?;
    let places: Vec<_> = places.lines().filter(|line| !line.is_empty()).collect();
    ensure!(places.len() >= 2, "{places:?}");
    for pair in places.chunks(2) {
        let [function, place] = pair else {
            bail!("{places:?}")
        };
        // LLVM writes `<A>::f` for a method, GDB `A::f`.
        let function = function.replace(['<', '>'], "");
        let (file, rest) = place
            .rsplit_once('/')
            .unwrap_or(("", place))
            .1
            .split_once(':')
            .context("no line")?;
        let line = rest.split(':').next().unwrap_or_default();
        ensure!(
            program.lines().any(
                |frame| frame.contains(&function) && frame.ends_with(&format!("{file}:{line}"))
            ),
            "no {function} at {file}:{line} in\n{program}"
        );
    }
    ensure!(
        places.iter().any(|line| line.contains("forker::run")),
        "{places:?}"
    );

    let again = part("again")?;
    has(&again, "mov cr3: 0x")?;
    has(&again, "one step changed CR3: True")?;
    has(&again, "steps to ring 3: ")?;
    has(&again, " at 0x40")?;

    let breaks = part("breaks")?;
    has(&breaks, "\niretq to ring 3: rip 0x0000_0000_0040_")?;
    has(&breaks, "\nring 3:\n=> 0x40")?;
    has(&breaks, "cs             0x23")?;
    has(&breaks, "to its root: True")?;
    has(&breaks, "at the IRETQ of an NMI: True")?;
    // Backtraces end at a function that nobody called, not at a word that happens to be on the stack.
    ensure!(!said.contains(" ?? ()\nBacktrace stopped"), "{said}");
    ensure!(!handler.contains("??") && !breaks.contains("??"), "{said}");
    // GDB has ended the machine.
    Ok(After::Dead)
}

/// A kernel that ends in a triple fault, since the entry that maps its IDT was cleared: back to the
/// instruction that cleared it.
const BACK: &str = r#"
echo [end]\n
info registers rip cs cr3
monitor info registers
python
import re
from ringwalk import machine, replay
def entry(address):
    # Not by our own walk: QEMU's reads of physical memory.
    at = machine.register("cr3") & ~0xfff
    for shift in (39, 30, 21, 12):
        at += (address >> shift & 511) * 8
        said = gdb.execute(f"monitor xp /1gx {at:#x}", to_string=True)
        raw = int(said.split(":")[1], 16)
        if shift > 12:
            at = raw & 0xffffffffff000
    return at, raw
idt, _ = machine.table("IDT")
print("QEMU says", gdb.execute(f"monitor gva2gpa {idt:#x}", to_string=True).strip())
at, raw = entry(idt)
print(f"the entry is at {at:#x} and holds {raw:#x}")
print("last", replay.now() == replay.last())
end
python
try:
    gdb.execute("stepi")
except gdb.error as why:
    print(why)
gdb.execute("reverse-stepi")
print("one back", replay.last() - replay.now())
end
rw why
echo [cause]\n
bt
x/i $rip
python
def word():
    return int(gdb.execute(f"monitor xp /1gx {at:#x}", to_string=True).split(":")[1], 16)
first = word()
machine.step()
print(f"the store makes {first:#x} of it {word():#x}")
sp = machine.register("rsp")
def stacked():
    return int(gdb.execute(f"monitor x /1gx {sp:#x}", to_string=True).split(":")[1], 16)
now = stacked()
gdb.execute(f"rw why {sp:#x}")
first = stacked()
machine.step()
print(f"stacked at {sp:#x}: {first:#x}, then {stacked():#x}, as before: {now == stacked()}")
end
rw end
kill
"#;

pub(crate) fn back_to_the_cause(built: &Built, firmware: Firmware) -> Result<After> {
    let folder = Scratch::new("recording")?;
    let commands = ["iretq fault-divide spoil=pt:$idtr:absent --force".to_owned()];
    let options = built.options(firmware);
    let kernel = &built.kernel.whole;
    let made = recording::make_in(
        &folder.path().join("it"),
        kernel,
        &options,
        recording::Begin::Prompt,
        &commands,
        false,
    )?;
    ensure!(made.end.ends_with("ended the machine"), "{}", made.end);
    let recording = recording::Recording::open(&folder.path().join("it"))?;
    let words = recording.replaying();
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let qemu = Background::start(&recording.options(), &words, Scratch::new("replay")?)?;
    let stub = qemu.stub().display().to_string();
    let gdb = &built.ready.tools.gdb;
    let mut command = gdb::debugger(&built.project, gdb, &recording.kernel(), &stub);
    command.env("RINGWALK_REPLAY", recording.last.to_string());
    let said = session(command, BACK)?;
    let has = |wanted: &str| {
        ensure!(said.contains(wanted), "no {wanted:?} in\n{said}");
        Ok(())
    };
    has("QEMU says Unmapped")?;
    has("last True")?;
    has("this is the last instruction of the recording")?;
    has("one back 1")?;
    has("the IDT at 0xffff_")?;

    // The entry, as QEMU finds it, and what our command says of it.
    let at = said.split("the entry is at ").nth(1).context("no entry")?;
    let (at, rest) = at.split_once(" and holds ").context("no entry")?;
    let left = rest.lines().next().context("no entry")?;
    let left = u64::from_str_radix(left.trim_start_matches("0x"), 16)?;
    let at = u64::from_str_radix(at.trim_start_matches("0x"), 16)?;
    let at = machine::PhysAddr(at);
    ensure!(left & 1 == 0, "{left:#x} is present");
    has(&format!(
        "the entry at {at} was changed from {:016x} to {left:016x} by instruction ",
        left | 1
    ))?;
    has(&format!("the store makes {:#x} of it {left:#x}", left | 1))?;
    // A word of the stack, too: the monitor sees it change at the instruction that is named.
    let stacked = said.split("\nstacked at ").nth(1).context("no word")?;
    let (at, stacked) = stacked.split_once(": ").context("no word")?;
    let (first, stacked) = stacked.split_once(", then ").context("no word")?;
    let (then, kept) = stacked.split_once(", as before: ").context("no word")?;
    ensure!(kept.starts_with("True") && first != then, "{said}");
    let [at, first, then] = [at, first, then].map(tests::leaf::hex);
    has(&format!(
        "the word at {} was changed from {:016x} to {:016x} by instruction ",
        machine::VirtAddr(at?),
        first?,
        then?
    ))?;
    // Who did it, by name and line: the one place that writes entries, and the command that wanted it.
    for (file, text) in [
        (
            "kernel/src/memory/physmap.rs",
            "ptr::write_volatile(pointer(at).cast::<u64>(), value)",
        ),
        (
            "kernel/src/memory/tables.rs",
            "super::physmap::write_u64(at, value)",
        ),
    ] {
        let line = line_of(built, file, text)?;
        has(&format!("{file}:{line}"))?;
    }
    let cause = said.split("[cause]\n").nth(1).unwrap_or_default();
    ensure!(cause.contains("kernel/src/process/spoil.rs:"), "{said}");
    Ok(After::Dead)
}

/// In a boot that a fault ended too early for a shell, recorded from power-on: from the end back to the stage that
/// the fault was in, from there to where the kernel begins, and no further. The instruction that faults is no place to
/// stop at: a replay comes to it only sometimes.
const BACK_IN_A_BOOT: &str = r#"
python
from ringwalk import machine, replay
print("at the end", replay.now() == replay.last())
at = machine.register("rip")
gdb.execute("reverse-stepi")
back = machine.register("rip")
gdb.execute("stepi")
print("there and back", back != at and machine.register("rip") == at)
end
break kernel::boot::stage
reverse-continue
echo [stage]\n
bt
delete
reverse-continue
echo [begin]\n
python
print("in the kernel", machine.register("rip") >> 47 == 0x1ffff)
try:
    gdb.execute("reverse-stepi")
except gdb.error as why:
    print(why)
end
kill
"#;

pub(crate) fn back_in_a_boot(built: &Built) -> Result<()> {
    let folder = Scratch::new("boot")?;
    let mut options = built.options(Firmware::Bios);
    options.image = early::planted(built, "stacks", options.firmware, &folder)?;
    let place = folder.path().join("it");
    let begin = recording::Begin::PowerOn;
    let made = recording::make_in(&place, &built.kernel.whole, &options, begin, &[], false)?;
    ensure!(
        made.end.contains("the boot ended before its prompt"),
        "{}",
        made.end
    );
    let recording = recording::Recording::open(&place)?;
    let words = recording.replaying();
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let qemu = Background::start(&recording.options(), &words, Scratch::new("replay")?)?;
    let stub = qemu.stub().display().to_string();
    let gdb = &built.ready.tools.gdb;
    let mut command = gdb::debugger(&built.project, gdb, &recording.kernel(), &stub);
    command.env("RINGWALK_REPLAY", recording.last.to_string());
    command.env("RINGWALK_REPLAY_BEGIN", recording.begin());
    let said = session(command, BACK_IN_A_BOOT)?;
    for wanted in [
        "at the end True",
        "there and back True",
        "Breakpoint 1, kernel::boot::stage (",
        "kernel::boot::first_half",
        "the first instruction of the recording\n[begin]\nin the kernel True",
        "this is the first instruction of the recording; stepi and continue go on",
    ] {
        ensure!(said.contains(wanted), "no {wanted:?} in\n{said}");
    }
    Ok(())
}

/// The number of the only line that holds this text.
fn line_of(built: &Built, file: &str, text: &str) -> Result<usize> {
    let source = std::fs::read_to_string(built.project.root().join(file))?;
    let mut found = (1..)
        .zip(source.lines())
        .filter(|(_, line)| line.contains(text));
    let (number, _) = found
        .next()
        .with_context(|| format!("no {text:?} in {file}"))?;
    ensure!(
        found.next().is_none(),
        "{text:?} is in {file} more than once"
    );
    Ok(number)
}

/// Runs GDB in batch mode with a script after ours; everything it said.
pub(crate) fn session(mut command: Command, script: &str) -> Result<String> {
    let folder = Scratch::new("session")?;
    let file = folder.path().join("script.gdb");
    let output = folder.path().join("output");
    std::fs::write(&file, script)?;
    let written = std::fs::File::create(&output)?;
    command.args(["-nx", "-batch", "-x"]).arg(&file);
    command.stdin(Stdio::null());
    command.stderr(written.try_clone()?).stdout(written);
    let mut child = command.spawn().context("gdb")?;
    let until = Instant::now() + PATIENCE;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if Instant::now() > until || signals::asked_to_stop() {
            child.kill()?;
            child.wait()?;
            bail!(
                "GDB took more than {} s; it said\n{}",
                PATIENCE.as_secs(),
                read(&output)?
            );
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let said = read(&output)?;
    ensure!(status.code().is_some(), "{status}:\n{said}");
    Ok(said)
}

fn read(file: &Path) -> Result<String> {
    Ok(String::from_utf8_lossy(&std::fs::read(file)?).into_owned())
}
