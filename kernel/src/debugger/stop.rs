//! Stopping the world, and letting it go on as if nothing had been.
//!
//! A stop copies all that the CPU and the entry path saved, and goes on with the debugger's thread;
//! nothing of the stop stays on the stack it came on, so that #DB and NMI can come again. Going on
//! loads the copy with one IRETQ. A step is the same with RFLAGS.TF set in the copy: the CPU raises
//! #DB after one instruction. What TF leaves behind (in what PUSHF and SYSCALL save) is taken back.
//!
//! A gate clears TF, and SYSCALL masks it: a step out of ring 3 does not end by #DB. It ends in
//! `entered`, the first Rust code that runs then. All that the entry path has done by then is to
//! push, so the state at its first instruction is known, and that is the state one is shown.

use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use exported::Record as _;
use machine::{Registers, VirtAddr, vectors};
use shell::{Before, DebugError, Moment, Pid, Stop, StopReason};

use super::{
    DEBUGGER_RSP, RUNS, away, breakpoints, is_running, recover, request, switch_to_debugger,
};
use crate::arch::descriptors::{KERNEL_CODE, KERNEL_DATA, SYSTEM_CALL};
use crate::arch::entry::{self, TrapFrame};
use crate::arch::{cpu, debug, user};
use crate::boot::CLEARED_BY_SYSCALL;
use crate::devices::timer;
use crate::lock::Lock;
use crate::memory::physmap::LiveMemory;
use crate::memory::{master, stacks};
use crate::process::{self, current_pid};
use crate::target;

const TF: u64 = 1 << 8;
const RF: u64 = 1 << 16;
/// What an interrupt gate clears: TF, IF, NT, RF, VM.
const CLEARED_BY_GATE: u64 = 1 << 8 | 1 << 9 | 1 << 14 | 1 << 16 | 1 << 17;
/// DR6: a single step.
const BS: u64 = 1 << 14;

/// Bits of [`ARMED`] beside those of [`Moment`].
const STEP: u32 = 1 << 31;
const BREAK_IN: u32 = 1 << 30;
const ABORT: u32 = 1 << 29;
/// What `entered` looks for.
const AT_ENTRY: u32 = STEP | bit(Moment::Cpl) | bit(Moment::Syscall) | bit(Moment::Fault);

const fn bit(moment: Moment) -> u32 {
    1 << moment as u32
}

/// What stops the world, a bit each; so that who is not looked for pays for one test.
static ARMED: AtomicU32 = AtomicU32::new(0);
/// The bits of [`ARMED`] that the next entry does not heed: it has been stopped at already.
static SKIP: AtomicU32 = AtomicU32::new(0);
/// For each moment, the process it is about; 0 for all.
static WHOSE: [AtomicU32; Moment::ALL.len()] = [const { AtomicU32::new(0) }; Moment::ALL.len()];
/// What `ringwalk_stop_here` was called for.
static MOMENT: [AtomicU64; 3] = [const { AtomicU64::new(0) }; 3];
/// How the process that is given up shall fare: its pid, and whether it ends.
static ABORTED: AtomicU32 = AtomicU32::new(0);
static ABORT_ENDS: AtomicBool = AtomicBool::new(false);

static IS_STOPPED: AtomicBool = AtomicBool::new(false);
static NUMBER: AtomicU64 = AtomicU64::new(0);
static STOPPED: Lock<Option<Stopped>> = Lock::new("the stop", None);
/// The same, for whoever looks from outside.
static EXPORTED: Lock<exported::Stop> =
    Lock::new("the stop as others see it", exported::Stop::ZERO);
/// What the world was last let go with: put back when the CPU refuses it.
static RESUMED: Lock<Option<Stopped>> = Lock::new("the stop before", None);
/// RFLAGS.TF as the stepped thread has it, and what it steps over.
static OWN_TF: AtomicU64 = AtomicU64::new(0);
static STEPPED: AtomicU32 = AtomicU32::new(Stepped::Other as u32);

/// Instructions that show or change TF.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stepped {
    Other = 0,
    Pushf = 1,
    /// POPF and IRETQ: they load it.
    Loads = 2,
}

