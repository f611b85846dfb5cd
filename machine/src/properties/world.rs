//! Random tables: a few frames that name each other in any order, pages, and garbage. The
//! world is kept twice, as maps of maps for the naive interpreter and as a machine for ours.

use std::collections::{BTreeMap, BTreeSet};
use std::vec::Vec;

use proptest::prelude::*;

use super::decode::any_paging;
use super::naive::{self, Reading};
use crate::{Level, Paging, PhysAddr, Simulated};

/// The frames that have memory are 1 to 7; 8 has none, and 9 is a device.
const FRAMES: u64 = 7;
const DEVICE: u64 = 9;

/// Tables as maps: frame number, then index, then the raw entry.
#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) paging: Paging,
    tables: BTreeMap<u64, BTreeMap<u16, u64>>,
    poisoned: BTreeSet<(u64, u16)>,
}

/// Why a read in the naive world fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Missing {
    NoMemory,
    Device,
}

/// What one entry comes to, naively.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Found {
    Missing(Missing),
    Absent,
    Entry(u64, Reading),
}

impl World {
    /// The machine that holds the same tables, its top table in frame 1.
    pub(super) fn machine(&self) -> Simulated {
        let mut machine = Simulated::new(self.paging, PhysAddr(0x1000));
        machine.add_ram(PhysAddr(0x1000), FRAMES * 0x1000);
        machine.add_device(PhysAddr(DEVICE * 0x1000), 0x1000);
        for (frame, entries) in &self.tables {
            for (index, raw) in entries {
                machine.write_u64(PhysAddr(frame * 0x1000 + u64::from(*index) * 8), *raw);
            }
        }
        for (frame, index) in &self.poisoned {
            machine.poison(PhysAddr(frame * 0x1000 + u64::from(*index) * 8 + 3));
        }
        machine
    }

    /// What entry `index` of the table at physical address `table` comes to.
    pub(super) fn find(&self, table: u64, index: u16, level: Level) -> Found {
        let frame = table / 0x1000;
        if frame == DEVICE {
            return Found::Missing(Missing::Device);
        }
        if !(1..=FRAMES).contains(&frame) || self.poisoned.contains(&(frame, index)) {
            return Found::Missing(Missing::NoMemory);
        }
        let raw = self
            .tables
            .get(&frame)
            .and_then(|table| table.get(&index))
            .copied()
            .unwrap_or(0);
        naive::read(raw, level, &self.paging)
            .map_or(Found::Absent, |reading| Found::Entry(raw, reading))
    }

    /// The indices of the table at `table` that are worth a look; all, if it cannot be read.
    pub(super) fn indices(&self, table: u64) -> Vec<u16> {
        let frame = table / 0x1000;
        if !(1..=FRAMES).contains(&frame) {
            return (0..512).collect();
        }
        let written = self
            .tables
            .get(&frame)
            .into_iter()
            .flat_map(|table| table.keys().copied());
        let poisoned = self
            .poisoned
            .iter()
            .filter(|word| word.0 == frame)
            .map(|word| word.1);
        written
            .chain(poisoned)
            .collect::<BTreeSet<u16>>()
            .into_iter()
            .collect()
    }
}

/// Indices at the edges, and any.
pub(super) fn any_index() -> impl Strategy<Value = u16> {
    prop_oneof![
        3 => prop::sample::select(std::vec![0, 1, 2, 255, 256, 257, 510, 511]),
        1 => 0..512u16,
    ]
}

/// Mostly references to the few frames there are, so that trees get deep, share and loop.
fn any_entry() -> impl Strategy<Value = u64> {
    let flags = prop_oneof![
        6 => 0..8u64,
        2 => (0..8u64).prop_map(|low| low | 1 << 63),
        1 => (0..0x1000u64, 0..0x1000u64).prop_map(|(low, high)| low | high << 52),
    ];
    let at =
        |frames| (frames, flags.clone()).prop_map(|(frame, flags)| (frame * 0x1000) | flags | 1);
    // Below 4 GiB, where every machine here has address bits, and anywhere.
    let number = prop_oneof![4 => 0..1u64 << 20, 1 => 0..1u64 << 40];
    let page = |lowest: u32, size: u64| {
        (number.clone(), flags.clone()).prop_map(move |(number, flags)| {
            ((number << 12) >> lowest << lowest) | flags | size | 1
        })
    };
    prop_oneof![
        8 => at(2..FRAMES + 1),
        1 => at(1..2),
        1 => at(FRAMES + 1..DEVICE),
        1 => at(DEVICE..DEVICE + 1),
        4 => page(12, 0),
        3 => page(21, 0x80),
        3 => page(30, 0x80),
        1 => any::<u64>(),
        1 => any::<u64>().prop_map(|raw| raw | 1),
    ]
}

/// A path from the top table down through frames 2, 3, 4 and 5, so that there is always
/// something at the bottom, and anything anywhere besides.
pub(super) fn any_world() -> impl Strategy<Value = World> {
    let spine = prop::array::uniform4(any_index());
    let entries = prop::collection::vec((1..=FRAMES, any_index(), any_entry()), 8..32);
    let poisoned = prop::collection::btree_set((1..=FRAMES, any_index()), 0..10);
    (any_paging(), spine, entries, poisoned).prop_map(|(paging, spine, entries, poisoned)| {
        let mut tables: BTreeMap<u64, BTreeMap<u16, u64>> = BTreeMap::new();
        for (frame, index) in (1..).zip(spine) {
            tables
                .entry(frame)
                .or_default()
                .insert(index, ((frame + 1) * 0x1000) | 7);
        }
        for (frame, index, raw) in entries {
            tables.entry(frame).or_default().insert(index, raw);
        }
        World {
            paging,
            tables,
            poisoned,
        }
    })
}
