//! A thread for tests that goes a way which is written down beforehand.

use std::collections::BTreeMap;

use machine::{PhysAddr, Registers, VirtAddr};

use crate::{
    Before, DebugError, Debugger, Go, Moment, Pid, Resting, Stop, StopReason, Threads, WatchKind,
    Watched, Went,
};

/// The way, and where on it the thread is.
#[derive(Debug, Default, Clone)]
pub(crate) struct Stopper {
    /// The registers before each instruction.
    pub(crate) way: Vec<Registers>,
    pub(crate) at: usize,
    reason: Option<StopReason>,
    number: u64,
    before: Option<Before>,
    watched: [Option<Watched>; 4],
    armed: BTreeMap<u8, Pid>,
    pub(crate) written: Vec<(PhysAddr, VirtAddr, Vec<u8>)>,
}

impl Stopper {
    /// Stopped at the first of these.
    pub(crate) fn on(way: Vec<Registers>) -> Self {
        Stopper {
            way,
            reason: Some(StopReason::BreakIn),
            number: 0,
            ..Stopper::default()
        }
    }
}

impl Debugger for Stopper {
    fn stop(&mut self) -> Option<Stop> {
        Some(Stop {
            number: self.number,
            reason: self.reason?,
            pid: 0,
            registers: *self.way.get(self.at)?,
            before: self.before,
        })
    }

    fn go(&mut self, how: Go) -> Result<Went, DebugError> {
        let stop = self.stop().ok_or(DebugError::NotStopped)?;
        self.before = Some(Before {
            number: stop.number,
            rip: VirtAddr(stop.registers.rip),
            cs: stop.registers.cs,
            cr3: stop.registers.cr3,
        });
        self.reason = None;
        loop {
            self.at += 1;
            let Some(registers) = self.way.get(self.at) else {
                return Ok(Went::Through);
            };
            let hits = (0..4).filter(|slot| {
                self.watched[*slot].is_some_and(|watched| {
                    watched.kind == WatchKind::Execute && watched.at.0 == registers.rip
                })
            });
            let slots = hits.fold(0, |slots, slot| slots | 1 << slot);
            let reason = match (how, slots) {
                (Go::Step, _) => StopReason::Step,
                (Go::On, 0) => continue,
                (Go::On, slots) => StopReason::Breakpoint { slots },
            };
            self.number += 1;
            self.reason = Some(reason);
            return Ok(Went::Stopped);
        }
    }

    fn abort(&mut self, _pid: Pid, _ends: bool) -> Result<Went, DebugError> {
        self.stop().ok_or(DebugError::NotStopped)?;
        self.reason = None;
        Ok(Went::Through)
    }

    fn turn(&mut self, _pid: Pid) -> Result<Went, DebugError> {
        match self.stop() {
            Some(_) => Err(DebugError::Stopped),
            None => Ok(Went::Through),
        }
    }

    fn set_register(&mut self, name: &str, value: u64) -> Result<u64, DebugError> {
        let registers = self.way.get_mut(self.at).ok_or(DebugError::NotStopped)?;
        match name {
            "rax" => Ok(std::mem::replace(&mut registers.rax, value)),
            _ => Err(DebugError::Refused("that register cannot be changed here")),
        }
    }

    fn write(&mut self, root: PhysAddr, at: VirtAddr, bytes: &[u8]) -> Result<(), DebugError> {
        self.written.push((root, at, bytes.to_vec()));
        Ok(())
    }

    fn watched(&mut self, slot: usize) -> Option<Watched> {
        self.watched[slot]
    }

    fn watch(&mut self, slot: usize, watched: Option<Watched>) -> Result<(), DebugError> {
        self.watched[slot] = watched;
        Ok(())
    }

    fn written_at(&mut self, at: PhysAddr) -> Option<VirtAddr> {
        Some(VirtAddr(0xffff_8000_0000_0000 + at.0))
    }

    fn armed(&mut self, moment: Moment) -> Option<Pid> {
        self.armed.get(&(moment as u8)).copied()
    }

    fn arm(&mut self, moment: Moment, whose: Option<Pid>) {
        match whose {
            Some(pid) => self.armed.insert(moment as u8, pid),
            None => self.armed.remove(&(moment as u8)),
        };
    }
}

/// Nobody knows where its other threads are; the one that is stopped keeps RBP.
impl Threads for Stopper {
    fn resting(&mut self, _pid: Pid) -> Option<Resting> {
        None
    }

    fn unwind_tables(&mut self, _pid: Pid) -> unwinder::Images<'static> {
        unwinder::Images::default()
    }
}
