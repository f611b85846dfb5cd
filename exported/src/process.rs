//! Processes.

use machine::VirtAddr;
use shell::{ProcessState, StackState};

use crate::Name;
use crate::record::{Record, records};

records! {
    /// A range of addresses: `bottom` is the lowest byte, `top` the address just above the highest.
    Stack {
        /// The lowest byte.
        bottom: u64,
        /// The address just above the highest byte.
        top: u64,
    }
}

/// A process: the part of the kernel's record that others may read, at its very beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// Who started it.
    pub parent: u32,
    /// The name of its program.
    pub name: Name,
    /// Its PML4, while it is alive.
    pub root: u64,
    /// Its kernel stack.
    pub stack: Stack,
    /// Where its kernel stack stands while it does not run.
    pub kernel_rsp: u64,
    /// The stack for entries from ring 3: the top of its kernel stack, if it was not spoiled.
    pub rsp0: u64,
    /// Timer interrupts that found it running.
    pub ticks: u64,
    /// What it is doing.
    pub state: State,
}

impl Record for Process {
    const BYTES: usize = size_of::<Process>();
    const ZERO: Self = Process {
        pid: 0,
        parent: 0,
        name: Name::ZERO,
        root: 0,
        stack: Stack::ZERO,
        kernel_rsp: 0,
        rsp0: 0,
        ticks: 0,
        state: State::Running,
    };

    fn take(from: &mut &[u8]) -> Option<Self> {
        Some(Process {
            pid: Record::take(from)?,
            parent: Record::take(from)?,
            name: Record::take(from)?,
            root: Record::take(from)?,
            stack: Record::take(from)?,
            kernel_rsp: Record::take(from)?,
            rsp0: Record::take(from)?,
            ticks: Record::take(from)?,
            state: Record::take(from)?,
        })
    }
}

impl Process {
    /// The parent of processes that nobody will wait for.
    pub const NOBODY: u32 = u32::MAX;
}

/// What a process is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, u64)]
pub enum State {
    /// In ring 3, or on its way there.
    Running,
    /// Waits for the processor.
    Ready,
    /// Until this timer tick.
    Sleeping(u64),
    /// For a child to die.
    Waiting,
    /// For a line of input.
    Reading,
    /// For room in its output.
    Writing,
    /// Over; remembered until somebody asks how it ended.
    Dead(Exit),
}

impl Record for State {
    const BYTES: usize = size_of::<State>();
    const ZERO: Self = State::Running;

    fn take(from: &mut &[u8]) -> Option<Self> {
        // The tag, then the room for the longest.
        let (mut bytes, rest) = from.split_at_checked(Self::BYTES)?;
        *from = rest;
        Some(match u64::take(&mut bytes)? {
            0 => State::Running,
            1 => State::Ready,
            2 => State::Sleeping(Record::take(&mut bytes)?),
            3 => State::Waiting,
            4 => State::Reading,
            5 => State::Writing,
            6 => State::Dead(Record::take(&mut bytes)?),
            _ => return None,
        })
    }
}

impl From<State> for ProcessState {
    fn from(state: State) -> Self {
        match state {
            State::Running => ProcessState::Running,
            State::Ready => ProcessState::Ready,
            State::Sleeping(_) => ProcessState::Sleeping,
            State::Waiting => ProcessState::Waiting,
            State::Reading => ProcessState::Reading,
            State::Writing => ProcessState::BlockedOnOutput,
            State::Dead(how) => ProcessState::Dead(how.into()),
        }
    }
}

records! {
    /// How a process ended: [`shell::Exit`] in words that all have a place.
    Exit {
        /// 0: by itself, 1: killed, 2: a fault.
        how: u64,
        /// The code, or the vector.
        number: u64,
        /// What the CPU pushed.
        error: u64,
        /// Whether the next word is an address.
        has_address: u64,
        /// CR2, of a page fault.
        address: u64,
        /// The instruction.
        rip: u64,
    }
}

impl From<shell::Exit> for Exit {
    fn from(exit: shell::Exit) -> Self {
        match exit {
            shell::Exit::Code(code) => Exit {
                number: code.into(),
                ..Exit::ZERO
            },
            shell::Exit::Killed => Exit {
                how: 1,
                ..Exit::ZERO
            },
            shell::Exit::Fault {
                vector,
                error,
                address,
                rip,
            } => Exit {
                how: 2,
                number: vector.into(),
                error,
                has_address: address.is_some().into(),
                address: address.map_or(0, |address| address.0),
                rip: rip.0,
            },
        }
    }
}

impl From<Exit> for shell::Exit {
    fn from(exit: Exit) -> Self {
        let number = (exit.number & 0xff) as u8;
        match exit.how {
            0 => shell::Exit::Code(number),
            1 => shell::Exit::Killed,
            _ => shell::Exit::Fault {
                vector: number,
                error: exit.error,
                address: (exit.has_address != 0).then_some(VirtAddr(exit.address)),
                rip: VirtAddr(exit.rip),
            },
        }
    }
}

/// Whether a place for a kernel stack is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum StackSlot {
    /// Nobody has it.
    Free = 0,
    /// There is a stack.
    Live = 1,
    /// Taken without a stack in it.
    Reserved = 2,
}

impl StackSlot {
    /// The place with this number.
    pub fn from_number(number: u8) -> Option<StackSlot> {
        match number {
            0 => Some(StackSlot::Free),
            1 => Some(StackSlot::Live),
            2 => Some(StackSlot::Reserved),
            _ => None,
        }
    }

    /// The shell's word for it.
    pub fn state(self) -> StackState {
        match self {
            StackSlot::Live => StackState::Live,
            StackSlot::Free => StackState::Free,
            StackSlot::Reserved => StackState::Reserved,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    /// What the words of a value are in memory, on a little-endian machine.
    fn bytes(words: &[u64]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    #[test]
    fn a_state_is_read_back_from_its_tag() {
        let dead = [6, 2, 14, 6, 1, 0x1000, 0x40_0000];
        let exit = shell::Exit::Fault {
            vector: 14,
            error: 6,
            address: Some(VirtAddr(0x1000)),
            rip: VirtAddr(0x40_0000),
        };
        let state = State::from_bytes(&bytes(&dead));
        assert_eq!(state, Some(State::Dead(exit.into())));
        assert_eq!(
            state.map(ProcessState::from),
            Some(ProcessState::Dead(exit))
        );
        let asleep = [2, 77, 0, 0, 0, 0, 0];
        assert_eq!(
            State::from_bytes(&bytes(&asleep)),
            Some(State::Sleeping(77))
        );
        assert_eq!(State::from_bytes(&bytes(&[7, 0, 0, 0, 0, 0, 0])), None);
    }

    #[test]
    fn nothing_lies_between_the_fields_of_a_process() {
        assert_eq!(Process::BYTES, 8 + 32 + 8 + 16 + 24 + 56);
    }
}
