//! Processes for tests: each does a step of its program whenever processes may run.

use std::collections::{BTreeMap, VecDeque};

use machine::{PhysAddr, Registers, VirtAddr};

use super::machine::process_root;
use crate::{Exit, Pid, ProcessError, ProcessInfo, ProcessState, Processes, Program};

/// What a program does next.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Write(Vec<u8>),
    /// Reads a line and greets; at the end of input goes on to the next step.
    Greet,
    Rest(u32),
    Spin(u32),
    Exit(Exit),
}

/// As much output as waits to be taken.
const ROOM: usize = 16 << 10;
/// As much input as waits to be read: little, so that a line may have to wait.
const INPUT: usize = 8;

#[derive(Clone, Debug)]
struct Process {
    parent: Pid,
    name: String,
    steps: VecDeque<Step>,
    output: VecDeque<u8>,
    input: VecDeque<u8>,
    line: Vec<u8>,
    no_more_input: bool,
    ticks: u64,
    state: ProcessState,
}

/// The processes of a test machine.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fake {
    all: BTreeMap<Pid, Process>,
    last: Pid,
    pub(crate) refuses: Option<ProcessError>,
    /// What is saved as CR3, where it is not the root.
    pub(crate) saved_cr3: Option<u64>,
}

/// What there is to start, and the size of its file.
const PROGRAMS: [(&str, u64); 9] = [
    ("echo", 1000),
    ("faulter", 2000),
    ("flood", 3000),
    ("greeter", 4000),
    ("hello", 5000),
    ("noise", 6000),
    ("seven", 7000),
    ("sleeper", 8000),
    ("spinner", 9000),
];

const FAULT: Exit = Exit::Fault {
    vector: 14,
    error: 6,
    address: Some(VirtAddr(0x10)),
    rip: VirtAddr(0x40_0abc),
};

fn steps(program: &str, arguments: &[&str]) -> Vec<Step> {
    let write = |text: &[u8]| Step::Write(text.to_vec());
    match program {
        "echo" => vec![write(format!("{}\n", arguments.join("|")).as_bytes())],
        "faulter" => vec![write(b"about to\n"), Step::Exit(FAULT)],
        "flood" => vec![write(&b"0123456789abcde\n".repeat(16)); 200],
        "greeter" => vec![write(b"name? "), Step::Greet, write(b"bye\n")],
        "hello" => vec![write(b"hello\n")],
        "noise" => {
            let torn = [
                write(b"\x1b[2J\r\x07\xc2\x9b\xff"),
                write(b"\xe5"),
                write(b"\xad"),
            ];
            let rest = [write(b"\x97\n@end 1\n"), write(b"no end\xe5\xad")];
            torn.into_iter().chain(rest).collect()
        }
        "seven" => vec![Step::Exit(Exit::Code(7))],
        "sleeper" => vec![Step::Rest(3), write(b"awake\n")],
        _ => vec![Step::Spin(200)],
    }
}

impl Fake {
    /// A process of this program, as a child of another.
    pub(crate) fn child(&mut self, program: &str, arguments: &[&str], parent: Pid) -> Pid {
        self.last += 1;
        let process = Process {
            parent,
            name: program.to_string(),
            steps: steps(program, arguments).into(),
            output: VecDeque::new(),
            input: VecDeque::new(),
            line: Vec::new(),
            no_more_input: false,
            ticks: 0,
            state: ProcessState::Ready,
        };
        self.all.insert(self.last, process);
        self.last
    }

    /// Pids go on above this one.
    pub(crate) fn count_from(&mut self, last: Pid) {
        self.last = last;
    }

    /// It has written as much as has room.
    pub(crate) fn block(&mut self, pid: Pid) {
        let process = self.all.get_mut(&pid).expect("it is there");
        process.state = ProcessState::BlockedOnOutput;
    }

    pub(crate) fn output_of(&mut self, pid: Pid, text: &[u8]) {
        self.all
            .get_mut(&pid)
            .expect("it is there")
            .output
            .extend(text);
    }
}

impl Process {
    fn step(&mut self) {
        if self.state.exit().is_some() {
            return;
        }
        self.ticks += 1;
        let Some(step) = self.steps.pop_front() else {
            self.state = ProcessState::Dead(Exit::Code(0));
            return;
        };
        self.state = ProcessState::Ready;
        match step {
            Step::Write(text) if self.output.len() + text.len() > ROOM => {
                self.state = ProcessState::BlockedOnOutput;
                self.steps.push_front(Step::Write(text));
            }
            Step::Write(text) => self.output.extend(text),
            Step::Greet => self.read(),
            Step::Rest(0) | Step::Spin(0) => {}
            Step::Rest(left) => {
                self.state = ProcessState::Sleeping;
                self.steps.push_front(Step::Rest(left - 1));
            }
            Step::Spin(left) => self.steps.push_front(Step::Spin(left - 1)),
            Step::Exit(exit) => self.state = ProcessState::Dead(exit),
        }
    }

