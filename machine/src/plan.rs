//! A change to page tables as a value: which entries to write, in which order.
//!
//! Planning reads tables and writes nothing, so a plan can be tested on any laptop, printed
//! before it happens, or thrown away. Whoever executes it writes the entries in the order
//! given: new tables are filled from the leaf upwards and linked last, so that the CPU never
//! sees a path to a half-made one.

use core::fmt;

use crate::{
    End, Entry, Kind, Level, PageSize, Paging, PhysAddr, PhysMemory, ReadError, Rights, VirtAddr,
    walk,
};

/// One entry to write.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct EntryWrite {
    /// The physical address of the entry.
    pub at: PhysAddr,
    /// The level of the table it is in.
    pub level: Level,
    /// What was there when the plan was made.
    pub old: u64,
    /// What is to be there.
    pub new: u64,
}

/// Writes in the order they must be made; at most one for each level.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Plan {
    writes: [EntryWrite; 5],
    len: usize,
    flush: Option<VirtAddr>,
}

impl Plan {
    const NOTHING: EntryWrite = EntryWrite {
        at: PhysAddr(0),
        level: Level::Pt,
        old: 0,
        new: 0,
    };

    const fn new() -> Plan {
        Plan {
            writes: [Plan::NOTHING; 5],
            len: 0,
            flush: None,
        }
    }

    fn push(&mut self, write: EntryWrite) {
        // Five levels, one write each: there is always room.
        if let Some(place) = self.writes.get_mut(self.len) {
            *place = write;
            self.len += 1;
        }
    }

    /// The page whose cached translation must be dropped once the entries are written: set
    /// when a present entry is replaced. Absent entries are never cached (SDM, "Details of
    /// TLB Use"), so filling them needs no flush.
    pub const fn flush(&self) -> Option<VirtAddr> {
        self.flush
    }

    /// The writes, first to last.
    pub fn writes(&self) -> &[EntryWrite] {
        self.writes.get(..self.len).unwrap_or_default()
    }
}

/// A page to be mapped.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Mapping {
    /// The page's first byte, aligned to its size.
    pub at: PhysAddr,
    /// Its size.
    pub size: PageSize,
    /// What it shall allow.
    pub rights: Rights,
    /// Which of the eight fields of the PAT types it: 0 is write-back from power-on on.
    pub pat_index: u8,
}

impl Mapping {
    const fn kernel(at: PhysAddr, size: PageSize, write: bool, execute: bool) -> Mapping {
        Mapping {
            at,
            size,
            rights: Rights {
                user: false,
                write,
                execute,
            },
            pat_index: 0,
        }
    }

    /// The kernel's data: writable, not executable.
    pub const fn data(at: PhysAddr, size: PageSize) -> Mapping {
        Mapping::kernel(at, size, true, false)
    }

    /// The kernel's constants: neither writable nor executable.
    pub const fn read_only(at: PhysAddr, size: PageSize) -> Mapping {
        Mapping::kernel(at, size, false, false)
    }

    /// The kernel's code: executable, not writable.
    pub const fn code(at: PhysAddr, size: PageSize) -> Mapping {
        Mapping::kernel(at, size, false, true)
    }

    /// The leaf entry: never GLOBAL. NX is left out where the CPU would call it reserved.
    pub fn entry(&self, paging: &Paging) -> u64 {
        let pat_bit = if self.size == PageSize::Size4K {
            Entry::PAT
        } else {
            Entry::PAT_HUGE
        };
        let huge = if self.size == PageSize::Size4K {
            0
        } else {
            Entry::HUGE
        };
        let bit = |set: bool, bit: u64| if set { bit } else { 0 };
        self.at.0
            | Entry::PRESENT
            | huge
            | bit(self.rights.write, Entry::WRITABLE)
            | bit(self.rights.user, Entry::USER)
            | bit(!self.rights.execute && paging.nxe, Entry::NO_EXECUTE)
            | bit(self.pat_index & 1 != 0, Entry::WRITE_THROUGH)
            | bit(self.pat_index & 2 != 0, Entry::CACHE_DISABLE)
            | bit(self.pat_index & 4 != 0, pat_bit)
    }
}

