//! The processes of the sample machine: one that sleeps, with tables of its own, and one that
//! is dead. None of them runs.

use machine::{Entry, PageSize, PhysAddr, PhysMemory, Registers, Simulated, VirtAddr};
use shell::{Exit, Pid, ProcessError, ProcessInfo, ProcessState, Processes, Program};

const SLEEPER: Pid = 2;
const FAULTER: Pid = 5;
const ROOT: PhysAddr = PhysAddr(0x5_0000);
const CODE: u64 = 0x40_0123;
const STACK: u64 = 0x7fff_ffff_ef00;
const DEATH: Exit = Exit::Fault {
    vector: 14,
    error: 6,
    address: Some(VirtAddr(0)),
    rip: VirtAddr(CODE),
};

/// The two, as long as nobody reaps the dead one.
#[derive(Debug)]
pub(crate) struct SampleProcesses {
    all: Vec<Pid>,
    kernel: Registers,
}

impl SampleProcesses {
    /// Puts the sleeper's tables into the machine, whose own ones are there already. `kernel`
    /// is what the processor holds besides what is saved of a process.
    #[must_use]
    pub(crate) fn new(machine: &mut Simulated, kernel: Registers) -> Self {
        machine.set_next_table(PhysAddr(ROOT.0 + 0x1000));
        machine.add_ram(ROOT, 0x1000);
        let mut map = |va: u64, pa: u64, flags| {
            let flags = flags | Entry::USER;
            machine.map_in(ROOT, VirtAddr(va), PhysAddr(pa), PageSize::Size4K, flags);
        };
        map(CODE & !0xfff, 0x7_3000, 0);
        let data = Entry::WRITABLE | Entry::NO_EXECUTE;
        map(STACK & !0xfff, 0x5_f000, data);
        for slot in 256..512 {
            let entry = PhysAddr(kernel.cr3 + slot * 8);
            if let Ok(raw @ 1..) = machine.read_u64(entry) {
                machine.write_u64(PhysAddr(ROOT.0 + slot * 8), raw);
            }
        }
        SampleProcesses {
            all: vec![SLEEPER, FAULTER],
            kernel,
        }
    }
}

impl Processes for SampleProcesses {
    fn program(&mut self, index: usize) -> Option<Program<'_>> {
        let names = ["fault-null-write", "sleeper"];
        let name = names.get(index)?;
        Some(Program { name, bytes: 4096 })
    }

    fn spawn(&mut self, program: &str, _: &[&str]) -> Result<Pid, ProcessError> {
        match program {
            "fault-null-write" | "sleeper" => Err(ProcessError::TooMany),
            _ => Err(ProcessError::NoSuchProgram),
        }
    }

    fn next(&mut self, after: Option<Pid>) -> Option<Pid> {
        self.all.iter().copied().find(|pid| Some(*pid) > after)
    }

    fn info(&mut self, pid: Pid) -> Option<ProcessInfo> {
        self.all.iter().find(|known| **known == pid)?;
        let is_dead = pid == FAULTER;
        let name = if is_dead {
            "fault-null-write"
        } else {
            "sleeper"
        };
        Some(ProcessInfo {
            pid,
            parent: 0,
            name: name.try_into().ok()?,
            state: match is_dead {
                true => ProcessState::Dead(DEATH),
                false => ProcessState::Sleeping,
            },
            root: if is_dead { PhysAddr(0) } else { ROOT },
            kernel_stack: None,
            frames: if is_dead { 0 } else { 9 },
            ticks: 3,
            rip: VirtAddr(CODE),
            rsp: VirtAddr(STACK),
        })
    }

    fn registers(&mut self, pid: Pid) -> Option<Registers> {
        (pid == SLEEPER).then_some(Registers {
            rax: 4,
            rip: CODE,
            rsp: STACK,
            cr3: ROOT.0,
            ..self.kernel
        })
    }

    fn kill(&mut self, _: Pid) -> Result<(), ProcessError> {
        Err(ProcessError::Refused("nothing happens on this machine"))
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

    fn reap(&mut self, pid: Pid) -> Result<Exit, ProcessError> {
        match pid {
            FAULTER => {
                self.all.retain(|known| *known != FAULTER);
                Ok(DEATH)
            }
            SLEEPER => Err(ProcessError::Alive),
            _ => Err(ProcessError::NoSuchProcess),
        }
    }

    fn run(&mut self) {}
}