    fn read(&mut self) {
        self.line.extend(self.input.drain(..));
        let is_whole = self.line.ends_with(b"\n");
        if is_whole || (self.no_more_input && !self.line.is_empty()) {
            let name = String::from_utf8_lossy(&self.line).trim_end().to_string();
            self.line.clear();
            self.output.extend(format!("hello {name}\n").bytes());
            self.steps.push_front(Step::Greet);
        } else if !self.no_more_input {
            self.state = ProcessState::Reading;
            self.steps.push_front(Step::Greet);
        }
    }
}

impl Processes for Fake {
    fn program(&mut self, index: usize) -> Option<Program<'_>> {
        let (name, bytes) = *PROGRAMS.get(index)?;
        Some(Program { name, bytes })
    }

    fn spawn(&mut self, program: &str, arguments: &[&str]) -> Result<Pid, ProcessError> {
        if let Some(why) = self.refuses {
            return Err(why);
        }
        if !PROGRAMS.iter().any(|(name, _)| *name == program) {
            return Err(ProcessError::NoSuchProgram);
        }
        if self.all.len() == 64 {
            return Err(ProcessError::TooMany);
        }
        Ok(self.child(program, arguments, 0))
    }

    fn next(&mut self, after: Option<Pid>) -> Option<Pid> {
        let first = after.map_or(Some(1), |after| after.checked_add(1))?;
        self.all.range(first..).next().map(|(pid, _)| *pid)
    }

    fn info(&mut self, pid: Pid) -> Option<ProcessInfo> {
        let process = self.all.get(&pid)?;
        let is_dead = process.state.exit().is_some();
        Some(ProcessInfo {
            pid,
            parent: process.parent,
            name: process.name.as_str().try_into().expect("names are short"),
            state: process.state,
            root: if is_dead {
                PhysAddr(0)
            } else {
                process_root(pid)
            },
            kernel_stack: None,
            frames: if is_dead { 0 } else { 21 },
            ticks: process.ticks,
            rip: VirtAddr(0x40_0abc),
            rsp: VirtAddr(0x7fff_ffef_ff00),
        })
    }

    fn registers(&mut self, pid: Pid) -> Option<Registers> {
        let info = self.info(pid).filter(|info| info.root.0 != 0)?;
        Some(Registers {
            rip: info.rip.0,
            rsp: info.rsp.0,
            cs: 0x23,
            cr3: self.saved_cr3.unwrap_or(info.root.0),
            ..Registers::default()
        })
    }

    fn kill(&mut self, pid: Pid) -> Result<(), ProcessError> {
        let process = self.all.get_mut(&pid).ok_or(ProcessError::NoSuchProcess)?;
        if process.state.exit().is_some() {
            return Err(ProcessError::Dead);
        }
        process.state = ProcessState::Dead(Exit::Killed);
        Ok(())
    }

    fn take_output(&mut self, pid: Pid, into: &mut [u8]) -> usize {
        let Some(process) = self.all.get_mut(&pid) else {
            return 0;
        };
        let bytes = process.output.len().min(into.len());
        for (byte, taken) in into.iter_mut().zip(process.output.drain(..bytes)) {
            *byte = taken;
        }
        bytes
    }

    fn peek_output(&mut self, pid: Pid, skip: usize, into: &mut [u8]) -> usize {
        let Some(process) = self.all.get(&pid) else {
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
        let Some(process) = self.all.get_mut(&pid) else {
            return 0;
        };
        let bytes = input.len().min(INPUT - process.input.len());
        process.input.extend(&input[..bytes]);
        bytes
    }

    fn end_input(&mut self, pid: Pid) {
        if let Some(process) = self.all.get_mut(&pid) {
            process.no_more_input = true;
        }
    }

    fn reap(&mut self, pid: Pid) -> Result<Exit, ProcessError> {
        let process = self.all.get(&pid).ok_or(ProcessError::NoSuchProcess)?;
        let exit = process.state.exit().ok_or(ProcessError::Alive)?;
        self.all.remove(&pid);
        Ok(exit)
    }

    fn run(&mut self) {
        self.all.values_mut().for_each(Process::step);
    }
}
