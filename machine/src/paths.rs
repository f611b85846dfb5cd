//! Every entry of a tree that is present, with those above it, in ascending order of address.
//!
//! Come here to judge entries by where they are: a bit that a level above takes away, or a table
//! that two entries name. [`Leaves`](crate::Leaves) has only what is mapped. Like
//! [`Tables`](crate::Tables), this neither allocates nor recurses, and the memory is handed over
//! with each call. Tables that share tables can make a tree as good as endless: whoever asks
//! counts with [`Paths::visited`] and stops.

use crate::leaves::{PATIENCE, entry_address};
use crate::memory::Lost;
use crate::{
    Entry, HoleWhy, Kind, Level, Paging, PhysAddr, PhysMemory, Progress, Range, ReadError, Right,
    Rights, Step, VirtAddr,
};

/// The most entries on the way to a page: one a level.
const MOST: usize = 5;

const NOTHING: Step = Step {
    table: PhysAddr(0),
    index: 0,
    entry: Entry {
        raw: 0,
        level: Level::Pml5,
        kind: Kind::Absent,
    },
};

/// An entry, and those that lead to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Path {
    steps: [Step; MOST],
    taken: usize,
    /// The first address that the entry stands for.
    pub va: VirtAddr,
    /// What the entry does.
    pub node: Node,
}

/// What an entry in its place does.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Node {
    /// It maps a page.
    Page,
    /// It references a table, which comes next unless it is [skipped](Paths::skip).
    Table {
        /// That table's frame.
        at: PhysAddr,
        /// That table's level.
        level: Level,
    },
    /// It leads nowhere: it is malformed, names a table above it, or could not be read itself, as
    /// all entries of a table without memory. Of neighbours that cannot be read for the same
    /// reason only the first comes.
    Hole(HoleWhy),
}

impl Path {
    /// The entries, top to bottom; the last one is the one this is about. One that could not be
    /// read is there as absent.
    pub fn steps(&self) -> &[Step] {
        self.steps.get(..self.taken).unwrap_or(&self.steps)
    }

    /// The entry this is about.
    pub fn last(&self) -> Step {
        let last = self.steps().last();
        last.copied().unwrap_or(NOTHING)
    }

    /// The entries above it, top to bottom.
    pub fn above(&self) -> &[Step] {
        let steps = self.steps();
        steps.split_last().map_or(steps, |(_, above)| above)
    }

    /// The last address that the entry stands for.
    pub fn end(&self) -> VirtAddr {
        let span = self.last().entry.level.span();
        VirtAddr(self.va.0 | (span - 1))
    }

    /// What all of them allow together.
    pub fn rights(&self) -> Rights {
        let rights = self.steps().iter().map(|step| step.entry.rights());
        rights.fold(Rights::ALL, Rights::and)
    }

    /// The highest entry above the last one that forbids a right.
    pub fn taken_by(&self, right: Right) -> Option<&Step> {
        let mut above = self.above().iter();
        above.find(|step| !step.entry.rights().has(right))
    }
}

/// A table whose entries are being looked at.
#[derive(Clone, Copy, Debug)]
struct Entered {
    at: PhysAddr,
    level: Level,
    va: VirtAddr,
    next: u16,
    /// The last entry to look at.
    last: u16,
    /// The entry that references it, in the table above.
    through: Option<Step>,
    /// Why the entry before could not be read.
    gap: Option<ReadError>,
}

/// The iterator over [`Path`]s; see the head of this module.
#[derive(Clone, Debug)]
pub struct Paths {
    paging: Paging,
    path: [Option<Entered>; MOST],
    depth: usize,
    visited: u64,
    lost: Lost,
}

impl Paths {
    /// The entries of the tree at `root`, which may be a value of CR3 as it is. Of the top table,
    /// only those are looked at that `range` touches; below, all.
    pub fn new(paging: Paging, root: PhysAddr, range: Range) -> Paths {
        let mut paths = Paths {
            paging,
            path: [None; MOST],
            depth: 0,
            visited: 0,
            lost: Lost::default(),
        };
        let range = range.canonical(&paging);
        let (at, level) = (paging.root(root), paging.top());
        if range.first <= range.last {
            let (first, last) = (level.index(range.first), level.index(range.last));
            paths.enter(at, level, VirtAddr(0), None, [first as u16, last as u16]);
        }
        paths
    }

