//! E-17: an exception at any instruction of the kernel's ways in and out, while ring 3 has FS
//! and GS bases of its own. A kernel that uses GS must swap it there, and one that looks at the
//! CS it came from to know whether it has, is wrong for a few instructions. This one never uses
//! GS, so nothing may happen at all: the interrupted program checks every one of its registers.
//!
//! The exception is an NMI, which nothing masks, and the GDB stub says where it comes: stop at
//! the beginning, go on by 0, 1, 2, ... instructions, inject, let it run. The kernel's word on
//! the serial line names the address, which proves that it came there. An NMI stops everything,
//! so each of these is also a stop there, and a `continue`.

use std::ops::Range;
use std::time::Duration;

use anyhow::{Context as _, Error, Result, bail, ensure};
use tests::leaf::hex;
use tests::remote::{Register, Remote};
use xtask::built::Built;
use xtask::elf;
use xtask::guest::{Failure, Firmware, Guest};

use crate::machines::After;
use crate::ring3::{background, free_frames, ok};

/// Longer than any way in or out.
const MOST_INSTRUCTIONS: usize = 60;
/// Others may come along before the one that is waited for.
const MOST_OTHERS: usize = 400;
/// Until somebody comes along.
const PATIENCE: Duration = Duration::from_secs(15);
const USER_CODE: u64 = 0x23;
/// The last words of a `canary` that found nothing wrong.
const UNHARMED: &str = "with FS and GS bases, every register as it was";
/// The frame on the kernel's stack (`exported::TrapFrame`), in words.
const FRAME_CS: usize = 18;
/// The frame of the CPU alone: RIP, CS, RFLAGS, RSP, SS.
const BARE_CS: usize = 1;

/// Who is meant, of those that come along.
#[derive(Clone, Copy)]
enum Who {
    /// Everybody.
    Anybody,
    /// A thread that has a GS base, while it is loaded.
    WithGs,
    /// The same, where this word of the stack is the CS of ring 3.
    WithGsAndCs(usize),
}

/// Where a way ends.
enum End {
    /// At the first instruction of this function.
    At(u64),
    /// In ring 3.
    Ring3,
    /// Anywhere but here.
    Outside(Range<u64>),
}

struct Stubs<'a> {
    guest: &'a mut Guest,
    remote: Remote,
    /// How many NMIs came where they should.
    covered: u64,
}

pub(crate) fn e17(built: &Built, firmware: Firmware) -> Result<After> {
    let mut options = built.options(firmware);
    // A kernel that dies of this says so and then nothing.
    options.silence = Duration::from_secs(30);
    let mut guest = Guest::boot(&options)?;
    let base = image_base(&mut guest)?;
    let at = |name: &str| {
        let address = elf::symbol(&built.kernel.whole, name).map(|address| base + address);
        address.with_context(|| format!("no symbol {name}"))
    };
    // What is made once is made now.
    ok(
        &mut guest,
        "spawn canary 10; spawn spawner 1; spawn forker 1",
    )?;
    let frames = free_frames(&mut guest)?;
    let nmis = count_of_nmis(&mut guest)?;
    let mut stubs = Stubs::attach(&mut guest)?;

    let canary = background(stubs.guest, "canary 15000")?;
    if let Err(error) = ways_of_canary(&mut stubs, &at) {
        return Err(stubs.explain(error, canary));
    }
    let said = ok(stubs.guest, &format!("wait {canary}"))?;
    ensure!(
        said.iter().any(|line| line.ends_with(UNHARMED)),
        "the program in ring 3: {said:?}"
    );

    // With an error code, and CR2 to be kept.
    let (stub, trap) = (at("ringwalk_stubs")?, at("ringwalk_trap")?);
    let forker = background(stubs.guest, "forker 50")?;
    stubs.cover("page fault", stub + 14 * 16, Who::Anybody, End::At(trap))?;
    ok(stubs.guest, &format!("wait {forker}"))?;

    // What a process comes through once, before it has a base.
    let spawner = background(stubs.guest, "spawner 200")?;
    let (first, prepare) = (at("ringwalk_first_return")?, at("ringwalk_first_time")?);
    stubs.cover("first return", first, Who::Anybody, End::At(prepare))?;
    let rest = stubs.caller_of(prepare)?;
    stubs.cover("its second half", rest, Who::Anybody, End::Ring3)?;
    ok(stubs.guest, &format!("wait {spawner}"))?;

    let covered = stubs.covered;
    stubs.remote.detach()?;
    let counted = count_of_nmis(&mut guest)? - nmis;
    ensure!(counted == covered, "{covered} NMIs, {counted} counted");
    ok(&mut guest, "spawn hello; spawn canary 100")?;
    let after = free_frames(&mut guest)?;
    ensure!(
        after == frames,
        "{frames} frames free before, {after} after"
    );
    println!("{covered} NMIs, all harmless");
    Ok(After::alive(guest))
}

/// Those that a program which checks its registers comes through all the time.
fn ways_of_canary(stubs: &mut Stubs<'_>, at: &dyn Fn(&str) -> Result<u64>) -> Result<()> {
    let (gate, timer) = (0x80 * 16, 0x20 * 16);
    let (stub, trap) = (at("ringwalk_stubs")?, at("ringwalk_trap")?);
    let (system_call, back) = (at("ringwalk_system_call")?, at("ringwalk_trap_return")?);
    let (switch, first) = (at("ringwalk_switch")?, at("ringwalk_first_return")?);
    let (entered, saved) = (Who::WithGsAndCs(BARE_CS), Who::WithGsAndCs(FRAME_CS));
    stubs.cover("syscall", system_call, Who::WithGs, End::At(trap))?;
    stubs.cover("int 0x80", stub + gate, Who::WithGs, End::At(trap))?;
    stubs.cover("timer", stub + timer, entered, End::At(trap))?;
    stubs.cover("return", back, saved, End::Ring3)?;
    stubs.cover("switch", switch, Who::WithGs, End::Outside(switch..first))
}

