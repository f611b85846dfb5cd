//! Address spaces as commands look at them: the tables in use, or those of a snapshot.
//!
//! A command that takes a root gets a [`Space`], and reads memory through a [`View`] of it. In a
//! snapshot a table frame that was captured is read from its copy, at its old address; all other
//! memory is what it is now. So addresses, loops and sharing mean in it what they meant then.

use machine::{PhysAddr, PhysMemory, ReadError, Side, SideBySide};

use crate::Target;
use crate::command::Context;

/// A root, and in which memory its tables are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Space {
    /// The top table; it may be a value of CR3 as it is.
    pub(crate) root: PhysAddr,
    /// The place of the snapshot among [`Snapshots`](crate::Snapshots), if it is one.
    pub(crate) snapshot: Option<usize>,
}

impl Space {
    /// Tables as they are now.
    pub(crate) const fn live(root: PhysAddr) -> Space {
        Space {
            root,
            snapshot: None,
        }
    }
}

/// Physical memory as one space sees it.
pub(crate) struct View<'t> {
    target: &'t mut (dyn Target + 't),
    lens: Lens,
}

impl<'t> View<'t> {
    pub(crate) fn new(target: &'t mut (dyn Target + 't), space: &Space) -> View<'t> {
        View {
            target,
            lens: Lens::new(space),
        }
    }
}

impl PhysMemory for View<'_> {
    fn read(&mut self, at: PhysAddr, buf: &mut [u8]) -> Result<(), ReadError> {
        self.lens.read(self.target, at, buf)
    }

    fn read_u64(&mut self, at: PhysAddr) -> Result<u64, ReadError> {
        self.lens.read_u64(self.target, at)
    }
}

/// Physical memory as two spaces see it.
pub(crate) struct Views<'t> {
    target: &'t mut (dyn Target + 't),
    left: Lens,
    right: Lens,
}

impl<'t> Views<'t> {
    pub(crate) fn new(target: &'t mut (dyn Target + 't), spaces: [&Space; 2]) -> Views<'t> {
        let [left, right] = spaces.map(Lens::new);
        Views {
            target,
            left,
            right,
        }
    }
}

impl SideBySide for Views<'_> {
    fn read_u64(&mut self, side: Side, at: PhysAddr) -> Result<u64, ReadError> {
        let lens = match side {
            Side::Left => &mut self.left,
            Side::Right => &mut self.right,
        };
        lens.read_u64(self.target, at)
    }

    fn is_same_memory(&mut self, frame: PhysAddr) -> bool {
        self.left.frame(self.target, frame) == self.right.frame(self.target, frame)
    }
}

impl Context<'_> {
    /// Memory as `space` sees it.
    pub(crate) fn view(&mut self, space: &Space) -> View<'_> {
        View::new(self.target, space)
    }
}

/// What turns an address into the one that is read instead.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lens {
    snapshot: Option<usize>,
    /// The frame read last, and what is read in its place: tables are read entry by entry.
    last: Option<(u64, u64)>,
}

const FRAME: u64 = !0xfff;

impl Lens {
    pub(crate) const fn new(space: &Space) -> Lens {
        Lens {
            snapshot: space.snapshot,
            last: None,
        }
    }

    /// Where to look for what is in a frame.
    pub(crate) fn frame(&mut self, target: &mut dyn Target, frame: PhysAddr) -> PhysAddr {
        let Some(snapshot) = self.snapshot else {
            return frame;
        };
        match self.last {
            Some((last, there)) if last == frame.0 => return PhysAddr(there),
            _ => {}
        }
        let snapshots = target.snapshots();
        let copy = snapshots.and_then(|snapshots| snapshots.copy_of(snapshot, frame));
        let there = copy.unwrap_or(frame);
        self.last = Some((frame.0, there.0));
        there
    }

    /// One entry, which a target may be able to read in one go.
    pub(crate) fn read_u64(
        &mut self,
        target: &mut dyn Target,
        at: PhysAddr,
    ) -> Result<u64, ReadError> {
        if self.snapshot.is_none() {
            return target.memory().read_u64(at);
        }
        if !at.0.is_multiple_of(8) {
            let mut bytes = [0; 8];
            self.read(target, at, &mut bytes)?;
            return Ok(u64::from_le_bytes(bytes));
        }
        let there = self.frame(target, PhysAddr(at.0 & FRAME));
        target.memory().read_u64(PhysAddr(there.0 | at.0 & !FRAME))
    }

    /// Reads frame by frame, each where its content is.
    pub(crate) fn read(
        &mut self,
        target: &mut dyn Target,
        at: PhysAddr,
        buf: &mut [u8],
    ) -> Result<(), ReadError> {
        if self.snapshot.is_none() {
            return target.memory().read(at, buf);
        }
        let (mut at, mut rest) = (at, buf);
        while !rest.is_empty() {
            let left = (0x1000 - (at.0 & !FRAME)) as usize;
            let (piece, later) = rest.split_at_mut(left.min(rest.len()));
            let there = self.frame(target, PhysAddr(at.0 & FRAME));
            let from = PhysAddr(there.0 | at.0 & !FRAME);
            target.memory().read(from, piece)?;
            let next = at.0.checked_add(piece.len() as u64);
            rest = later;
            at = match next {
                Some(next) => PhysAddr(next),
                None if rest.is_empty() => break,
                None => return Err(ReadError::NoMemory { at }),
            };
        }
        Ok(())
    }
}
