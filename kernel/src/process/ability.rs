//! What the shell may ask about processes.

use exported::{Record as _, TrapFrame};
use heapless::{String, Vec};
use machine::transition::Need;
use machine::{PhysAddr, Raised, Registers, VirtAddr};
use shell::{
    Exit, Pid, ProcessError, ProcessInfo, Processes, Program, Rsp0, Spoil, Start, Switches,
};

use super::{KERNEL, MOST_ARGUMENTS, NOBODY, Process, State, needs, ramdisk, spoil, table};
use crate::arch::{cpu, snapshot};
use crate::debugger::{self, Answer, Request, ask};
use crate::memory::master;
use crate::memory::physmap::LiveMemory;
use crate::target;

/// The processes of this kernel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LiveProcesses;

impl Processes for LiveProcesses {
    fn program(&mut self, index: usize) -> Option<Program<'_>> {
        let file = ramdisk::programs().nth(index)?;
        Some(Program {
            name: file.name,
            bytes: file.content.len() as u64,
        })
    }

    fn spawn(&mut self, program: &str, arguments: &[&str]) -> Result<Pid, ProcessError> {
        let mut bytes: Vec<u8, MOST_ARGUMENTS> = Vec::new();
        for argument in arguments {
            let fits =
                bytes.extend_from_slice(argument.as_bytes()).is_ok() && bytes.push(0).is_ok();
            if argument.contains('\0') {
                return Err(ProcessError::Refused("an argument holds a NUL"));
            }
            if !fits {
                return Err(ProcessError::Refused(
                    "the arguments are longer than 1024 bytes",
                ));
            }
        }
        // None has a longer name.
        let program = String::try_from(program).map_err(|_| ProcessError::NoSuchProgram)?;
        match ask(Request::Spawn(program, bytes)) {
            Some(Answer::Spawned(result)) => result,
            _ => Err(not_now()),
        }
    }

    fn change_start(&mut self, pid: Pid, start: Start) -> Result<(), ProcessError> {
        let mut table = table();
        let process = table.get(pid).ok_or(ProcessError::NoSuchProcess)?;
        if process.state != State::Ready || !process.is_new {
            return Err(ProcessError::Refused("the process has run already"));
        }
        process.start = start;
        Ok(())
    }

    fn next(&mut self, after: Option<Pid>) -> Option<Pid> {
        let after = after.unwrap_or(KERNEL);
        table()
            .all()
            .map(|process| process.pid)
            .filter(|pid| *pid > after)
            .min()
    }

    fn info(&mut self, pid: Pid) -> Option<ProcessInfo> {
        let mut table = table();
        let process = table.get(pid)?;
        // The stack of a dead one may be somebody else's by now.
        let frame = match process.state {
            State::Dead(_) => TrapFrame::default(),
            _ => saved_frame(process),
        };
        let is_dead = matches!(process.state, State::Dead(_));
        let stack = process.stack;
        Some(ProcessInfo {
            pid,
            // Whoever outlived its parent belongs to the kernel.
            parent: if process.parent == NOBODY {
                KERNEL
            } else {
                process.parent
            },
            name: process.name.string(),
            state: process.state.into(),
            root: process
                .space
                .as_ref()
                .map_or(PhysAddr(0), super::Space::root),
            kernel_stack: (!is_dead).then_some((VirtAddr(stack.bottom), VirtAddr(stack.top))),
            frames: process.space.as_ref().map_or(0, super::Space::frames),
            ticks: process.ticks,
            rip: VirtAddr(frame.rip),
            rsp: VirtAddr(frame.rsp),
        })
    }

    fn registers(&mut self, pid: Pid) -> Option<Registers> {
        let mut table = table();
        let process = table.get(pid)?;
        let root = process.space.as_ref()?.root();
        let frame = saved_frame(process);
        let (fs_base, gs_base) = process.user.bases();
        let [ds, es, fs, gs] = process.user.selectors();
        Some(Registers {
            ds,
            es,
            fs,
            gs,
            fs_base,
            gs_base,
            cr3: root.0,
            ..frame.registers(snapshot::registers())
        })
    }

    fn kill(&mut self, pid: Pid) -> Result<(), ProcessError> {
        match ask(Request::Kill(pid)) {
            Some(Answer::Done(result)) => result,
            _ => Err(not_now()),
        }
    }

    fn take_output(&mut self, pid: Pid, into: &mut [u8]) -> usize {
        let mut table = table();
        let Some(process) = table.get(pid) else {
            return 0;
        };
        let count = process.output.len().min(into.len());
        for (to, from) in into.iter_mut().zip(process.output.drain(..count)) {
            *to = from;
        }
        if count > 0 && process.state == State::Writing {
            process.state = State::Ready;
        }
        count
    }

    fn peek_output(&mut self, pid: Pid, skip: usize, into: &mut [u8]) -> usize {
        let mut table = table();
        let Some(process) = table.get(pid) else {
            return 0;
        };
        let waiting = process.output.iter().skip(skip);
        let count = waiting.len().min(into.len());
        for (to, from) in into.iter_mut().zip(waiting) {
            *to = *from;
        }
        count
    }

    fn give_input(&mut self, pid: Pid, input: &[u8]) -> usize {
        let mut table = table();
        let Some(process) = table.get(pid) else {
            return 0;
        };
        let room = super::INPUT.saturating_sub(process.input.len());
        let taken = input.get(..input.len().min(room)).unwrap_or_default();
        process.input.extend(taken);
        wake_reader(process);
        taken.len()
    }

    fn end_input(&mut self, pid: Pid) {
        if let Some(process) = table().get(pid) {
            process.input_ended = true;
            wake_reader(process);
        }
    }

    fn reap(&mut self, pid: Pid) -> Result<Exit, ProcessError> {
        match ask(Request::Reap(pid)) {
            Some(Answer::Reaped(result)) => result,
            _ => Err(not_now()),
        }
    }

    fn run(&mut self) {
        debugger::lets_run();
        let _ = cpu::interrupts_off();
        if debugger::give_turns() || debugger::is_stopped() {
            cpu::interrupts_on();
        } else {
            cpu::sleep_until_interrupt();
        }
    }
}

