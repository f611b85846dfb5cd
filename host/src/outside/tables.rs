//! What the tables of a process take.

use std::collections::HashSet;

use machine::{Kind, Level, PhysAddr, PhysMemory as _};

use super::Outside;

/// More tables than any process has.
const MOST: usize = 1 << 16;

impl Outside {
    /// How many frames a space has below the kernel's half: the root, tables and pages, each entry
    /// that leads to one counted, as the kernel counts them. Broken tables that lead back to
    /// themselves are looked into once.
    pub(super) fn frames_of(&self, root: PhysAddr) -> u64 {
        let paging = self.found.paging;
        let mut memory = self.memory.borrow_mut();
        let mut seen = HashSet::new();
        let mut count = 1;
        let mut left = vec![(paging.root(root), paging.top())];
        while let Some((table, level)) = left.pop() {
            // Of tables that are no tables nothing can be counted.
            if seen.len() > MOST {
                break;
            }
            if !seen.insert((table, level)) {
                continue;
            }
            // The upper half of the top belongs to the kernel.
            let slots = if level == paging.top() { 256 } else { 512 };
            for slot in 0..slots {
                let at = PhysAddr(table.0.wrapping_add(slot * 8));
                let Ok(raw) = memory.read_u64(at) else { break };
                match paging.decode(raw, level).kind {
                    Kind::Table { at } => {
                        count += 1;
                        if let Some(next) = level.next() {
                            left.push((at, next));
                        }
                    }
                    Kind::Page { .. } if level == Level::Pt => count += 1,
                    _ => {}
                }
            }
        }
        count
    }
}
