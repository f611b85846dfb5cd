//! The way back to ring 3: every frame is checked before IRETQ uses it.
//!
//! A bad frame would fault in ring 0, at an instruction that is hard to look at; so it is
//! refused here, and the process dies of the fault that the CPU would have raised.

use exported::TrapFrame;
use shell::{Exit, Moment, Start};

use super::space::USER_END;
use super::{KERNEL, current_pid, exit, table};
use crate::arch::descriptors::{USER_CODE, USER_DATA};
use crate::arch::entry;
use crate::debugger;
use crate::events::{self, Kind};

/// RFLAGS bits that ring 3 may have: the status flags, TF, DF, NT, RF, AC and ID. IF and the
/// fixed bit 1 are always set; IOPL and VM never are. NT is harmless here: it is the one in the
/// current RFLAGS that IRETQ looks at, and every entry has cleared that.
const ALLOWED_FLAGS: u64 = 0x0025_4dd5;
const FORCED_FLAGS: u64 = 0x202;
const GENERAL_PROTECTION: u8 = 13;

/// The last thing before a trap returns to ring 3.
pub(crate) fn leave(frame: &mut TrapFrame) {
    debugger::at(Moment::Frame, current_pid(), &raw const *frame as u64, 0);
    check(frame);
    at_iretq(frame);
    events::record_with(
        Kind::TrapExit,
        Some(frame.cs as u16),
        frame.vector,
        frame.rip,
    );
    debugger::leaving(frame);
}

/// The first return of a thread: its state is loaded, then it goes.
pub(crate) fn first_return(frame: &mut TrapFrame) {
    debugger::at(Moment::Frame, current_pid(), &raw const *frame as u64, 0);
    let mut start = Start::default();
    if let Some(process) = table().current() {
        process.user.restore();
        process.is_new = false;
        start = process.start;
    }
    let entry = frame.rip;
    let changes = [
        (start.cs, &mut frame.cs),
        (start.ss, &mut frame.ss),
        (start.rip, &mut frame.rip),
        (start.rsp, &mut frame.rsp),
        (start.rflags, &mut frame.rflags),
    ];
    for (change, word) in changes {
        *word = change.unwrap_or(*word);
    }
    if !start.unchecked {
        check(frame);
    }
    if start.breakpoint {
        debugger::arm_fatal(entry);
    }
    at_iretq(frame);
    events::record_with(Kind::Iretq, Some(frame.cs as u16), frame.rip, frame.rsp);
    debugger::leaving(frame);
}

/// Who wants to stop before the return can.
fn at_iretq(frame: &TrapFrame) {
    debugger::at(Moment::Iret, current_pid(), frame.rip, frame.rsp);
    debugger::at(Moment::Cpl, current_pid(), frame.rip, frame.rsp);
}

/// Whether a fault in ring 0 is the IRETQ's, over a frame that was not checked: then the process
/// dies of it, and the kernel lives.
pub(crate) fn bad_frame(frame: &TrapFrame) -> bool {
    current_pid() != KERNEL && frame.rip == entry::iretq_address()
}

/// Masks the flags; ends the process whose frame the CPU would not take.
fn check(frame: &mut TrapFrame) {
    frame.rflags = (frame.rflags & ALLOWED_FLAGS) | FORCED_FLAGS;
    let is_sound = frame.cs == u64::from(USER_CODE)
        && frame.ss == u64::from(USER_DATA)
        && frame.rip < USER_END;
    // One that was not checked the first time may be interrupted before its first instruction:
    // then the CPU gets the same frame once more.
    if !is_sound && !is_unchecked() {
        let rip = machine::VirtAddr(frame.rip);
        exit::exit(Exit::Fault {
            vector: GENERAL_PROTECTION,
            error: 0,
            address: None,
            rip,
        });
    }
}

/// Whether the process that runs was started with a frame that nobody checked.
fn is_unchecked() -> bool {
    table()
        .current()
        .is_some_and(|process| process.start.unchecked)
}
