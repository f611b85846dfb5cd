//! What the shell may ask about stacks: those of the kernel, of the ISTs and of the processes.

use machine::{PhysAddr, VirtAddr};
use shell::{Pid, Place, StackError, StackInfo, StackKind, StackState, Stacks};

use super::spawn::{STACK_BYTES, STACK_TOP};
use super::{LiveProcesses, table};
use crate::arch::descriptors::IST_STACKS;
use crate::memory::stacks::{self, Stack};
use crate::memory::{layout, master, tables::Tables};
use crate::target;

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
            let state = place.state();
            let owner = owner(stack);
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

/// The process that has a kernel stack, dead or alive.
fn owner(stack: Stack) -> Option<Pid> {
    let mut table = table();
    let owner = table.all().find(|process| process.stack == stack);
    owner.map(|process| process.pid)
}

/// What the kernel's layout has at an address, stacks with the process they belong to.
pub(crate) fn place(va: VirtAddr) -> Place {
    match layout::place(va) {
        Place::Stack(mut place) if place.kind == StackKind::Kernel => {
            let index = usize::try_from(place.number).unwrap_or(usize::MAX);
            let stack = stacks::place(index).filter(|_| place.state == StackState::Live);
            // Whoever only asks for a name has it without the process where that cannot be known.
            let stack = stack.filter(|_| super::is_readable());
            place.owner = stack.and_then(|(stack, _)| owner(stack));
            Place::Stack(place)
        }
        place => place,
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
