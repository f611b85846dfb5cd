//! Books for tests: stacks, interrupts, events.

use machine::{PhysAddr, VirtAddr};

use super::ROOT;
use crate::{
    Event, EventKind, Events, Interrupts, Lines, StackError, StackInfo, StackKind, StackState,
    Stacks,
};

/// The stacks of a test machine, and how many more there may be.
#[derive(Clone, Debug)]
pub(crate) struct StackBooks {
    pub(crate) all: Vec<StackInfo>,
}

/// A live kernel stack of one page; the machine maps it.
pub(crate) const STACK: StackInfo = StackInfo {
    name: "shell",
    owner: None,
    bottom: VirtAddr(0xffff_c900_0000_1000),
    top: VirtAddr(0xffff_c900_0000_2000),
    kind: StackKind::Kernel,
    state: StackState::Live,
    root: PhysAddr(ROOT),
    high_water: Some(1432),
};

impl StackBooks {
    pub(crate) fn new() -> Self {
        let at = |bottom: u64| StackInfo {
            name: "",
            bottom: VirtAddr(bottom),
            top: VirtAddr(bottom + 0x1000),
            high_water: None,
            ..STACK
        };
        let free = StackInfo {
            state: StackState::Free,
            ..at(0xffff_c900_0000_3000)
        };
        let user = StackInfo {
            owner: Some(1),
            kind: StackKind::User,
            root: super::machine::process_root(1),
            ..at(0x60_0000)
        };
        StackBooks {
            all: vec![STACK, free, user],
        }
    }
}

impl Stacks for StackBooks {
    fn stack(&mut self, index: usize) -> Option<StackInfo> {
        self.all.get(index).copied()
    }

    fn reserve(&mut self, count: u64) -> Result<(), StackError> {
        for _ in 0..count {
            if self.all.len() == 100 {
                return Err(StackError::TooMany);
            }
            let bottom = 0xffff_c900_0000_5000 + self.all.len() as u64 * 0x2000;
            self.all.push(StackInfo {
                name: "",
                bottom: VirtAddr(bottom),
                top: VirtAddr(bottom + 0x1000),
                state: StackState::Reserved,
                high_water: None,
                ..STACK
            });
        }
        Ok(())
    }

    fn release(&mut self) -> u64 {
        let before = self.all.len();
        self.all.retain(|stack| stack.state != StackState::Reserved);
        (before - self.all.len()) as u64
    }
}

/// Interrupts that have come: the timer's and three page faults.
#[derive(Clone, Debug)]
pub(crate) struct Counted;

impl Interrupts for Counted {
    fn is_enabled(&mut self) -> bool {
        true
    }

    fn lines(&mut self) -> Lines {
        Lines {
            first_vector: 0x20,
            masked: 0xffee,
            requested: 1,
            in_service: 1 << 5,
        }
    }

    fn counter(&mut self, vector: u8) -> u64 {
        match vector {
            0x20 => 1234,
            14 => 3,
            _ => 0,
        }
    }
}

/// A ring that keeps a few events.
#[derive(Clone, Debug)]
pub(crate) struct Ring {
    pub(crate) oldest: u64,
    pub(crate) kept: Vec<Event>,
}

impl Ring {
    pub(crate) fn new() -> Self {
        let mut kept = Vec::new();
        let mut push = |kind, pid, cs, a, b| {
            let seq = 11 + kept.len() as u64;
            kept.push(Event {
                seq,
                cycles: 1000 + seq * seq,
                kind,
                pid,
                cs,
                cr3: ROOT,
                a,
                b,
            });
        };
        push(EventKind::Spawn, 0, None, 3, 0x30_3000);
        push(EventKind::Cr3Load, 3, None, ROOT, 0x30_3000);
        push(EventKind::Iretq, 3, Some(0x23), 0x40_0000, 0x7fff_fff0_0000);
        push(EventKind::TrapEntry, 3, Some(0x23), 14, 0x40_0abc);
        push(EventKind::Fault, 3, Some(0x23), 0x60e, 0x10);
        push(EventKind::Cr3Load, 4, None, 0x30_3000, 0x30_4000);
        Ring { oldest: 11, kept }
    }
}

impl Events for Ring {
    fn oldest(&mut self) -> u64 {
        self.oldest
    }

    fn newest(&mut self) -> u64 {
        10 + self.kept.len() as u64
    }

    fn get(&mut self, seq: u64) -> Option<Event> {
        let mut kept = self.kept.iter().copied();
        kept.find(|event| event.seq == seq && seq >= self.oldest)
    }

    fn cost(&mut self) -> Option<u64> {
        Some(60)
    }
}