/// Where the world stands.
#[derive(Clone)]
pub(super) struct Stopped {
    number: u64,
    frame: TrapFrame,
    cr2: u64,
    cr3: u64,
    dr6: u64,
    pid: Pid,
    reason: StopReason,
    before: Option<Before>,
}

/// Where whoever looks from outside finds the stop.
pub(crate) fn exported() -> u64 {
    &raw const *EXPORTED.lock() as u64
}

fn export(stopped: Option<&Stopped>) {
    *EXPORTED.lock() = match stopped {
        None => exported::Stop::ZERO,
        Some(stopped) => exported::Stop {
            is_stopped: 1,
            pid: stopped.pid.into(),
            frame: stopped.frame.words(),
            cr2: stopped.cr2,
            cr3: stopped.cr3,
            dr6: stopped.dr6,
        },
    };
}

/// Whether the world is stopped.
pub(crate) fn is_stopped() -> bool {
    IS_STOPPED.load(Ordering::Relaxed)
}

/// Something is about to happen that one may want to stop at; `a` and `b` say more about it.
#[inline(always)]
pub(crate) fn at(moment: Moment, pid: Pid, a: u64, b: u64) {
    if ARMED.load(Ordering::Relaxed) & bit(moment) != 0 {
        stop_at(moment, pid, a, b);
    }
}

#[cold]
#[inline(never)]
fn stop_at(moment: Moment, pid: Pid, a: u64, b: u64) {
    if !is_about(moment, pid) {
        return;
    }
    for (place, word) in MOMENT.iter().zip([moment as u64, a, b]) {
        place.store(word, Ordering::Relaxed);
    }
    entry::stop_here();
}

fn is_about(moment: Moment, pid: Pid) -> bool {
    let whose = WHOSE
        .get(moment as usize)
        .map_or(0, |whose| whose.load(Ordering::Relaxed));
    whose == 0 || whose == pid
}

/// The trap that [`at`] raised.
pub(crate) fn stop_asked_for(frame: &mut TrapFrame) {
    if is_running() {
        return;
    }
    let [moment, a, b] = MOMENT.each_ref().map(|word| word.load(Ordering::Relaxed));
    let moment = Moment::from_number(moment as u8);
    unstep(frame);
    stop(
        frame.clone(),
        0,
        moment.map_or(StopReason::Step, |moment| StopReason::Moment {
            moment,
            a,
            b,
        }),
    );
}

/// Every entry from ring 3 comes through here first. Without branches up to the one decision, so
/// that an entry which has been stopped at executes the same instructions as any other.
#[inline(always)]
pub(crate) fn entered(frame: &mut TrapFrame, vector: u8, is_syscall: bool) {
    let skip = SKIP.swap(0, Ordering::Relaxed);
    if ARMED.load(Ordering::Relaxed) & AT_ENTRY & !skip != 0 {
        stop_at_entry(frame, vector, is_syscall);
    }
}

#[cold]
#[inline(never)]
fn stop_at_entry(frame: &mut TrapFrame, vector: u8, is_syscall: bool) {
    if is_running() {
        // It makes accesses in ring 3, and catches them itself.
        return;
    }
    let armed = ARMED.load(Ordering::Relaxed);
    let pid = current_pid();
    let on = |moment| armed & bit(moment) != 0 && is_about(moment, pid);
    let is_stepping = armed & STEP != 0;
    let moment = if vector == SYSTEM_CALL && on(Moment::Syscall) {
        Moment::Syscall
    } else if vector < 32 && on(Moment::Fault) {
        Moment::Fault
    } else if is_stepping || on(Moment::Cpl) {
        Moment::Cpl
    } else {
        return;
    };
    if is_stepping {
        own_tf(&mut frame.rflags);
        if is_syscall {
            own_tf(&mut frame.r11);
        }
    }
    let mut at = frame.clone();
    at.cs = u64::from(KERNEL_CODE);
    if is_syscall {
        at.rip = entry::system_call_entry();
        at.rflags = frame.r11 & !CLEARED_BY_SYSCALL & !RF | 2;
        at.ss = u64::from(KERNEL_DATA);
    } else {
        at.rip = entry::stub(vector);
        at.rflags = frame.rflags & !CLEARED_BY_GATE | 2;
        // A change of ring loads a null selector. SDM, "Stack Switching in 64-Bit Mode".
        at.ss = 0;
        at.rsp = match vectors::has_error_code(vector) {
            true => &raw const frame.error as u64,
            false => &raw const frame.rip as u64,
        };
    }
    SKIP.store(AT_ENTRY, Ordering::Relaxed);
    let reason = match is_stepping {
        true => StopReason::Step,
        false => StopReason::Moment {
            moment,
            a: frame.vector,
            b: frame.rip,
        },
    };
    stop(at, 0, reason);
}

