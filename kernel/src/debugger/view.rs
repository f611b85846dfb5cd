//! The stopped thread as it is shown, and changed.

use exported::{Record as _, TrapFrame};
use machine::Registers;
use shell::{DebugError, Pid, Stop};

use super::breakpoints;
use super::stop::{STOPPED, Stopped, is_stopped};
use crate::arch::snapshot;
use crate::lock::Lock;

/// The same, for whoever looks from outside.
static EXPORTED: Lock<exported::Stop> =
    Lock::new("the stop as others see it", exported::Stop::ZERO);
/// Where whoever looks from outside finds the stop.
pub(crate) fn exported() -> u64 {
    &raw const *EXPORTED.lock() as u64
}

pub(super) fn export(stopped: Option<&Stopped>) {
    *EXPORTED.lock() = match stopped {
        None => exported::Stop::ZERO,
        Some(stopped) => exported::Stop {
            is_stopped: 1,
            pid: stopped.pid.into(),
            frame: stopped.frame,
            cr2: stopped.cr2,
            cr3: stopped.cr3,
            dr6: stopped.dr6,
        },
    };
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
    (stopped.pid == pid && stopped.frame.is_from_user()).then_some(stopped.frame)
}

fn registers(stopped: &Stopped) -> Registers {
    Registers {
        cr2: stopped.cr2,
        cr3: stopped.cr3,
        dr6: stopped.dr6,
        dr7: breakpoints::control(),
        // The debugger uses no other register that this thread has.
        ..stopped.frame.registers(snapshot::registers())
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
