//! Processes: what runs in ring 3, where each one is, and how it ended.

use core::fmt;

use heapless::String;
use machine::{PhysAddr, Registers, VirtAddr, bits, vectors};

/// The number of a process. 0 is the kernel itself, which is in no list; the others count from
/// 1, and none is given twice.
pub type Pid = u32;

/// The name of a process: that of its program, cut off where it is longer.
pub type ProcessName = String<32>;

/// Access to processes.
///
/// Nothing here waits, except [`run`](Processes::run). Between two calls of `run` (and of the
/// terminal's `key`, `poll` and `interrupted`) no process runs, so answers belong together.
pub trait Processes {
    /// The program with this index, in the order they are listed; `None` past the last one.
    fn program(&mut self, index: usize) -> Option<Program<'_>>;

    /// Starts a program. `arguments` follow its name, which becomes `argv[0]`.
    ///
    /// The process is ready, but has not run yet. Its parent is the kernel: it stays, dead,
    /// until [`reap`](Processes::reap).
    ///
    /// # Errors
    ///
    /// No such program, or not the means for another process; then nothing has changed.
    fn spawn(&mut self, program: &str, arguments: &[&str]) -> Result<Pid, ProcessError>;

    /// Changes how a process that has not run yet enters ring 3.
    ///
    /// # Errors
    ///
    /// It has run, or is none, or this target cannot.
    fn change_start(&mut self, pid: Pid, start: Start) -> Result<(), ProcessError> {
        let _ = (pid, start);
        Err(ProcessError::Refused(
            "this target cannot change how a process starts",
        ))
    }

    /// The process with the lowest pid above `after`, of all that are alive or dead but not
    /// reaped; pid 0 is not among them.
    fn next(&mut self, after: Option<Pid>) -> Option<Pid>;

    /// What is known about a process, dead ones included.
    fn info(&mut self, pid: Pid) -> Option<ProcessInfo>;

    /// The registers of a process that is alive, as they were saved when it last entered the
    /// kernel; control registers and descriptor tables as they are while it runs.
    fn registers(&mut self, pid: Pid) -> Option<Registers>;

    /// Ends a process. It stays, dead, until its parent or [`reap`](Processes::reap) takes
    /// its exit.
    ///
    /// # Errors
    ///
    /// No such process, or it is dead already.
    fn kill(&mut self, pid: Pid) -> Result<(), ProcessError>;

    /// Takes what a process has written and nobody has taken, into `into`, the oldest bytes
    /// first; how many there were. Dead ones still have theirs. 0 for an unknown pid.
    fn take_output(&mut self, pid: Pid, into: &mut [u8]) -> usize;

    /// What [`take_output`](Processes::take_output) would take after skipping so many bytes,
    /// left where it is; how many bytes there were. 0 past the end and for an unknown pid.
    fn peek_output(&mut self, pid: Pid, skip: usize, into: &mut [u8]) -> usize;

    /// Gives a process input; how many bytes were taken. The rest has no room now.
    fn give_input(&mut self, pid: Pid, input: &[u8]) -> usize;

    /// Lets a process read the end of its input once it has read all that was given.
    fn end_input(&mut self, pid: Pid);

    /// Takes how a dead process ended and forgets it, with the output nobody has taken.
    ///
    /// # Errors
    ///
    /// No such process, or it is alive.
    fn reap(&mut self, pid: Pid) -> Result<Exit, ProcessError>;

    /// Lets every process that can run do so for a round, or sleeps until the next interrupt
    /// if none can.
    fn run(&mut self);
}

/// How a process enters ring 3, where that is not as usual.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Start {
    /// The words of the frame that IRETQ takes.
    pub cs: Option<u64>,
    /// The same.
    pub ss: Option<u64>,
    /// The same.
    pub rip: Option<u64>,
    /// The same.
    pub rsp: Option<u64>,
    /// The same.
    pub rflags: Option<u64>,
    /// The kernel does not look at the frame; the CPU will.
    pub unchecked: bool,
    /// A breakpoint on the program's first instruction.
    pub breakpoint: bool,
}

/// A program that can be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Program<'a> {
    /// What [`Processes::spawn`] takes.
    pub name: &'a str,
    /// The size of its file.
    pub bytes: u64,
}

/// What is known about a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessInfo {
    /// Its number.
    pub pid: Pid,
    /// Who started it; 0 is the kernel.
    pub parent: Pid,
    /// The name of its program.
    pub name: ProcessName,
    /// What it is doing.
    pub state: ProcessState,
    /// Its PML4; 0 when it is dead.
    pub root: PhysAddr,
    /// Its kernel stack: the lowest byte, and the address just above the highest. `None` when
    /// it is dead.
    pub kernel_stack: Option<(VirtAddr, VirtAddr)>,
    /// Physical frames that it has, tables included; 0 when it is dead.
    pub frames: u64,
    /// Timer interrupts that found it running.
    pub ticks: u64,
    /// Where in ring 3 it goes on, or where it died.
    pub rip: VirtAddr,
    /// Its stack pointer in ring 3.
    pub rsp: VirtAddr,
}

