//! A CPU that does what the architecture says, but for the lies a test wants of it.

use machine::{Access, Controls, Level, PageSize, PhysAddr, Verdict, VirtAddr, judge, walk};

use crate::{Attempt, AttemptError, Attempts, Bench, Chain, Outcome};

/// What an attempt becomes.
pub(crate) type Lie = fn(Access, Controls, Outcome) -> Outcome;

/// The way to make accesses that a test machine has.
#[derive(Clone)]
pub(crate) struct FakeCpu {
    pub(crate) lie: Lie,
    /// Refuses to begin.
    pub(crate) refuses: bool,
    /// Bits that get lost on the way to an entry.
    pub(crate) lost: u64,
    /// How often attempts were begun, and ended.
    pub(crate) begun: u32,
    pub(crate) ended: u32,
    pub(crate) made: u64,
}

impl FakeCpu {
    pub(crate) fn honest() -> Self {
        FakeCpu {
            lie: |_, _, outcome| outcome,
            refuses: false,
            lost: 0,
            begun: 0,
            ended: 0,
            made: 0,
        }
    }
}

const BENCH: Bench = Bench {
    root: PhysAddr(0xa0_0000),
    va: VirtAddr(0x80_0000_0000),
    smep: true,
    smap: true,
};
const INSTRUCTION: VirtAddr = VirtAddr(0x1234);

impl Attempts for super::Machine {
    fn begin(&mut self) -> Result<Bench, AttemptError> {
        let cpu = self.attempts.as_mut().expect("only if there is one");
        if cpu.refuses {
            return Err(AttemptError::NoMemory);
        }
        cpu.begun += 1;
        self.memory.add_ram(BENCH.root, 0x5000);
        Ok(BENCH)
    }

    fn attempt(
        &mut self,
        chain: &Chain,
        access: Access,
        controls: Controls,
    ) -> Result<Attempt, AttemptError> {
        let cpu = self.attempts.as_mut().expect("only if there is one");
        cpu.made += 1;
        let levels = [Level::Pml4, Level::Pdpt, Level::Pd, Level::Pt];
        for ((table, level), bits) in (0..).zip(levels).zip(chain.entries()) {
            let next = match level == chain.size().level() && level != PageSize::Size4K.level() {
                true => 0,
                false => BENCH.root.0 + (table + 1) * 0x1000,
            };
            let at = BENCH.root.0 + table * 0x1000 + level.index(BENCH.va) as u64 * 8;
            self.memory
                .write_u64(PhysAddr(at), (bits & !cpu.lost) | next);
        }
        let paging = controls.paging(self.memory.paging);
        let walk = walk(&mut self.memory, &paging, BENCH.root, BENCH.va);
        let outcome = match judge(&walk, access, controls) {
            Verdict::PageFault { code, .. } => Outcome::Trap {
                vector: 14,
                code,
                cr2: BENCH.va,
                rip: INSTRUCTION,
                cs: if access.user { 0x23 } else { 8 },
            },
            _ => Outcome::Done,
        };
        Ok(Attempt {
            outcome: (cpu.lie)(access, controls, outcome),
            instruction: INSTRUCTION,
        })
    }

    fn end(&mut self) {
        let cpu = self.attempts.as_mut().expect("only if there is one");
        cpu.ended += 1;
    }
}