/// Where frames for new tables come from.
pub trait TableFrames {
    /// A frame of zeros that nobody else has.
    fn take(&mut self) -> Option<PhysAddr>;
    /// Takes back a frame of a plan that came to nothing.
    fn give_back(&mut self, frame: PhysAddr);
}

/// Why there is no plan. Nothing has been changed, and no frame kept.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum PlanError {
    /// The address has no place in the tables.
    NonCanonical,
    /// The virtual address, or the page's, is not aligned to the page size, or the page lies
    /// beyond the CPU's physical address width.
    Misaligned,
    /// Something is there already: this entry, at this level.
    Occupied {
        /// The level it is at.
        level: Level,
        /// The entry.
        raw: u64,
    },
    /// An upper level's entry is there but forbids what the page shall allow.
    Forbidden {
        /// The level that forbids it.
        level: Level,
        /// The entry.
        raw: u64,
    },
    /// There is no page of 4 KiB to change.
    NotMapped,
    /// An entry on the way has reserved bits set.
    Reserved {
        /// The level it is at.
        level: Level,
        /// The offending bits.
        bits: u64,
    },
    /// An entry on the way could not be read.
    Unreadable {
        /// The level it is at.
        level: Level,
        /// Why.
        why: ReadError,
    },
    /// No frame is free for a table.
    NoFrame,
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PlanError::NonCanonical => f.write_str("not a canonical address"),
            PlanError::Misaligned => f.write_str("not aligned to the page size"),
            PlanError::Occupied { level, raw } => {
                write!(f, "{} entry {raw:016x} is there already", level.name())
            }
            PlanError::Forbidden { level, raw } => {
                write!(f, "{} entry {raw:016x} forbids it", level.name())
            }
            PlanError::NotMapped => f.write_str("no 4 KiB page is mapped there"),
            PlanError::Reserved { level, bits } => {
                write!(f, "{} entry has reserved bits {bits:#x}", level.name())
            }
            PlanError::Unreadable { level, why } => {
                write!(f, "{} entry unreadable, {why}", level.name())
            }
            PlanError::NoFrame => f.write_str("no free frame for a table"),
        }
    }
}

/// Plans to map one page at `va`, with whatever tables are missing on the way.
///
/// New tables allow everything their half needs (W, and U for a user page), so that the leaf
/// decides. An entry that is present is never replaced.
///
/// # Errors
///
/// See [`PlanError`].
pub fn plan_map(
    memory: &mut dyn PhysMemory,
    paging: &Paging,
    root: PhysAddr,
    va: VirtAddr,
    mapping: Mapping,
    frames: &mut dyn TableFrames,
) -> Result<Plan, PlanError> {
    let mask = mapping.size.bytes() - 1;
    let beyond = mapping
        .at
        .0
        .checked_shr(u32::from(paging.phys_bits))
        .unwrap_or(0)
        != 0;
    if va.0 & mask != 0 || mapping.at.0 & mask != 0 || beyond {
        return Err(PlanError::Misaligned);
    }
    let leaf = (mapping.size.level(), mapping.entry(paging));
    plan(
        memory,
        paging,
        root,
        va,
        mapping.rights,
        leaf.0,
        Some(leaf.1),
        frames,
    )
}

/// Plans the tables on the way to `va` down to one of level `down_to`, whose entries stay
/// absent: what is mapped there later changes leaves only.
///
/// # Errors
///
/// See [`PlanError`].
pub fn plan_tables(
    memory: &mut dyn PhysMemory,
    paging: &Paging,
    root: PhysAddr,
    va: VirtAddr,
    down_to: Level,
    frames: &mut dyn TableFrames,
) -> Result<Plan, PlanError> {
    let rights = Rights {
        user: false,
        write: true,
        execute: true,
    };
    plan(memory, paging, root, va, rights, down_to, None, frames)
}