    /// How many entries have been looked at, absent ones among them.
    pub const fn visited(&self) -> u64 {
        self.visited
    }

    /// Does not go down into the table that came last.
    pub fn skip(&mut self) {
        if let Some(Some(entered)) = self.depth.checked_sub(1).and_then(|top| self.path.get(top))
            && entered.next == 0
            && entered.through.is_some()
        {
            self.depth -= 1;
        }
    }

    /// Does a bounded amount of work: some thousand reads at most, or until there is a row.
    pub fn advance(&mut self, memory: &mut dyn PhysMemory) -> Progress<Path> {
        for _ in 0..PATIENCE {
            match self.turn(memory) {
                Progress::Working => {}
                other => return other,
            }
        }
        Progress::Working
    }

    /// Looks at one entry.
    fn turn(&mut self, memory: &mut dyn PhysMemory) -> Progress<Path> {
        let slot = self.depth.checked_sub(1);
        let Some(entered) = slot.and_then(|slot| self.path.get_mut(slot)?.as_mut()) else {
            return Progress::Done;
        };
        let index = entered.next;
        if index > entered.last {
            self.depth -= 1;
            return Progress::Working;
        }
        entered.next += 1;
        self.visited = self.visited.saturating_add(1);
        let Entered { at, level, va, .. } = *entered;
        let read = self.lost.or(|| memory.read_u64(entry_address(at, index)));
        let before = entered.gap;
        entered.gap = read.err();
        let raw = match read {
            Ok(raw) if raw & Entry::PRESENT == 0 => return Progress::Working,
            Ok(raw) => raw,
            // The addresses of the two halves of a top table do not adjoin.
            Err(why)
                if before.is_some_and(|before| before.is_like(why))
                    && !(level == self.paging.top() && index == 256) =>
            {
                return Progress::Working;
            }
            Err(why) => {
                let node = Node::Hole(HoleWhy::Unreadable(why));
                return Progress::Row(self.path_to(at, level, va, index, 0, node));
            }
        };
        let node = match (self.paging.decode(raw, level).kind, level.next()) {
            (Kind::Table { at }, Some(_)) if self.is_above(at) => Node::Hole(HoleWhy::Loop),
            (Kind::Table { at }, Some(level)) => Node::Table { at, level },
            (Kind::Reserved { bits }, _) => Node::Hole(HoleWhy::Reserved { bits }),
            _ => Node::Page,
        };
        let path = self.path_to(at, level, va, index, raw, node);
        if let Node::Table { at, level } = node {
            self.enter(at, level, path.va, Some(path.last()), [0, 511]);
        }
        Progress::Row(path)
    }

    fn path_to(
        &self,
        table: PhysAddr,
        level: Level,
        va: VirtAddr,
        index: u16,
        raw: u64,
        node: Node,
    ) -> Path {
        let offset = va.0.wrapping_add(u64::from(index) * level.span());
        let own = Step {
            table,
            index,
            entry: self.paging.decode(raw, level),
        };
        let tables = self.path.iter().take(self.depth).flatten();
        let above = tables.filter_map(|entered| entered.through);
        let mut path = Path {
            steps: [NOTHING; MOST],
            taken: 0,
            va: self.paging.sign_extend(offset),
            node,
        };
        for (slot, step) in path.steps.iter_mut().zip(above.chain([own])) {
            *slot = step;
            path.taken += 1;
        }
        path
    }

    /// Whether a table is one of those that are being looked at.
    fn is_above(&self, at: PhysAddr) -> bool {
        let mut entered = self.path.iter().take(self.depth).flatten();
        entered.any(|entered| entered.at == at)
    }

    fn enter(
        &mut self,
        at: PhysAddr,
        level: Level,
        va: VirtAddr,
        through: Option<Step>,
        [next, last]: [u16; 2],
    ) {
        if let Some(slot) = self.path.get_mut(self.depth) {
            *slot = Some(Entered {
                at,
                level,
                va,
                next,
                last,
                through,
                gap: None,
            });
            self.depth += 1;
        }
    }
}

#[cfg(test)]
mod tests;
