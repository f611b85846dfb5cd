//! What a set of tables maps, as a person wants to read it: neighbouring pages that are alike
//! are one row.

use core::iter::FusedIterator;

use crate::leaves::PATIENCE;
use crate::{
    Hole, Item, Leaf, Leaves, MemoryType, PageSize, Paging, PhysAddr, PhysMemory, Progress, Range,
    Rights, VirtAddr, leaves,
};

/// Pages that follow one another and have rights, memory type and region in common.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Run {
    /// The first address.
    pub first: VirtAddr,
    /// The last address, included.
    pub last: VirtAddr,
    /// The physical address of the first byte, if the whole run is physically contiguous.
    pub at: Option<PhysAddr>,
    /// The effective rights of every page.
    pub rights: Rights,
    /// The memory type of every page.
    pub memory_type: MemoryType,
    /// How many of the pages are 4 KiB.
    pub count_4k: u64,
    /// How many of the pages are 2 MiB.
    pub count_2m: u64,
    /// How many of the pages are 1 GiB.
    pub count_1g: u64,
    /// The number of the region that each page begins in, if it begins in one.
    pub region: Option<u16>,
}

impl Run {
    /// The length in bytes. Less than 2^57.
    pub const fn bytes(&self) -> u64 {
        self.last.0.wrapping_sub(self.first.0).wrapping_add(1)
    }

    fn new(leaf: &Leaf, region: Option<u16>) -> Run {
        let mut run = Run {
            first: leaf.va,
            last: leaf.last(),
            at: Some(leaf.at),
            rights: leaf.rights,
            memory_type: leaf.memory_type,
            count_4k: 0,
            count_2m: 0,
            count_1g: 0,
            region,
        };
        run.count(leaf.size);
        run
    }

    fn count(&mut self, size: PageSize) {
        match size {
            PageSize::Size4K => self.count_4k += 1,
            PageSize::Size2M => self.count_2m += 1,
            PageSize::Size1G => self.count_1g += 1,
        }
    }

    /// Takes in the page that follows, if it is alike.
    fn take(&mut self, leaf: &Leaf, region: Option<u16>, merge: Merge) -> bool {
        let contiguous = self.at.and_then(|at| at.checked_add(self.bytes())) == Some(leaf.at);
        let alike = self.last.checked_add(1) == Some(leaf.va)
            && self.rights == leaf.rights
            && self.memory_type == leaf.memory_type
            && self.region == region
            && (contiguous || merge == Merge::Virtual);
        if alike {
            self.last = leaf.last();
            self.count(leaf.size);
            if !contiguous {
                self.at = None;
            }
        }
        alike
    }
}

/// Which pages are alike enough to be one run.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Merge {
    /// Those that follow one another virtually, wherever they are.
    #[default]
    Virtual,
    /// Only those that follow one another physically, too.
    Physical,
}

/// Which pages to look at. All of the conditions must hold; the default has none.
///
/// Rights are the effective ones. Holes have no rights and no size, so they are held against
/// the range only.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Filter {
    /// Only what may (or may not) be written.
    pub write: Option<bool>,
    /// Only what instructions may (or may not) be fetched from.
    pub execute: Option<bool>,
    /// Only what user-mode code may (or may not) use.
    pub user: Option<bool>,
    /// Only pages of this size.
    pub size: Option<PageSize>,
    /// Only pages that lie in this range, at least in part.
    pub range: Range,
}

impl Filter {
    /// Whether the page meets the conditions, the range aside.
    pub fn admits(&self, leaf: &Leaf) -> bool {
        let meets = |wanted: Option<bool>, is| wanted.is_none_or(|wanted| wanted == is);
        meets(self.write, leaf.rights.write)
            && meets(self.execute, leaf.rights.execute)
            && meets(self.user, leaf.rights.user)
            && self.size.is_none_or(|size| size == leaf.size)
    }
}

/// One row of the answer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Row {
    /// Pages that are alike.
    Run(Run),
    /// What could not be followed; it ends the run before it.
    Hole(Hole),
}

/// The iterator that [`runs`] makes.
pub struct Runs<'m> {
    leaves: Leaves<'m>,
    filter: Filter,
    merge: Merge,
    region: &'m dyn Fn(VirtAddr) -> Option<u16>,
    /// The run that may still grow.
    open: Option<Run>,
    /// A hole that came up while a run was open.
    held: Option<Hole>,
}

/// What the tables at `root` map, filtered, in ascending order, with pages that follow one
/// another and are alike made into one run. `region` numbers the region an address lies in;
/// no run reaches from one into the next, but for a page that does, which counts to the one
/// it begins in. See [`leaves`] for `root`, the range and what bounds the time it takes.
pub fn runs<'m>(
    memory: &'m mut (dyn PhysMemory + 'm),
    paging: Paging,
    root: PhysAddr,
    filter: Filter,
    merge: Merge,
    region: &'m dyn Fn(VirtAddr) -> Option<u16>,
) -> Runs<'m> {
    let leaves = leaves(memory, paging, root, filter.range);
    Runs {
        leaves,
        filter,
        merge,
        region,
        open: None,
        held: None,
    }
}

impl Runs<'_> {
    /// Does a bounded amount of work: some thousand reads at most, or until there is a row.
    pub fn advance(&mut self) -> Progress<Row> {
        if let Some(hole) = self.held.take() {
            return Progress::Row(Row::Hole(hole));
        }
        for _ in 0..PATIENCE {
            let leaf = match self.leaves.turn() {
                Progress::Working => continue,
                Progress::Done => {
                    return self
                        .open
                        .take()
                        .map_or(Progress::Done, |run| Progress::Row(Row::Run(run)));
                }
                Progress::Row(Item::Leaf(leaf)) if self.filter.admits(&leaf) => leaf,
                Progress::Row(Item::Leaf(_)) => continue,
                Progress::Row(Item::Hole(hole)) => {
                    let Some(run) = self.open.take() else {
                        return Progress::Row(Row::Hole(hole));
                    };
                    self.held = Some(hole);
                    return Progress::Row(Row::Run(run));
                }
            };
            let region = (self.region)(leaf.va);
            if let Some(open) = &mut self.open
                && open.take(&leaf, region, self.merge)
            {
                continue;
            }
            if let Some(run) = self.open.replace(Run::new(&leaf, region)) {
                return Progress::Row(Row::Run(run));
            }
        }
        Progress::Working
    }
}

impl Iterator for Runs<'_> {
    type Item = Row;

    fn next(&mut self) -> Option<Row> {
        loop {
            match self.advance() {
                Progress::Row(row) => return Some(row),
                Progress::Working => {}
                Progress::Done => return None,
            }
        }
    }
}

impl FusedIterator for Runs<'_> {}

#[cfg(test)]
mod tests;