/// What a process is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessState {
    /// The processor is in it. Who looks from inside the kernel never meets this.
    Running,
    /// It could run.
    Ready,
    /// Until a time has come.
    Sleeping,
    /// For a child to end.
    Waiting,
    /// For input.
    Reading,
    /// For somebody to take its output.
    BlockedOnOutput,
    /// It is no more, but its exit has not been taken.
    Dead(Exit),
}

impl ProcessState {
    /// The words for it, of letters and hyphens only.
    pub fn name(self) -> &'static str {
        match self {
            ProcessState::Running => "running",
            ProcessState::Ready => "ready",
            ProcessState::Sleeping => "sleeping",
            ProcessState::Waiting => "waiting",
            ProcessState::Reading => "reading",
            ProcessState::BlockedOnOutput => "blocked",
            ProcessState::Dead(_) => "dead",
        }
    }

    /// How it ended, of a dead one.
    pub fn exit(self) -> Option<Exit> {
        match self {
            ProcessState::Dead(exit) => Some(exit),
            _ => None,
        }
    }
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this code.
    Code(u8),
    /// Somebody killed it.
    Killed,
    /// It faulted.
    Fault {
        /// The exception.
        vector: u8,
        /// What the CPU pushed, or 0 where it pushes none.
        error: u64,
        /// CR2, of a page fault.
        address: Option<VirtAddr>,
        /// The instruction, as the CPU pushed it.
        rip: VirtAddr,
    },
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Exit::Code(code) => write!(f, "exited with code {code}"),
            Exit::Killed => write!(f, "was killed"),
            Exit::Fault {
                vector,
                error,
                address,
                rip,
            } => {
                write!(f, "died: {}", vectors::name(vector))?;
                if vector >= 32 {
                    write!(f, " {vector:#x}")?;
                }
                if let Some(address) = address {
                    write!(f, " at {address}")?;
                }
                if vectors::has_error_code(vector) {
                    write!(f, ", error code {error:#x}")?;
                }
                let names = bits::PAGE_FAULT.names(error);
                if vector == PAGE_FAULT && error != 0 {
                    write!(f, " ({names})")?;
                }
                write!(f, ", rip {rip}")
            }
        }
    }
}

const PAGE_FAULT: u8 = 14;

/// Why something could not be done with a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessError {
    /// No program has this name.
    NoSuchProgram,
    /// No process has this pid.
    NoSuchProcess,
    /// It is dead.
    Dead,
    /// It is alive.
    Alive,
    /// The file cannot be started, and why: `it is not an ELF file`.
    NotAProgram(&'static str),
    /// Not enough free frames.
    NoMemory,
    /// There are as many processes as there can be.
    TooMany,
    /// Everything is stopped, or was stopped before it was done.
    Stopped,
    /// Anything else.
    Refused(&'static str),
}

impl fmt::Display for ProcessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProcessError::NoSuchProgram => f.write_str("there is no such program"),
            ProcessError::NoSuchProcess => f.write_str("there is no such process"),
            ProcessError::Dead => f.write_str("the process is dead"),
            ProcessError::Alive => f.write_str("the process is alive"),
            ProcessError::NotAProgram(why) => write!(f, "the file cannot be started: {why}"),
            ProcessError::NoMemory => f.write_str("not enough free frames"),
            ProcessError::TooMany => f.write_str("there are as many processes as there can be"),
            ProcessError::Stopped => {
                f.write_str("everything is stopped; `continue` or `abort` first")
            }
            ProcessError::Refused(why) => f.write_str(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exit_says_what_the_cpu_said() {
        let fault = |vector, error, address: Option<u64>| Exit::Fault {
            vector,
            error,
            address: address.map(VirtAddr),
            rip: VirtAddr(0x40_0123),
        };
        for (exit, text) in [
            (Exit::Code(7), "exited with code 7"),
            (Exit::Killed, "was killed"),
            (
                fault(14, 6, Some(0x10)),
                "died: #PF page fault at 0x0000_0000_0000_0010, error code 0x6 (W/R U/S), \
                 rip 0x0000_0000_0040_0123",
            ),
            (
                fault(14, 0, Some(0x10)),
                "died: #PF page fault at 0x0000_0000_0000_0010, error code 0x0, \
                 rip 0x0000_0000_0040_0123",
            ),
            (
                fault(13, 0x102, None),
                "died: #GP general protection, error code 0x102, rip 0x0000_0000_0040_0123",
            ),
            (
                fault(6, 0, None),
                "died: #UD invalid opcode, rip 0x0000_0000_0040_0123",
            ),
            (
                fault(0x81, 0, None),
                "died: interrupt 0x81, rip 0x0000_0000_0040_0123",
            ),
        ] {
            assert_eq!(exit.to_string(), text);
        }
    }
}
