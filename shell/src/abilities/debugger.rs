//! Stopping: at a breakpoint, after one instruction, because somebody asked; and going on.

use core::fmt;

use machine::{PhysAddr, Registers, VirtAddr, vectors};

use super::Pid;
use crate::backtrace::Entry;

/// Access to whoever can stop the machine that is looked at, and let it go on.
///
/// While it is stopped nothing of it runs, and nothing can be asked of it that would need to:
/// [`Processes`](super::Processes) then refuses what acts.
pub trait Debugger {
    /// Where everything stands; `None` while nothing is stopped.
    fn stop(&mut self) -> Option<Stop>;

    /// Goes on where it was stopped, for so long.
    ///
    /// # Errors
    ///
    /// Nothing is stopped.
    fn go(&mut self, how: Go) -> Result<Went, DebugError>;

    /// Gives up the process that the stop is about: it ends, or goes back among those that wait
    /// for the processor, without having run on in ring 3.
    ///
    /// # Errors
    ///
    /// Nothing is stopped.
    fn abort(&mut self, pid: Pid, ends: bool) -> Result<Went, DebugError>;

    /// Lets this process have the next turn.
    ///
    /// # Errors
    ///
    /// It cannot run, or something is stopped.
    fn turn(&mut self, pid: Pid) -> Result<Went, DebugError>;

    /// Changes a register of the stopped thread; what it was.
    ///
    /// # Errors
    ///
    /// Nothing is stopped, or the register is none of those that can be changed.
    fn set_register(&mut self, name: &str, value: u64) -> Result<u64, DebugError>;

    /// Changes memory, as the tables at `root` map it, whatever rights they give.
    ///
    /// # Errors
    ///
    /// Some of it is not mapped, or is no memory that can be changed. Then nothing is changed.
    fn write(&mut self, root: PhysAddr, at: VirtAddr, bytes: &[u8]) -> Result<(), DebugError>;

    /// What debug register `slot` (0 to 3) watches.
    fn watched(&mut self, slot: usize) -> Option<Watched>;

    /// Has it watch something else, or nothing.
    ///
    /// # Errors
    ///
    /// It cannot be watched.
    fn watch(&mut self, slot: usize, watched: Option<Watched>) -> Result<(), DebugError>;

    /// The virtual address at which the kernel changes this physical word.
    fn written_at(&mut self, at: PhysAddr) -> Option<VirtAddr>;

    /// For which process this moment is stopped at: 0 for any; `None` if it is not.
    fn armed(&mut self, moment: Moment) -> Option<Pid>;

    /// Stops whenever this is about to happen to this process, or to any (0), or no more.
    fn arm(&mut self, moment: Moment, whose: Option<Pid>);
}

/// How long to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Go {
    /// For one instruction.
    Step,
    /// Until something stops it.
    On,
}

/// How going on ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Went {
    /// It is stopped again.
    Stopped,
    /// What it was about when it was stopped is done, and it waits.
    Through,
    /// The same, and this program was started.
    Started(Pid),
}

/// Where everything stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stop {
    /// Counts stops.
    pub number: u64,
    /// Why.
    pub reason: StopReason,
    /// The process that ran; 0 for the kernel's own thread.
    pub pid: Pid,
    /// The registers of the thread.
    pub registers: Registers,
    /// Where the thread that was let go then began, if it was let go from a stop.
    pub before: Option<Before>,
}

/// Where a stop began: what it is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Before {
    /// The number of that stop.
    pub number: u64,
    /// The instruction.
    pub rip: VirtAddr,
    /// The code segment.
    pub cs: u16,
    /// The root.
    pub cr3: u64,
}

/// Why it stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// One instruction was executed.
    Step,
    /// Debug registers, a bit each.
    Breakpoint {
        /// Bit *n* for DR*n*.
        slots: u8,
    },
    /// Something is about to happen.
    Moment {
        /// What.
        moment: Moment,
        /// See [`Moment`].
        a: u64,
        /// The same.
        b: u64,
    },
    /// Somebody asked at a console.
    BreakIn,
    /// A non-maskable interrupt.
    Nmi,
    /// The kernel faulted, and cannot go on.
    Fault {
        /// The exception.
        vector: u8,
    },
    /// The kernel panicked, and cannot go on.
    Panic,
    /// The CPU would not go on with these registers.
    Refused {
        /// The exception.
        vector: u8,
        /// Its error code.
        error: u64,
    },
}

