//! Two random trees in one memory, made to have much in common: tables that both name, copies
//! with a change here and there, and sometimes anything at all.

use std::collections::BTreeMap;
use std::vec::Vec;

use crate::{Paging, PhysAddr, Simulated};

/// Numbers that look random, the same ones for the same seed: a hundred thousand trees have to
/// be cheap. This is splitmix64.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.roll() % limit
    }

    pub(super) fn one_in(&mut self, chances: u64) -> bool {
        self.below(chances) == 0
    }

    /// Mostly one of a few places, so that entries have neighbours; the ends of halves, too.
    fn index(&mut self) -> u16 {
        match self.below(8) {
            0 => [255, 256, 511][self.below(3) as usize],
            1 => self.below(512) as u16,
            _ => self.below(4) as u16,
        }
    }
}

/// Tables as maps: frame number, then index, then the raw entry.
#[derive(Clone, Debug)]
pub(super) struct Forest {
    pub(super) paging: Paging,
    pub(super) tables: BTreeMap<u64, BTreeMap<u16, u64>>,
    pub(super) roots: [u64; 2],
}

/// Tables are in frames from here on; this one is a device, and the one after has no memory.
pub(super) const DEVICE: u64 = 0x100;

impl Forest {
    pub(super) fn random(dice: &mut Dice) -> Forest {
        let mut paging = Paging::four_level(40);
        if dice.one_in(8) {
            paging = Paging::five_level(40);
        }
        paging.nxe = !dice.one_in(16);
        let mut forest = Forest {
            paging,
            tables: BTreeMap::new(),
            roots: [0, 0],
        };
        if dice.one_in(3) {
            forest.tangle(dice);
        } else {
            let mut left = 6;
            forest.roots[0] = forest.grow(dice, u32::from(paging.levels), &mut left);
            forest.roots[1] = forest.copy(dice, forest.roots[0], u32::from(paging.levels));
        }
        forest
    }

    /// The same memory as a machine.
    pub(super) fn machine(&self) -> Simulated {
        let mut machine = Simulated::new(self.paging, PhysAddr(self.roots[0] << 12));
        machine.add_device(PhysAddr(DEVICE << 12), 0x1000);
        for (frame, entries) in &self.tables {
            machine.add_ram(PhysAddr(frame << 12), 0x1000);
            for (index, raw) in entries {
                machine.write_u64(PhysAddr((frame << 12) | (u64::from(*index) << 3)), *raw);
            }
        }
        machine
    }

    /// Some entries written over, as a step of something would: changed, filled or cleared.
    pub(super) fn scribble(&mut self, dice: &mut Dice) {
        for _ in 0..1 + dice.below(4) {
            let number = dice.below(self.tables.len() as u64) as usize;
            let Some(entries) = self.tables.values_mut().nth(number) else {
                continue;
            };
            let height = 1 + dice.below(4) as u32;
            match entries.keys().copied().nth(dice.below(4) as usize) {
                Some(index) if dice.one_in(6) => {
                    entries.remove(&index);
                }
                Some(index) => {
                    let raw = entries.get(&index).copied().unwrap_or(0);
                    entries.insert(index, change(dice, raw, height));
                }
                None => {
                    entries.insert(dice.index(), page(dice, height) | 1 | (dice.roll() & 6));
                }
            }
        }
    }

    fn new_table(&mut self) -> u64 {
        let frame = 0x10 + self.tables.len() as u64;
        self.tables.insert(frame, BTreeMap::new());
        frame
    }

    /// A tree of tables with `height` levels; `left` is how many more there may be.
    fn grow(&mut self, dice: &mut Dice, height: u32, left: &mut u32) -> u64 {
        let frame = self.new_table();
        // Only the highest levels are certain to have something.
        let entries = dice.below(4) + u64::from(height > 2);
        for _ in 0..entries {
            let index = dice.index();
            let flags = 1
                | (dice.roll() & 6)
                | if dice.one_in(4) {
                    dice.roll() & 0xe7e
                } else {
                    0
                };
            let raw = if height == 1 || (height < 4 && dice.one_in(4)) {
                page(dice, height) | flags
            } else if *left > 0 {
                *left -= 1;
                (self.grow(dice, height - 1, left) << 12) | (flags & !0x80)
            } else {
                continue;
            };
            if let Some(table) = self.tables.get_mut(&frame) {
                table.insert(index, raw);
            }
        }
        frame
    }

    /// Another table like this one, nearly.
    fn copy(&mut self, dice: &mut Dice, of: u64, height: u32) -> u64 {
        let frame = self.new_table();
        let mut entries = self.tables.get(&of).cloned().unwrap_or_default();
        for raw in entries.values_mut() {
            let is_table = height > 1 && *raw & 0x80 == 0;
            if is_table && !dice.one_in(3) {
                let below = (*raw >> 12) & 0xff_ffff;
                *raw = (*raw & !0xf_ffff_f000) | (self.copy(dice, below, height - 1) << 12);
            }
            if dice.one_in(6) {
                *raw = change(dice, *raw, height);
            }
        }
        if dice.one_in(4) {
            entries.insert(dice.index(), page(dice, height) | 1 | (dice.roll() & 6));
        }
        if dice.one_in(8) {
            entries.pop_first();
        }
        self.tables.insert(frame, entries);
        frame
    }

    /// A few tables that name each other in any order.
    fn tangle(&mut self, dice: &mut Dice) {
        let frames: Vec<u64> = (0..4 + dice.below(3)).map(|_| self.new_table()).collect();
        self.roots = [frames[0], frames[1]];
        for (number, frame) in frames.iter().enumerate() {
            let mut entries = BTreeMap::new();
            for _ in 0..2 {
                let to = match dice.below(16) {
                    0 | 1 => DEVICE + dice.below(2),
                    2..7 => frames[(number + 2) % frames.len()],
                    _ => frames[dice.below(frames.len() as u64) as usize],
                };
                entries.insert(dice.index(), (to << 12) | 1 | (dice.roll() & 6));
            }
            for _ in 0..dice.below(3) {
                let raw = match dice.below(4) {
                    0 => dice.roll(),
                    height => page(dice, height as u32) | 1 | (dice.roll() & 6),
                };
                entries.insert(dice.index(), raw);
            }
            self.tables.insert(*frame, entries);
        }
    }
}

/// The address bits of a page that a table this high above the ground can map, and its size bit.
fn page(dice: &mut Dice, height: u32) -> u64 {
    let number = dice.below(4);
    match height {
        1 => number << 12,
        2 => (number << 21) | 0x80,
        _ => (number << 30) | 0x80,
    }
}

/// One thing about an entry, changed.
fn change(dice: &mut Dice, raw: u64, height: u32) -> u64 {
    match dice.below(12) {
        0 => raw ^ 2,
        1 => raw ^ 4,
        2 => raw ^ (1 << 63),
        3 => raw ^ 8,
        4 => raw ^ 0x80,
        5 => raw ^ 0x100,
        6 => raw ^ 0x1000,
        7 => raw ^ 0x20,
        8 => raw ^ 0x40,
        9 => raw ^ (1 << 45),
        10 => raw ^ (1 << 58),
        _ => page(dice, height) | 1,
    }
}
