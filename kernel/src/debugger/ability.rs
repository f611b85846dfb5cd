//! What the shell may ask of the debugger.

use machine::{End, PhysAddr, PhysMemory, VirtAddr};
use shell::{DebugError, Debugger, Go, Moment, Pid, Stop, Watched, Went};

use super::request::{Answer, Request, ask};
use super::{abort, breakpoints, moments, recover, stop, view};
use crate::memory::frames;
use crate::memory::physmap::{self, LiveMemory};
use crate::process;
use crate::target;

/// The debugger of this kernel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LiveDebugger;

impl Debugger for LiveDebugger {
    fn stop(&mut self) -> Option<Stop> {
        view::describe()
    }

    fn go(&mut self, how: Go) -> Result<Went, DebugError> {
        if how == Go::On {
            recover::lets_run();
        }
        stop::go(how == Go::Step).map(went)
    }

    fn abort(&mut self, pid: Pid, ends: bool) -> Result<Went, DebugError> {
        let went = abort::abort(pid, ends).map(went)?;
        // It may have had to wait in the kernel, and did not get to ring 3.
        if ends && went != Went::Stopped && process::is_alive(pid) {
            let _ = ask(Request::Kill(pid));
        }
        Ok(went)
    }

    fn turn(&mut self, pid: Pid) -> Result<Went, DebugError> {
        if stop::is_stopped() {
            return Err(DebugError::Stopped);
        }
        match ask(Request::Turn(pid)) {
            None => Ok(Went::Stopped),
            Some(Answer::Done(Err(_))) => Err(DebugError::Refused(
                "the process does not wait for the processor; `ps` says for what",
            )),
            Some(_) => Ok(Went::Through),
        }
    }

    fn set_register(&mut self, name: &str, value: u64) -> Result<u64, DebugError> {
        view::set_register(name, value)
    }

    fn write(&mut self, root: PhysAddr, at: VirtAddr, bytes: &[u8]) -> Result<(), DebugError> {
        write_virt(root, at, bytes)
    }

    fn watched(&mut self, slot: usize) -> Option<Watched> {
        breakpoints::get(slot)
    }

    fn watch(&mut self, slot: usize, watched: Option<Watched>) -> Result<(), DebugError> {
        breakpoints::set(slot, watched)
    }

    fn written_at(&mut self, at: PhysAddr) -> Option<VirtAddr> {
        physmap::is_all_ram(at, 8).then(|| VirtAddr(physmap::offset().wrapping_add(at.0)))
    }

    fn armed(&mut self, moment: Moment) -> Option<Pid> {
        moments::armed(moment)
    }

    fn arm(&mut self, moment: Moment, whose: Option<Pid>) {
        moments::arm(moment, whose);
    }
}

fn went(is_stopped: bool) -> Went {
    if is_stopped {
        return Went::Stopped;
    }
    match stop::outcome() {
        Some(Answer::Spawned(Ok(pid))) => Went::Started(pid),
        _ => Went::Through,
    }
}

/// Changes memory as some tables map it, whatever rights they give; all of it or nothing.
pub(super) fn write_virt(root: PhysAddr, at: VirtAddr, bytes: &[u8]) -> Result<(), DebugError> {
    for (offset, _) in (0u64..).zip(bytes) {
        place(root, VirtAddr(at.0.wrapping_add(offset)))?;
    }
    for (offset, byte) in (0u64..).zip(bytes) {
        let va = VirtAddr(at.0.wrapping_add(offset));
        if !physmap::write_byte(place(root, va)?, *byte) {
            return Err(DebugError::NoMemory(va));
        }
    }
    Ok(())
}

/// Changes a word that the world has just stored, without asking anybody. Takes no lock.
pub(super) fn patch(root: PhysAddr, at: VirtAddr, word: u64) {
    for (offset, byte) in (0u64..).zip(word.to_le_bytes()) {
        let va = VirtAddr(at.0.wrapping_add(offset));
        if let End::Mapped { at, .. } =
            machine::walk(&mut LiveMemory, &target::paging(), root, va).end()
        {
            physmap::write_byte(at, byte);
        }
    }
}

/// Where a byte is that may be changed.
fn place(root: PhysAddr, va: VirtAddr) -> Result<PhysAddr, DebugError> {
    let paging = target::paging();
    match machine::walk(&mut LiveMemory, &paging, root, va).end() {
        End::Mapped { at, .. } if LiveMemory.read(at, &mut [0]).is_ok() => {
            // Somebody else may see the same page, unchanged, and would be surprised.
            match frames::sharers(PhysAddr(at.0 & !0xfff)) {
                1.. => Err(DebugError::Refused(
                    "the page is shared with another process until one of them writes to it",
                )),
                0 => Ok(at),
            }
        }
        _ => Err(DebugError::NoMemory(va)),
    }
}