/// The last thing before a return to ring 3: whoever broke in stops it here, and a process that is
/// given up does not get there.
#[inline(always)]
pub(crate) fn leaving(frame: &mut TrapFrame) {
    if ARMED.load(Ordering::Relaxed) & (BREAK_IN | ABORT) != 0 {
        leave_not(frame);
    }
}

#[cold]
#[inline(never)]
fn leave_not(frame: &mut TrapFrame) {
    let pid = current_pid();
    if ABORTED.load(Ordering::Relaxed) == pid && ABORTED.swap(0, Ordering::Relaxed) != 0 {
        ARMED.fetch_and(!ABORT, Ordering::Relaxed);
        process::give_up(ABORT_ENDS.load(Ordering::Relaxed));
    }
    if ARMED.fetch_and(!BREAK_IN, Ordering::Relaxed) & BREAK_IN != 0 {
        stop(frame.clone(), 0, StopReason::BreakIn);
    }
}

/// Somebody asked for the debugger at a console, and an interrupt brought it: whatever runs in ring
/// 3 is stopped on its way back there.
pub(crate) fn break_in() {
    match is_running() {
        true => recover::ask(),
        false => {
            ARMED.fetch_or(BREAK_IN, Ordering::Relaxed);
        }
    }
}

/// The next process that runs is stopped at once.
pub(super) fn break_in_next() {
    ARMED.fetch_or(BREAK_IN, Ordering::Relaxed);
}

/// #DB. False if it is not the debugger's.
pub(crate) fn debug_exception(frame: &mut TrapFrame) -> bool {
    let dr6 = debug::take_status();
    if is_running() || is_on_own_stack(frame.rsp) {
        // The world was let go or has just come back, in the middle of a step, or a breakpoint is
        // on the way: nothing of it is for here.
        if dr6 & BS == 0 && breakpoints::hits(dr6) == 0 {
            debug::put_status(dr6);
            return false;
        }
        frame.rflags &= !TF;
        frame.error = debug::OFF;
        return true;
    }
    if entry::is_quiet(frame.rip) {
        // Something that the way back reads is watched.
        return true;
    }
    let is_step = ARMED.load(Ordering::Relaxed) & STEP != 0 && dr6 & BS != 0;
    let slots = breakpoints::hits(dr6);
    if !is_step && slots == 0 {
        // Whoever reports it looks there.
        debug::put_status(dr6);
        return false;
    }
    unstep(frame);
    let reason = match slots {
        0 => StopReason::Step,
        slots => StopReason::Breakpoint { slots },
    };
    stop(frame.clone(), dr6, reason)
}

/// An NMI. False if nothing is stopped by it.
pub(crate) fn nmi(frame: &mut TrapFrame) -> bool {
    if is_running() || is_on_own_stack(frame.rsp) {
        // What the debugger does itself has other ends: an NMI is noted, and it goes on.
        return false;
    }
    let index = 3;
    let db = stacks::ist_stack(index);
    if entry::is_quiet(frame.rip) || (db.bottom..=db.top).contains(&frame.rsp) {
        return false;
    }
    unstep(frame);
    stop(frame.clone(), 0, StopReason::Nmi)
}