macro_rules! moments {
    ($($(#[$doc:meta])* $moment:ident = $name:literal,)*) => {
        /// Something that can be stopped at.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Moment {
            $($(#[$doc])* $moment,)*
        }

        impl Moment {
            /// All of them.
            pub const ALL: &'static [Moment] = &[$(Moment::$moment,)*];

            /// One word for it.
            pub fn name(self) -> &'static str {
                match self {
                    $(Moment::$moment => $name,)*
                }
            }
        }
    };
}

moments! {
    /// CR3 is about to be loaded: a = new, b = old.
    Cr3 = "cr3",
    /// The kernel is about to return to ring 3: a = RIP, b = RSP of the frame.
    Iret = "iret",
    /// The ring has changed: on the way in a = vector, b = RIP; on the way out as for `Iret`.
    Cpl = "cpl",
    /// A system call has entered: a = its vector, b = RIP behind it.
    Syscall = "syscall",
    /// An exception in ring 3 has entered: a = its vector, b = RIP.
    Fault = "fault",
    /// A process is about to end: a = its status word.
    Exit = "exit",
    /// The context of a thread is about to be saved to leave it: a = the pid that comes.
    Save = "save-context",
    /// TSS.RSP0 is about to be set: a = new, b = old.
    Rsp0 = "set-rsp0",
    /// The stack is about to be switched: a = new RSP.
    Switch = "switch-stack",
    /// The frame for IRETQ is about to be finished: a = its address.
    Frame = "build-iret-frame",
}

impl Moment {
    /// How many of them, from the first, a person can choose.
    pub(crate) const CHOSEN: usize = 6;

    /// The one with this number: `moment as u8` turned round.
    pub fn from_number(number: u8) -> Option<Moment> {
        Moment::ALL.get(usize::from(number)).copied()
    }
}

/// What a debug register is set to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watched {
    /// The first byte.
    pub at: VirtAddr,
    /// How many: 1, 2, 4 or 8.
    pub bytes: u8,
    /// What stops.
    pub kind: WatchKind,
}

/// What is done with what is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchKind {
    /// The instruction is about to be executed.
    Execute,
    /// It was written to.
    Write,
    /// It was read or written to.
    Access,
}

/// Why something could not be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DebugError {
    /// Nothing is stopped.
    NotStopped,
    /// Something is stopped, and this needs it to run.
    Stopped,
    /// The kernel has died, and nothing of it can go on.
    Dead,
    /// All debug registers are in use.
    NoneFree,
    /// This address is not mapped, or is no memory.
    NoMemory(VirtAddr),
    /// Anything else.
    Refused(&'static str),
}

impl fmt::Display for DebugError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DebugError::NotStopped => f.write_str("nothing is stopped"),
            DebugError::Stopped => {
                f.write_str("everything is stopped; `continue` or `abort` first")
            }
            DebugError::Dead => f.write_str(
                "the kernel has died: nothing can go on; `fault` says of what, `reboot` begins again",
            ),
            DebugError::NoneFree => {
                f.write_str("all four debug registers are in use; `breakpoints` lists them")
            }
            DebugError::NoMemory(at) => write!(f, "no memory at {at}; nothing was changed"),
            DebugError::Refused(why) => f.write_str(why),
        }
    }
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            StopReason::Step => f.write_str("step"),
            StopReason::Breakpoint { slots } => {
                f.write_str("breakpoint")?;
                for slot in 0..4 {
                    if slots & (1 << slot) != 0 {
                        write!(f, " {slot}")?;
                    }
                }
                Ok(())
            }
            StopReason::Moment { moment, a, b } => {
                let (at, to) = (VirtAddr(a), VirtAddr(b));
                match moment {
                    Moment::Cr3 => {
                        write!(f, "about to load CR3: {} -> {}", PhysAddr(b), PhysAddr(a))
                    }
                    Moment::Iret => write!(f, "about to return to ring 3 at {at}, rsp {to}"),
                    Moment::Cpl if a <= super::EventKind::BY_SYSCALL => {
                        write!(f, "ring 3 left at {to} by {}", by(a))
                    }
                    Moment::Cpl => write!(f, "about to enter ring 3 at {at}"),
                    Moment::Syscall => write!(f, "system call by {}, back to {to}", by(a)),
                    Moment::Fault => write!(f, "{} in ring 3 at {to}", by(a)),
                    Moment::Exit => write!(f, "about to end, status {a:#x}"),
                    Moment::Save => write!(f, "about to switch to pid {a}"),
                    Moment::Rsp0 => write!(f, "about to set RSP0: {to} -> {at}"),
                    Moment::Switch => write!(f, "about to switch stacks: rsp {at}"),
                    Moment::Frame => write!(f, "about to finish the frame for IRETQ at {at}"),
                }
            }
            StopReason::BreakIn => f.write_str("break-in"),
            StopReason::Nmi => f.write_str("NMI"),
            StopReason::Fault { vector } => {
                write!(f, "the kernel died of {}", vectors::name(vector))
            }
            StopReason::Panic => f.write_str("the kernel died of a panic"),
            StopReason::Refused { vector, error } => write!(
                f,
                "the CPU refused these registers: {}, error code {error:#x}",
                vectors::name(vector)
            ),
        }
    }
}

/// By what ring 3 was left.
fn by(vector: u64) -> Entry {
    Entry(u16::try_from(vector).unwrap_or(u16::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_found_by_its_number() {
        for (number, moment) in (0_u8..).zip(Moment::ALL) {
            assert_eq!(*moment as u8, number);
            assert_eq!(Moment::from_number(number), Some(*moment));
        }
        let count = u8::try_from(Moment::ALL.len()).expect("they are few");
        assert_eq!(Moment::from_number(count), None);
    }

    #[test]
    fn any_reason_makes_one_line() {
        for moment in Moment::ALL {
            for value in [0, 0x80, 0x100, 1 << 40, u64::MAX] {
                let reason = StopReason::Moment {
                    moment: *moment,
                    a: value,
                    b: value,
                };
                assert!(!reason.to_string().contains('\n'));
            }
        }
        assert_eq!(
            StopReason::Breakpoint { slots: 0b101 }.to_string(),
            "breakpoint 0 2"
        );
    }
}
