//! Stacks, from outside.

use exported::{IST_NAMES, Places, Stack, StackSlot, State};
use machine::{End, PhysAddr, PhysMemory as _, VirtAddr};
use shell::{Pid, Place, StackInfo, StackKind, StackPlace, StackState, Stacks};

use super::Outside;

const PAGE: u64 = 4096;

impl Outside {
    /// How many bytes from `top` down to the lowest one that is not `unused`; pages that are not
    /// mapped count as unused.
    fn used(&self, root: PhysAddr, stack: Stack, unused: u8) -> Option<u64> {
        let paging = self.found.paging;
        let pattern = u64::from_ne_bytes([unused; 8]);
        let mut memory = self.memory.borrow_mut();
        for page in (stack.bottom..stack.top).step_by(PAGE as usize) {
            let walk = machine::walk(&mut *memory, &paging, root, VirtAddr(page));
            let End::Mapped { at, .. } = walk.end() else {
                continue;
            };
            for offset in (0..PAGE).step_by(8) {
                let word = memory.read_u64(PhysAddr(at.0 + offset)).ok()?;
                if word != pattern {
                    return Some(stack.top - (page + offset));
                }
            }
        }
        Some(0)
    }

    fn kernel_places(&self) -> Places {
        self.found.header.kernel_stacks
    }

    /// Whether a place for a kernel stack is taken; `None` if it never was.
    fn slot(&self, number: u64) -> Option<StackSlot> {
        let slots = self.found.header.slots;
        if number >= self.slots_end.min(slots.count) {
            return None;
        }
        StackSlot::from_number(self.record(slots.at.wrapping_add(number))?)
    }

    /// The process that has a kernel stack, dead or alive.
    fn owner_of(&self, stack: Stack) -> Option<Pid> {
        let mut all = self.processes.iter();
        let (_, owner) = all.find(|(_, process)| process.stack == stack)?;
        Some(owner.pid)
    }

    /// Which stack's place an address is in.
    pub(super) fn stack_at(&self, va: VirtAddr) -> Option<StackPlace> {
        if let Some((number, is_guard)) = self.kernel_places().find(va.0) {
            let slot = self.slot(number).unwrap_or(StackSlot::Free);
            let stack = self.kernel_places().stack(number);
            let owner = stack.filter(|_| slot == StackSlot::Live);
            return Some(StackPlace {
                kind: StackKind::Kernel,
                number,
                is_guard,
                state: slot.state(),
                owner: owner.and_then(|stack| self.owner_of(stack)),
            });
        }
        let (index, is_guard) = self.found.header.ist_stacks.find(va.0)?;
        Some(StackPlace::ist(index, is_guard))
    }

    /// What there should be at an address.
    pub(super) fn place_of(&self, va: VirtAddr) -> Place {
        if let Some(stack) = self.stack_at(va) {
            return Place::Stack(stack);
        }
        let page = va.0 & !(PAGE - 1);
        let mut held = self.regions.iter().zip(&self.holds);
        let found =
            held.find(|(region, _)| region.first.0 <= page | (PAGE - 1) && page <= region.last.0);
        match found {
            Some((_, Some(holds))) => holds.place(va, self.found.header.physmap),
            _ => Place::Nothing,
        }
    }

    fn kernel_info(
        &self,
        name: &'static str,
        stack: Stack,
        kind: StackKind,
        state: StackState,
    ) -> StackInfo {
        let unused = (self.found.header.unused & 0xff) as u8;
        let root = self.found.master;
        StackInfo {
            name,
            owner: match kind {
                StackKind::Kernel => self.owner_of(stack),
                _ => None,
            },
            bottom: VirtAddr(stack.bottom),
            top: VirtAddr(stack.top),
            kind,
            state,
            root,
            high_water: match state {
                StackState::Live => self.used(root, stack, unused),
                _ => None,
            },
        }
    }
}

impl Stacks for Outside {
    fn stack(&mut self, index: usize) -> Option<StackInfo> {
        if let Some(name) = IST_NAMES.get(index) {
            let stack = self.found.header.ist_stacks.stack(index as u64)?;
            return Some(self.kernel_info(name, stack, StackKind::Ist, StackState::Live));
        }
        let index = (index - IST_NAMES.len()) as u64;
        let end = self.slots_end.min(self.found.header.slots.count);
        if index < end {
            let stack = self.kernel_places().stack(index)?;
            let state = self.slot(index).unwrap_or(StackSlot::Free).state();
            let name = if index == 0 { "shell" } else { "" };
            return Some(self.kernel_info(name, stack, StackKind::Kernel, state));
        }
        let index = usize::try_from(index - end).ok()?;
        let all = self.processes.iter();
        let mut alive = all.filter(|(_, process)| !matches!(process.state, State::Dead(_)));
        let (_, process) = alive.nth(index)?;
        let stack = self.found.header.user_stack;
        let root = PhysAddr(process.root);
        Some(StackInfo {
            name: "",
            owner: Some(process.pid),
            bottom: VirtAddr(stack.bottom),
            top: VirtAddr(stack.top),
            kind: StackKind::User,
            state: StackState::Live,
            root,
            high_water: self.used(root, stack, 0),
        })
    }
}