/// A fault of the IRETQ with which the world was let go: false if it was another one.
pub(crate) fn refused(frame: &TrapFrame, vector: u8) -> bool {
    if !entry::is_resume(frame.rip) || is_running() {
        return false;
    }
    let Some(resumed) = RESUMED.lock().take() else {
        return false;
    };
    let reason = StopReason::Refused {
        vector,
        error: frame.error,
    };
    stop(resumed.frame, 0, reason)
}

/// Takes back what a step has left in RFLAGS and in what it stored.
fn unstep(frame: &mut TrapFrame) {
    if ARMED.load(Ordering::Relaxed) & STEP == 0 {
        return;
    }
    let stepped = STEPPED.load(Ordering::Relaxed);
    if stepped != Stepped::Loads as u32 {
        own_tf(&mut frame.rflags);
    }
    if stepped == Stepped::Pushf as u32 {
        let at = VirtAddr(frame.rsp);
        let root = machine::PhysAddr(cpu::cr3());
        let mut bytes = [0; 8];
        if machine::read_virt(&mut LiveMemory, &target::paging(), root, at, &mut bytes).is_ok() {
            let mut word = u64::from_le_bytes(bytes);
            own_tf(&mut word);
            super::ability::patch(root, at, word);
        }
    }
}

fn own_tf(flags: &mut u64) {
    // RF is over with the instruction that was stepped, but QEMU lets `int` push it.
    *flags = *flags & !(TF | RF) | OWN_TF.load(Ordering::Relaxed);
}

/// Stops the world: its thread goes on from `frame`, once it is let go.
fn stop(frame: TrapFrame, dr6: u64, reason: StopReason) -> ! {
    stop_in(cpu::cr3(), frame, dr6, reason)
}

/// The same, when this space was in use.
pub(super) fn stop_in(cr3: u64, frame: TrapFrame, dr6: u64, reason: StopReason) -> ! {
    RUNS.store(true, Ordering::Relaxed);
    breakpoints::disarm();
    ARMED.fetch_and(!STEP, Ordering::Relaxed);
    timer::hold(false);
    timer::end_all();
    let number = NUMBER.fetch_add(1, Ordering::Relaxed) + 1;
    let before = RESUMED.lock().take().map(|resumed| Before {
        number: resumed.number,
        rip: VirtAddr(resumed.frame.rip),
        cs: (resumed.frame.cs & 0xffff) as u16,
        cr3: resumed.cr3,
    });
    *STOPPED.lock() = Some(Stopped {
        number,
        frame,
        cr2: cpu::cr2(),
        cr3,
        dr6,
        pid: current_pid(),
        reason,
        before,
    });
    IS_STOPPED.store(true, Ordering::Relaxed);
    export(STOPPED.lock().as_ref());
    if let Some(root) = master::root() {
        master::load_root(root);
    }
    switch_to_debugger(user::nowhere());
    // Nobody comes back to a stop: it is left by `go`.
    cpu::halt()
}

/// Lets the world go on from where it stands, for one instruction or until it stops. True if it has
/// stopped again, false if it is done with what it was asked to do.
pub(super) fn go(step: bool) -> Result<bool, DebugError> {
    alive()?;
    let stopped = STOPPED.lock().take().ok_or(DebugError::NotStopped)?;
    IS_STOPPED.store(false, Ordering::Relaxed);
    export(None);
    let mut frame = stopped.frame.clone();
    OWN_TF.store(frame.rflags & TF, Ordering::Relaxed);
    // A breakpoint on the instruction that comes next has been seen.
    if breakpoints::is_on(frame.rip) {
        frame.rflags |= RF;
    }
    if step {
        STEPPED.store(stepped(&stopped) as u32, Ordering::Relaxed);
        frame.rflags |= TF;
    }
    let (cr2, cr3) = (stopped.cr2, stopped.cr3);
    *RESUMED.lock() = Some(stopped);
    away(|| {
        breakpoints::load_addresses();
        let control = breakpoints::control();
        if step {
            // Nobody may come between: the step is of this thread, and of this instruction.
            timer::hold(true);
            ARMED.fetch_or(STEP, Ordering::Relaxed);
        }
        RUNS.store(false, Ordering::Relaxed);
        cpu::set_cr2(cr2);
        if cr3 != cpu::cr3() {
            master::load_root(machine::PhysAddr(cr3));
        }
        entry::resume(DEBUGGER_RSP.as_ptr(), &frame, control);
        // The request may have come to its end in the middle of a step.
        ARMED.fetch_and(!STEP, Ordering::Relaxed);
        timer::hold(false);
    });
    Ok(is_stopped())
}