/// Plans to replace the entry of the 4 KiB page at `va`, which must be mapped, by `new`: 0
/// unmaps it. Tables stay as they are. The plan flushes the page.
///
/// # Errors
///
/// See [`PlanError`].
pub fn plan_replace(
    memory: &mut dyn PhysMemory,
    paging: &Paging,
    root: PhysAddr,
    va: VirtAddr,
    new: u64,
) -> Result<Plan, PlanError> {
    let walk = walk(memory, paging, root, va);
    match walk.end() {
        End::Mapped {
            size: PageSize::Size4K,
            ..
        } => {}
        End::Reserved { level, bits } => return Err(PlanError::Reserved { level, bits }),
        End::Unreadable { level, why } => return Err(PlanError::Unreadable { level, why }),
        End::NonCanonical => return Err(PlanError::NonCanonical),
        End::Mapped { .. } | End::Absent { .. } => return Err(PlanError::NotMapped),
    }
    let step = walk.steps().last().ok_or(PlanError::NotMapped)?;
    let mut plan = Plan::new();
    plan.push(EntryWrite {
        at: step.entry_address(),
        level: step.entry.level,
        old: step.entry.raw,
        new,
    });
    plan.flush = Some(VirtAddr(va.0 & !(PageSize::Size4K.bytes() - 1)));
    Ok(plan)
}

#[expect(
    clippy::too_many_arguments,
    reason = "private; the two public faces name them"
)]
fn plan(
    memory: &mut dyn PhysMemory,
    paging: &Paging,
    root: PhysAddr,
    va: VirtAddr,
    rights: Rights,
    down_to: Level,
    leaf: Option<u64>,
    frames: &mut dyn TableFrames,
) -> Result<Plan, PlanError> {
    if !paging.is_canonical(va) {
        return Err(PlanError::NonCanonical);
    }
    let (mut table, mut level) = (paging.root(root), paging.top());
    loop {
        if level == down_to && leaf.is_none() {
            return Ok(Plan::new());
        }
        let at = entry_address(table, level, va);
        let raw = memory
            .read_u64(at)
            .map_err(|why| PlanError::Unreadable { level, why })?;
        match paging.decode(raw, level).kind {
            Kind::Absent => {
                return fill(at, raw, level, va, rights, down_to, leaf, frames);
            }
            Kind::Page { .. } => return Err(PlanError::Occupied { level, raw }),
            Kind::Reserved { bits } => return Err(PlanError::Reserved { level, bits }),
            Kind::Table { at: next } => {
                if level == down_to {
                    return Err(PlanError::Occupied { level, raw });
                }
                let allowed = paging.decode(raw, level).rights();
                if (rights.write && !allowed.write)
                    || (rights.user && !allowed.user)
                    || (rights.execute && !allowed.execute && leaf.is_some())
                {
                    return Err(PlanError::Forbidden { level, raw });
                }
                table = next;
                level = level.next().unwrap_or(down_to);
            }
        }
    }
}

fn entry_address(table: PhysAddr, level: Level, va: VirtAddr) -> PhysAddr {
    PhysAddr(table.0 | (level.index(va) as u64) << 3)
}

