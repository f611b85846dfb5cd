//! What the shell may ask about processes and stacks.

use heapless::Vec;
use machine::{PhysAddr, Registers, VirtAddr};
use shell::{
    Exit, Pid, ProcessError, ProcessInfo, ProcessState, Processes, Program, StackError, StackInfo,
    StackKind, StackState, Stacks, Start,
};

use super::spawn::{self, MOST_ARGUMENTS, STACK_BYTES, STACK_TOP};
use super::{KERNEL, NOBODY, Process, State, exit, ramdisk, run_others, table};
use crate::arch::descriptors::IST_STACKS;
use crate::arch::entry::TrapFrame;
use crate::arch::{cpu, snapshot};
use crate::memory::physmap::LiveMemory;
use crate::memory::stacks::{self, Place, Stack};
use crate::memory::{master, tables::Tables};
use crate::target;

/// The processes of this kernel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LiveProcesses;

impl Processes for LiveProcesses {
    fn program(&mut self, index: usize) -> Option<Program<'_>> {
        let file = ramdisk::files().nth(index)?;
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
        cpu::without_interrupts(|| spawn::spawn(KERNEL, program, &bytes))
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
        let frame = saved_frame(process);
        let state = match process.state {
            State::Running => ProcessState::Running,
            State::Ready => ProcessState::Ready,
            State::Sleeping(_) => ProcessState::Sleeping,
            State::Waiting => ProcessState::Waiting,
            State::Reading => ProcessState::Reading,
            State::Writing => ProcessState::BlockedOnOutput,
            State::Dead(how) => ProcessState::Dead(how),
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
            name: process.name.clone(),
            state,
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
        let low = |value: u64| (value & 0xffff) as u16;
        let now = snapshot::registers();
        Some(Registers {
            rax: frame.rax,
            rbx: frame.rbx,
            rcx: frame.rcx,
            rdx: frame.rdx,
            rsi: frame.rsi,
            rdi: frame.rdi,
            rbp: frame.rbp,
            rsp: frame.rsp,
            r8: frame.r8,
            r9: frame.r9,
            r10: frame.r10,
            r11: frame.r11,
            r12: frame.r12,
            r13: frame.r13,
            r14: frame.r14,
            r15: frame.r15,
            rip: frame.rip,
            rflags: frame.rflags,
            cs: low(frame.cs),
            ss: low(frame.ss),
            ds,
            es,
            fs,
            gs,
            fs_base,
            gs_base,
            cr3: root.0,
            ..now
        })
    }

    fn kill(&mut self, pid: Pid) -> Result<(), ProcessError> {
        cpu::without_interrupts(|| exit::kill(pid))
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
        cpu::without_interrupts(|| exit::reap(pid))
    }

    fn run(&mut self) {
        let _ = cpu::interrupts_off();
        if run_others() {
            cpu::interrupts_on();
        } else {
            cpu::sleep_until_interrupt();
        }
    }
}

fn wake_reader(process: &mut Process) {
    if process.state == State::Reading {
        process.state = State::Ready;
    }
}

/// The registers a process entered the kernel with: its trap frame is always the first thing on
/// its kernel stack.
fn saved_frame(process: &Process) -> TrapFrame {
    const WORDS: usize = size_of::<TrapFrame>() / 8;
    let mut words = [0u64; WORDS];
    let Some(root) = master::root() else {
        return TrapFrame::default();
    };
    let start = process.stack.top - size_of::<TrapFrame>() as u64;
    for (index, word) in (0u64..).zip(&mut words) {
        let mut bytes = [0; 8];
        let va = VirtAddr(start + index * 8);
        if machine::read_virt(&mut LiveMemory, &target::paging(), root, va, &mut bytes).is_ok() {
            *word = u64::from_le_bytes(bytes);
        }
    }
    TrapFrame::from_words(words)
}

impl Stacks for LiveProcesses {
    fn stack(&mut self, index: usize) -> Option<StackInfo> {
        let root = master::root()?;
        if let Some(&(_, _, name)) = IST_STACKS.get(index) {
            let stack = stacks::ist_stack(index as u64);
            return Some(info(
                name,
                None,
                stack,
                StackKind::Ist,
                StackState::Live,
                root,
            ));
        }
        let index = index - IST_STACKS.len();
        if let Some((stack, place)) = stacks::place(index) {
            let state = match place {
                Place::Live => StackState::Live,
                Place::Free => StackState::Free,
                Place::Reserved => StackState::Reserved,
            };
            let owner = table()
                .all()
                .find(|p| p.stack == stack)
                .map(|process| process.pid);
            let name = if index == 0 { "shell" } else { "" };
            return Some(info(name, owner, stack, StackKind::Kernel, state, root));
        }
        let index = index - stacks::places();
        let mut table = table();
        let process = table
            .all()
            .filter(|process| process.space.is_some())
            .nth(index)?;
        let root = process.space.as_ref()?.root();
        let stack = Stack {
            bottom: STACK_TOP - STACK_BYTES,
            top: STACK_TOP,
        };
        let mut user = info(
            "",
            Some(process.pid),
            stack,
            StackKind::User,
            StackState::Live,
            root,
        );
        user.high_water = stacks::used(
            &Tables::at(root, target::paging()),
            stack.bottom,
            stack.top,
            0,
        );
        Some(user)
    }

    fn reserve(&mut self, count: u64) -> Result<(), StackError> {
        stacks::reserve(count).map_err(|why| match why {
            stacks::StackError::RegionFull => StackError::TooMany,
            stacks::StackError::NoFrame | stacks::StackError::Map(_) => StackError::NoMemory,
        })
    }

    fn release(&mut self) -> u64 {
        stacks::release()
    }
}

fn info(
    name: &'static str,
    owner: Option<Pid>,
    stack: Stack,
    kind: StackKind,
    state: StackState,
    root: PhysAddr,
) -> StackInfo {
    let high_water = match (kind, state) {
        (StackKind::User, _) => None,
        (_, StackState::Live) => stacks::high_water(stack),
        _ => None,
    };
    StackInfo {
        name,
        owner,
        bottom: VirtAddr(stack.bottom),
        top: VirtAddr(stack.top),
        kind,
        state,
        root,
        high_water,
    }
}