/// Whether the stopped world can go on.
fn alive() -> Result<(), DebugError> {
    match STOPPED.lock().as_ref().map(|stopped| stopped.reason) {
        Some(StopReason::Fault { .. } | StopReason::Panic) => Err(DebugError::Dead),
        _ => Ok(()),
    }
}

/// Takes the stop away, as if there were none.
pub(super) fn take() -> Option<Stopped> {
    IS_STOPPED.store(false, Ordering::Relaxed);
    export(None);
    STOPPED.lock().take()
}

/// Puts back what [`take`] took.
pub(super) fn put(stopped: Option<Stopped>) {
    IS_STOPPED.store(stopped.is_some(), Ordering::Relaxed);
    export(stopped.as_ref());
    *STOPPED.lock() = stopped;
}

/// Whatever stops next did not begin at a stop.
pub(super) fn forget() {
    *RESUMED.lock() = None;
}

/// What kind of instruction is stepped over, by its first bytes.
fn stepped(stopped: &Stopped) -> Stepped {
    let mut bytes = [0; 4];
    let root = machine::PhysAddr(stopped.cr3);
    for (at, byte) in (0..).zip(&mut bytes) {
        let mut one = [0];
        let va = VirtAddr(stopped.frame.rip.wrapping_add(at));
        if machine::read_virt(&mut LiveMemory, &target::paging(), root, va, &mut one).is_err() {
            break;
        }
        [*byte] = one;
    }
    let is_prefix = |byte: &&u8| matches!(**byte, 0x40..=0x4f | 0x66);
    match bytes.iter().find(|byte| !is_prefix(byte)) {
        Some(0x9c) => Stepped::Pushf,
        Some(0x9d | 0xcf) => Stepped::Loads,
        _ => Stepped::Other,
    }
}

/// Gives up the process that the stop is about, and lets the world go: it ends, or goes back among
/// those that wait for the processor.
pub(super) fn abort(pid: Pid, ends: bool) -> Result<bool, DebugError> {
    if !is_stopped() {
        return Err(DebugError::NotStopped);
    }
    alive()?;
    ABORTED.store(pid, Ordering::Relaxed);
    ABORT_ENDS.store(ends, Ordering::Relaxed);
    ARMED.fetch_or(ABORT, Ordering::Relaxed);
    if let Some(stopped) = STOPPED.lock().as_mut()
        && stopped.frame.is_from_user()
    {
        enter_by_hand(stopped)?;
    }
    let result = go(false);
    if !is_stopped() {
        ARMED.fetch_and(!ABORT, Ordering::Relaxed);
        ABORTED.store(0, Ordering::Relaxed);
    }
    result
}

/// Does to a thread in ring 3 what the CPU does at an interrupt, up to the entry stub of a vector
/// that nothing else uses.
fn enter_by_hand(stopped: &mut Stopped) -> Result<(), DebugError> {
    let top = process::stack_top(stopped.pid).ok_or(DebugError::Refused("no kernel stack"))?;
    let frame = &mut stopped.frame;
    let words = [frame.rip, frame.cs, frame.rflags, frame.rsp, frame.ss];
    let root = master::root().ok_or(DebugError::Refused("no master table"))?;
    let mut at = top - 40;
    frame.rsp = at;
    for word in words {
        super::ability::write_virt(root, VirtAddr(at), &word.to_le_bytes())?;
        at += 8;
    }
    frame.rip = entry::stub(entry::STOP + 1);
    frame.cs = u64::from(KERNEL_CODE);
    frame.ss = 0;
    frame.rflags = frame.rflags & !CLEARED_BY_GATE | 2;
    Ok(())
}