impl<'a> Stubs<'a> {
    /// Connects; the machine runs on.
    fn attach(guest: &'a mut Guest) -> Result<Self> {
        let socket = guest.folder().join("gdb");
        let name = socket.display().to_string().replace(',', ",,");
        let said = guest.hmp(&format!("gdbserver unix:{name},server=on,wait=off"))?;
        let mut remote = Remote::connect(&socket).with_context(|| said)?;
        remote.go()?;
        Ok(Self {
            guest,
            remote,
            covered: 0,
        })
    }

    /// Adds what the program has to say, should it have ended and the kernel live.
    fn explain(self, error: Error, pid: u64) -> Error {
        if error.is::<Failure>() || self.remote.detach().is_err() {
            return error;
        }
        match self.guest.command(&format!("wait {pid}")) {
            Ok(reply) => error.context(format!("ring 3: {:?} {:?}", reply.output, reply.errors)),
            Err(_) => error,
        }
    }

    /// An NMI at each instruction of a way, and one at the first behind it: one each time that
    /// somebody comes along. The machine runs before and after.
    fn cover(&mut self, name: &str, from: u64, who: Who, end: End) -> Result<()> {
        self.remote.stop()?;
        self.remote.set_breakpoint(from)?;
        for instructions in 0..MOST_INSTRUCTIONS {
            self.remote.go()?;
            let rip = self
                .reach(from, who, instructions)
                .with_context(|| format!("{name}, instruction {instructions}"))?;
            let is_last = match &end {
                End::At(function) => rip == *function,
                End::Ring3 => self.remote.register(Register::Cs)? == USER_CODE,
                End::Outside(bytes) => !bytes.contains(&rip),
            };
            self.guest.hmp("nmi")?;
            self.remote.clear_breakpoint(from)?;
            self.remote.go()?;
            self.noted(rip)
                .with_context(|| format!("{name}, instruction {instructions}"))?;
            self.covered += 1;
            if is_last {
                println!("{name}: {instructions} instructions");
                return Ok(());
            }
            self.remote.stop()?;
            self.remote.set_breakpoint(from)?;
        }
        bail!("{name} does not end")
    }

    /// Waits until who is meant stops at the breakpoint, and goes on by some instructions.
    fn reach(&mut self, from: u64, who: Who, instructions: usize) -> Result<u64> {
        for _ in 0..MOST_OTHERS {
            self.remote.stopped(PATIENCE)?;
            let rip = self.remote.register(Register::Rip)?;
            ensure!(rip == from, "stopped at {rip:#x}");
            if self.is_meant(who)? {
                for _ in 0..instructions {
                    self.remote.step()?;
                }
                return self.remote.register(Register::Rip);
            }
            self.remote.clear_breakpoint(from)?;
            self.remote.step()?;
            self.remote.set_breakpoint(from)?;
            self.remote.go()?;
        }
        bail!("{MOST_OTHERS} others came along")
    }

    fn is_meant(&mut self, who: Who) -> Result<bool> {
        let place = match who {
            Who::Anybody => return Ok(true),
            Who::WithGs => None,
            Who::WithGsAndCs(place) => Some(place),
        };
        if self.remote.register(Register::GsBase)? == 0 {
            return Ok(false);
        }
        let Some(place) = place else { return Ok(true) };
        let rsp = self.remote.register(Register::Rsp)?;
        let words = self.remote.words(rsp, place + 1)?;
        Ok(words.last() == Some(&USER_CODE))
    }

    /// The stop by an NMI, which must have come before the instruction at `rip`; then it goes on.
    fn noted(&mut self, rip: u64) -> Result<()> {
        let first = self.guest.read_until(b": NMI; ")?;
        let text = self.guest.read_until(b"\nnote: 0x")?;
        let place = self.guest.read_until(b" ")?;
        self.guest.read_until(b"\n")?;
        let place = String::from_utf8_lossy(&place).into_owned();
        let place = hex(&format!("0x{}", place.trim()))
            .with_context(|| format!("no NMI: {first:?} {text:?}"))?;
        ensure!(place == rip, "the NMI came at {place:#x}, not {rip:#x}");
        ok(self.guest, "continue")?;
        Ok(())
    }

    /// Where the next call of a function comes from. The machine runs before and after.
    fn caller_of(&mut self, function: u64) -> Result<u64> {
        self.remote.stop()?;
        self.remote.set_breakpoint(function)?;
        self.remote.go()?;
        self.remote.stopped(PATIENCE)?;
        let rsp = self.remote.register(Register::Rsp)?;
        let words = self.remote.words(rsp, 1)?;
        self.remote.clear_breakpoint(function)?;
        self.remote.go()?;
        words.first().copied().context("no return address")
    }
}

/// Where the bootloader put the kernel's image.
fn image_base(guest: &mut Guest) -> Result<u64> {
    let lines = ok(guest, "version")?;
    let place = lines.iter().find_map(|line| line.split("image at ").nth(1));
    let place = place.with_context(|| format!("{lines:?}"))?;
    hex(place.split(',').next().unwrap_or_default())
}

/// How often vector 2 was entered.
fn count_of_nmis(guest: &mut Guest) -> Result<u64> {
    let lines = ok(guest, "irq")?;
    let Some(line) = lines.iter().find(|line| line.contains("vector 0x02 ")) else {
        return Ok(0);
    };
    let count = line.split_whitespace().nth(2);
    Ok(count.with_context(|| line.clone())?.parse()?)
}