impl Switches for LiveProcesses {
    fn need(&mut self, pid: Pid, index: usize) -> Option<Need> {
        needs::need(pid, index)
    }

    fn rsp0(&mut self, pid: Pid) -> Option<Rsp0> {
        needs::rsp0(pid)
    }

    fn spoil(&mut self, pid: Pid, what: Spoil) -> Result<(), ProcessError> {
        cpu::without_interrupts(|| spoil::spoil(pid, what))
    }

    fn release(&mut self, pid: Pid) {
        spoil::release(pid);
    }

    fn expect(&mut self, raised: Option<Raised>) {
        crate::fault::expect(raised);
    }
}

/// Why the kernel's own thread has not done it.
fn not_now() -> ProcessError {
    match debugger::is_dead() {
        true => ProcessError::Refused("the kernel has died; `reboot` begins again"),
        false => ProcessError::Stopped,
    }
}

fn wake_reader(process: &mut Process) {
    if process.state == State::Reading {
        process.state = State::Ready;
    }
}

/// The registers a process entered the kernel with: its trap frame is always the first thing on
/// its kernel stack, but that of a stop is elsewhere.
pub(super) fn saved_frame(process: &Process) -> TrapFrame {
    if let Some(frame) = debugger::stopped_in_ring_3(process.pid) {
        return frame;
    }
    let Some(root) = master::root() else {
        return TrapFrame::default();
    };
    let mut bytes = [0; TrapFrame::BYTES];
    let start = process.stack.top - TrapFrame::BYTES as u64;
    for (index, word) in (0u64..).zip(bytes.as_chunks_mut::<8>().0) {
        let mut read = [0; 8];
        let va = VirtAddr(start + index * 8);
        if machine::read_virt(&mut LiveMemory, &target::paging(), root, va, &mut read).is_ok() {
            *word = read;
        }
    }
    TrapFrame::from_bytes(&bytes).unwrap_or_default()
}