/// Stops, or no more, whenever this is about to happen to this process, or to any (0).
pub(super) fn arm(moment: Moment, whose: Option<Pid>) {
    match whose {
        Some(pid) => {
            if let Some(place) = WHOSE.get(moment as usize) {
                place.store(pid, Ordering::Relaxed);
            }
            ARMED.fetch_or(bit(moment), Ordering::Relaxed);
        }
        None => {
            ARMED.fetch_and(!bit(moment), Ordering::Relaxed);
        }
    }
}

/// Whether this is stopped at, and for which process.
pub(super) fn armed(moment: Moment) -> Option<Pid> {
    let is_armed = ARMED.load(Ordering::Relaxed) & bit(moment) != 0;
    let whose = WHOSE.get(moment as usize)?;
    is_armed.then(|| whose.load(Ordering::Relaxed))
}

/// The stop, for people.
pub(super) fn describe() -> Option<Stop> {
    if !is_stopped() {
        return None;
    }
    let stopped = STOPPED.lock().clone()?;
    Some(Stop {
        number: stopped.number,
        reason: stopped.reason,
        pid: stopped.pid,
        registers: registers(&stopped),
        before: stopped.before,
    })
}

/// The registers of the thread that was stopped.
pub(crate) fn stopped_registers() -> Option<Registers> {
    if !is_stopped() {
        return None;
    }
    STOPPED.lock().as_ref().map(registers)
}

/// The frame of a process, if it is the one that was stopped in ring 3.
pub(crate) fn stopped_in_ring_3(pid: Pid) -> Option<TrapFrame> {
    if !is_stopped() {
        return None;
    }
    let stopped = STOPPED.lock();
    let stopped = stopped.as_ref()?;
    (stopped.pid == pid && stopped.frame.is_from_user()).then(|| stopped.frame.clone())
}

fn registers(stopped: &Stopped) -> Registers {
    Registers {
        cr2: stopped.cr2,
        cr3: stopped.cr3,
        dr6: stopped.dr6,
        dr7: breakpoints::control(),
        // The debugger uses no other register that this thread has.
        ..stopped.frame.registers()
    }
}

/// Changes a register of the stopped thread; what it was.
pub(super) fn set_register(name: &str, value: u64) -> Result<u64, DebugError> {
    let mut stopped = STOPPED.lock();
    let stopped = stopped.as_mut().ok_or(DebugError::NotStopped)?;
    let frame = &mut stopped.frame;
    let place = match name {
        "rax" => &mut frame.rax,
        "rbx" => &mut frame.rbx,
        "rcx" => &mut frame.rcx,
        "rdx" => &mut frame.rdx,
        "rsi" => &mut frame.rsi,
        "rdi" => &mut frame.rdi,
        "rbp" => &mut frame.rbp,
        "rsp" => &mut frame.rsp,
        "r8" => &mut frame.r8,
        "r9" => &mut frame.r9,
        "r10" => &mut frame.r10,
        "r11" => &mut frame.r11,
        "r12" => &mut frame.r12,
        "r13" => &mut frame.r13,
        "r14" => &mut frame.r14,
        "r15" => &mut frame.r15,
        "rip" => &mut frame.rip,
        "rflags" => &mut frame.rflags,
        "cs" => &mut frame.cs,
        "ss" => &mut frame.ss,
        "cr2" => &mut stopped.cr2,
        _ => return Err(DebugError::Refused("that register cannot be changed here")),
    };
    let old = core::mem::replace(place, value);
    export(Some(stopped));
    Ok(old)
}

fn is_on_own_stack(rsp: u64) -> bool {
    let own = stacks::first();
    (own.bottom..=own.top).contains(&rsp)
}

/// Whether the debugger stores to this address while a breakpoint may be armed.
pub(super) fn is_own(at: u64) -> bool {
    // #DB and NMI push there.
    (0..4).any(|index| {
        let stack = stacks::ist_stack(index);
        (stack.bottom..stack.top).contains(&at)
    }) || {
        // So does the debugger on its way back to the world.
        is_on_own_stack(at)
    }
}

/// The answer to the request that was under way when the world stopped, if it is done by now.
pub(super) fn outcome() -> Option<request::Answer> {
    request::answer()
}
