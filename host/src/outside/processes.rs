//! Processes, from outside.

use exported::{Process, Record as _, State, TrapFrame};
use machine::transition::Need;
use machine::{PhysAddr, Registers, VirtAddr};
use shell::{
    Exit, Pid, ProcessError, ProcessInfo, ProcessState, Processes, Program, Rsp0, Spoil, Switches,
};

use super::Outside;

impl Outside {
    pub(super) fn read_processes(&mut self) {
        let slots = self.found.header.processes;
        let mut all: Vec<(u64, Process)> = Vec::new();
        for at in self.list::<u64>("the table of processes", slots) {
            if at == 0 {
                continue;
            }
            match self.record::<Process>(at) {
                Some(process) if process.pid == 0 || process.pid > i32::MAX as u32 => {
                    self.damaged(at, &format!("its pid is {}", process.pid));
                }
                Some(process) if all.iter().any(|(_, other)| other.pid == process.pid) => {
                    self.damaged(at, &format!("its pid is {}, as another's is", process.pid));
                }
                Some(process) => all.push((at, process)),
                None => self.damaged(at, "it cannot be read, or its state is none"),
            }
        }
        self.processes = all;
    }

    fn damaged(&mut self, at: u64, why: &str) {
        let at = VirtAddr(at);
        self.note(format!("the record of a process at {at} is damaged: {why}"));
    }

    pub(super) fn process(&self, pid: Pid) -> Option<&(u64, Process)> {
        self.processes
            .iter()
            .find(|(_, process)| process.pid == pid)
    }

    /// The registers a process entered the kernel with: the first thing on its kernel stack, but
    /// for one that stands in ring 3.
    fn saved(&self, process: &Process) -> Registers {
        let now = self.registers.unwrap_or_default();
        let stop = &self.stop;
        let is_its = stop.is_stopped != 0 && stop.pid == u64::from(process.pid);
        if is_its && stop.frame.is_from_user() {
            return stop.frame.registers(now);
        }
        if now.cs & 3 == 3 && self.current() == Some(process.pid) {
            return now;
        }
        let at = process.stack.top.wrapping_sub(TrapFrame::BYTES as u64);
        let frame: TrapFrame = self.record(at).unwrap_or_default();
        frame.registers(now)
    }

    /// The process that runs; 0 for the kernel's own thread.
    pub(crate) fn current(&self) -> Option<Pid> {
        self.record(self.found.header.current)
    }
}

impl Processes for Outside {
    fn program(&mut self, _: usize) -> Option<Program<'_>> {
        None
    }

    fn spawn(&mut self, _: &str, _: &[&str]) -> Result<Pid, ProcessError> {
        Err(READ_ONLY)
    }

    fn next(&mut self, after: Option<Pid>) -> Option<Pid> {
        let after = after.unwrap_or(0);
        let pids = self.processes.iter().map(|(_, process)| process.pid);
        pids.filter(|pid| *pid > after).min()
    }

    fn info(&mut self, pid: Pid) -> Option<ProcessInfo> {
        let (_, process) = *self.process(pid)?;
        let state = ProcessState::from(process.state);
        let is_dead = matches!(process.state, State::Dead(_));
        let registers = match is_dead {
            true => Registers::default(),
            false => self.saved(&process),
        };
        let stack = process.stack;
        Some(ProcessInfo {
            pid,
            // Whoever outlived its parent belongs to the kernel.
            parent: match process.parent {
                Process::NOBODY => 0,
                parent => parent,
            },
            name: process.name.string(),
            state,
            root: PhysAddr(if is_dead { 0 } else { process.root }),
            kernel_stack: (!is_dead).then_some((VirtAddr(stack.bottom), VirtAddr(stack.top))),
            frames: match is_dead {
                true => 0,
                false => self.frames_of(PhysAddr(process.root)),
            },
            ticks: process.ticks,
            rip: VirtAddr(registers.rip),
            rsp: VirtAddr(registers.rsp),
        })
    }

    fn registers(&mut self, pid: Pid) -> Option<Registers> {
        let (_, process) = *self.process(pid)?;
        // The others are as they are for whoever runs.
        self.registers?;
        (!matches!(process.state, State::Dead(_))).then(|| Registers {
            cr3: process.root,
            ..self.saved(&process)
        })
    }

    fn kill(&mut self, _: Pid) -> Result<(), ProcessError> {
        Err(READ_ONLY)
    }

    fn take_output(&mut self, _: Pid, _: &mut [u8]) -> usize {
        0
    }

    fn peek_output(&mut self, _: Pid, _: usize, _: &mut [u8]) -> usize {
        0
    }

    fn give_input(&mut self, _: Pid, _: &[u8]) -> usize {
        0
    }

    fn end_input(&mut self, _: Pid) {}

    fn reap(&mut self, _: Pid) -> Result<Exit, ProcessError> {
        Err(READ_ONLY)
    }

    fn run(&mut self) {}
}

const READ_ONLY: ProcessError = ProcessError::Refused("from outside the kernel can only be read");

impl Switches for Outside {
    fn need(&mut self, pid: Pid, index: usize) -> Option<Need> {
        let &(at, process) = self.process(pid)?;
        if matches!(process.state, State::Dead(_)) {
            return None;
        }
        let header = self.found.header;
        let registers = self.registers.unwrap_or_default();
        let kernel = exported::Kernel {
            switch: &header.switch,
            events: header.events,
            next_event: (header.next_event, self.word(header.next_event).unwrap_or(0)),
            world_rsp: self.word(header.world_rsp).unwrap_or(0),
            idtr: registers.idtr,
            gdtr: registers.gdtr,
            ist_stacks: header.ist_stacks,
            regions: &self.regions,
            ram: &self.ram,
            physmap: header.physmap,
        };
        let needs = exported::needs(&kernel, &process, at, &mut |at| self.word(at));
        needs.get(index).copied()
    }

    fn rsp0(&mut self, pid: Pid) -> Option<Rsp0> {
        let (_, process) = self.process(pid)?;
        Some(Rsp0 {
            value: VirtAddr(process.rsp0),
            should_be: VirtAddr(process.stack.top),
        })
    }

    fn spoil(&mut self, _: Pid, _: Spoil) -> Result<(), ProcessError> {
        Err(READ_ONLY)
    }

    fn release(&mut self, _: Pid) {}
}