/// The first absent entry is at `at`: everything below it is new.
#[expect(clippy::too_many_arguments, reason = "private")]
fn fill(
    at: PhysAddr,
    old: u64,
    level: Level,
    va: VirtAddr,
    rights: Rights,
    down_to: Level,
    leaf: Option<u64>,
    frames: &mut dyn TableFrames,
) -> Result<Plan, PlanError> {
    let table_bits = Entry::PRESENT | Entry::WRITABLE | if rights.user { Entry::USER } else { 0 };
    let mut taken: [Option<PhysAddr>; 5] = [None; 5];
    // From the top down, as the addresses become known; the plan turns it round.
    let mut writes = Plan::new();
    let (mut at, mut old, mut level) = (at, old, level);
    while level != down_to {
        let Some(frame) = frames.take() else {
            for frame in taken.into_iter().flatten() {
                frames.give_back(frame);
            }
            return Err(PlanError::NoFrame);
        };
        if let Some(place) = taken.get_mut(writes.len) {
            *place = Some(frame);
        }
        writes.push(EntryWrite {
            at,
            level,
            old,
            new: frame.0 | table_bits,
        });
        let Some(next) = level.next() else { break };
        level = next;
        (at, old) = (entry_address(frame, level, va), 0);
    }
    if let Some(new) = leaf {
        writes.push(EntryWrite {
            at,
            level,
            old,
            new,
        });
    }
    let mut plan = Plan::new();
    for write in writes.writes().iter().rev() {
        plan.push(*write);
    }
    Ok(plan)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::vec::Vec;

    use super::*;

    /// Words of physical memory; everything below 1 MiB exists and starts as zeros.
    #[derive(Default)]
    struct Words(BTreeMap<u64, u64>);

    impl PhysMemory for Words {
        fn read(&mut self, at: PhysAddr, _: &mut [u8]) -> Result<(), ReadError> {
            Err(ReadError::NoMemory { at })
        }
        fn read_u64(&mut self, at: PhysAddr) -> Result<u64, ReadError> {
            Ok(self.0.get(&at.0).copied().unwrap_or(0))
        }
    }

    struct Counter {
        next: u64,
        last: u64,
        returned: Vec<PhysAddr>,
    }

    impl Counter {
        fn new(frames: u64) -> Counter {
            Counter {
                next: 0x2000,
                last: 0x2000 + frames * 0x1000,
                returned: Vec::new(),
            }
        }
    }

    impl TableFrames for Counter {
        fn take(&mut self) -> Option<PhysAddr> {
            let frame = PhysAddr(self.next);
            (self.next < self.last).then(|| {
                self.next += 0x1000;
                frame
            })
        }
        fn give_back(&mut self, frame: PhysAddr) {
            self.returned.push(frame);
        }
    }

    const ROOT: PhysAddr = PhysAddr(0x1000);
    const PAGING: Paging = Paging::four_level(40);
    const VA: VirtAddr = VirtAddr(0xffff_c900_0000_1000);

    fn apply(memory: &mut Words, plan: &Plan) {
        for write in plan.writes() {
            assert_eq!(memory.0.get(&write.at.0).copied().unwrap_or(0), write.old);
            memory.0.insert(write.at.0, write.new);
        }
    }

    #[test]
    fn a_page_in_an_empty_tree_needs_three_tables_and_is_linked_from_the_leaf_up() {
        let mut memory = Words::default();
        let mut frames = Counter::new(8);
        let mapping = Mapping::data(PhysAddr(0x7_3000), PageSize::Size4K);
        let plan = plan_map(&mut memory, &PAGING, ROOT, VA, mapping, &mut frames).unwrap();
        let levels: Vec<Level> = plan.writes().iter().map(|write| write.level).collect();
        assert_eq!(levels, [Level::Pt, Level::Pd, Level::Pdpt, Level::Pml4]);
        // Index 402 of the PML4, 0 of PDPT and PD, 1 of the PT; P and W; NX on the leaf only.
        let writes: Vec<(u64, u64)> = plan.writes().iter().map(|w| (w.at.0, w.new)).collect();
        assert_eq!(
            writes,
            [
                (0x4008, 0x8000_0000_0007_3003),
                (0x3000, 0x4003),
                (0x2000, 0x3003),
                (0x1000 + 402 * 8, 0x2003),
            ]
        );
        apply(&mut memory, &plan);
        match walk(&mut memory, &PAGING, ROOT, VirtAddr(VA.0 + 0x123)).end() {
            End::Mapped {
                at, size, rights, ..
            } => {
                assert_eq!((at, size), (PhysAddr(0x7_3123), PageSize::Size4K));
                assert_eq!(
                    rights,
                    Rights {
                        user: false,
                        write: true,
                        execute: false
                    }
                );
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn prepared_tables_leave_one_leaf_to_write() {
        let mut memory = Words::default();
        let mut frames = Counter::new(8);
        let plan = plan_tables(&mut memory, &PAGING, ROOT, VA, Level::Pt, &mut frames).unwrap();
        assert_eq!(plan.writes().len(), 3);
        apply(&mut memory, &plan);
        let again = plan_tables(&mut memory, &PAGING, ROOT, VA, Level::Pt, &mut frames).unwrap();
        assert_eq!(again.writes(), []);
        let mapping = Mapping::data(PhysAddr(0x7_3000), PageSize::Size4K);
        let plan = plan_map(&mut memory, &PAGING, ROOT, VA, mapping, &mut frames).unwrap();
        assert_eq!(plan.writes().len(), 1);
    }

    #[test]
    fn what_is_mapped_is_never_replaced() {
        let mut memory = Words::default();
        let mut frames = Counter::new(8);
        let huge = Mapping::data(PhysAddr(0x20_0000), PageSize::Size2M);
        let va = VirtAddr(0xffff_c900_0000_0000);
        let plan = plan_map(&mut memory, &PAGING, ROOT, va, huge, &mut frames).unwrap();
        apply(&mut memory, &plan);
        let small = Mapping::data(PhysAddr(0x7_3000), PageSize::Size4K);
        assert_eq!(
            plan_map(&mut memory, &PAGING, ROOT, VA, small, &mut frames),
            Err(PlanError::Occupied {
                level: Level::Pd,
                raw: 0x8000_0000_0020_0083
            })
        );
    }

    #[test]
    fn a_plan_that_runs_out_of_frames_gives_back_those_it_took() {
        for frames in 0..3 {
            let mut memory = Words::default();
            let mut frames = Counter::new(frames);
            let mapping = Mapping::data(PhysAddr(0x7_3000), PageSize::Size4K);
            let plan = plan_map(&mut memory, &PAGING, ROOT, VA, mapping, &mut frames);
            assert_eq!(plan, Err(PlanError::NoFrame));
            let taken: Vec<PhysAddr> = (0x2000..frames.next)
                .step_by(0x1000)
                .map(PhysAddr)
                .collect();
            assert_eq!(frames.returned, taken);
        }
    }

    #[test]
    fn an_upper_level_that_forbids_is_named() {
        let mut memory = Words::default();
        memory.0.insert(0x1000 + 402 * 8, 0x2001);
        let mapping = Mapping::data(PhysAddr(0x7_3000), PageSize::Size4K);
        assert_eq!(
            plan_map(
                &mut memory,
                &PAGING,
                ROOT,
                VA,
                mapping,
                &mut Counter::new(8)
            ),
            Err(PlanError::Forbidden {
                level: Level::Pml4,
                raw: 0x2001
            })
        );
    }

    #[test]
    fn replacing_a_page_writes_one_entry_and_flushes_that_page() {
        let mut memory = Words::default();
        let mut frames = Counter::new(8);
        let mapping = Mapping::data(PhysAddr(0x7_3000), PageSize::Size4K);
        let plan = plan_map(&mut memory, &PAGING, ROOT, VA, mapping, &mut frames).unwrap();
        assert_eq!(plan.flush(), None);
        apply(&mut memory, &plan);
        let va = VirtAddr(VA.0 + 0x123);
        let plan = plan_replace(&mut memory, &PAGING, ROOT, va, 0).unwrap();
        assert_eq!(plan.flush(), Some(VA));
        assert_eq!(plan.writes().len(), 1);
        apply(&mut memory, &plan);
        assert!(matches!(
            walk(&mut memory, &PAGING, ROOT, VA).end(),
            End::Absent { level: Level::Pt }
        ));
        assert_eq!(
            plan_replace(&mut memory, &PAGING, ROOT, VA, 0),
            Err(PlanError::NotMapped)
        );
    }

    #[test]
    fn refuses_addresses_that_fit_no_page() {
        let mut memory = Words::default();
        let mut plan = |va: u64, at: u64, size: PageSize| {
            let mapping = Mapping::data(PhysAddr(at), size);
            plan_map(
                &mut memory,
                &PAGING,
                ROOT,
                VirtAddr(va),
                mapping,
                &mut Counter::new(8),
            )
        };
        assert_eq!(
            plan(0x1001, 0, PageSize::Size4K),
            Err(PlanError::Misaligned)
        );
        assert_eq!(
            plan(0x20_0000, 0x1000, PageSize::Size2M),
            Err(PlanError::Misaligned)
        );
        assert_eq!(
            plan(0x1000, 1 << 40, PageSize::Size4K),
            Err(PlanError::Misaligned)
        );
        assert_eq!(
            plan(1 << 47, 0x1000, PageSize::Size4K),
            Err(PlanError::NonCanonical)
        );
    }

    #[test]
    fn the_pat_index_goes_to_bit_7_of_a_small_leaf_and_bit_12_of_a_large_one() {
        let entry = |size, pat_index| {
            Mapping {
                pat_index,
                ..Mapping::data(PhysAddr(0), size)
            }
            .entry(&PAGING)
        };
        assert_eq!(entry(PageSize::Size4K, 4), 1 << 63 | 0x83);
        assert_eq!(entry(PageSize::Size2M, 4), 1 << 63 | 0x1083);
        assert_eq!(entry(PageSize::Size1G, 3), 1 << 63 | 0x9b);
    }
}
