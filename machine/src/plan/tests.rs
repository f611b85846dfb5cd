use std::collections::BTreeMap;
use std::vec::Vec;

use super::*;
use crate::ReadError;

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
