//! A whole walk: from the innermost function up to the outermost, out of the kernel and into the
//! program.

use machine::{VirtAddr, VirtError};

use crate::{Caller, Image, Registers, Stop, by_frame_pointer, by_tables};

/// More functions than that are not visited: a kernel stack has room for no more calls.
const MOST: usize = 4096;

/// The unwind tables of what code there is.
#[derive(Clone, Debug, Default)]
pub struct Images<'a> {
    /// What runs in the upper half of the address space.
    pub kernel: Option<Image<'a>>,
    /// What runs in the lower half.
    pub program: Option<Image<'a>>,
}

impl<'a> Images<'a> {
    fn at(&self, address: u64) -> Option<&Image<'a>> {
        match address >> 63 {
            0 => self.program.as_ref(),
            _ => self.kernel.as_ref(),
        }
    }
}

/// A walk up a stack.
#[derive(Clone, Debug)]
pub struct Walk<'a> {
    images: Images<'a>,
    registers: Registers,
    is_interrupted: bool,
    entry: Option<u64>,
    is_guess: bool,
    left: usize,
    stop: Option<Stop>,
}

/// A function on the way up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Visit {
    /// Its registers, as far as they are known.
    pub registers: Registers,
    /// It did not call the one before: it was interrupted there.
    pub is_interrupted: bool,
    /// Then, and if a table led here, the end of what the CPU pushed when it was.
    pub entry: Option<u64>,
    /// Found by the frame pointer alone.
    pub is_guess: bool,
}

impl<'a> Walk<'a> {
    /// From these registers: of a thread that was interrupted there, or of a function that has
    /// called somebody.
    pub fn new(images: Images<'a>, registers: Registers, is_interrupted: bool) -> Self {
        Walk {
            images,
            registers,
            is_interrupted,
            entry: None,
            is_guess: false,
            left: MOST,
            stop: None,
        }
    }

    /// The next function, the innermost first.
    pub fn next(
        &mut self,
        read: &mut dyn FnMut(VirtAddr) -> Result<u64, VirtError>,
    ) -> Option<Visit> {
        if self.stop.is_some() || self.left == 0 {
            return None;
        }
        self.left -= 1;
        let visit = Visit {
            registers: self.registers,
            is_interrupted: self.is_interrupted,
            entry: self.entry,
            is_guess: self.is_guess,
        };
        let rip = VirtAddr(self.registers.rip()?);
        self.stop = self.step(rip, read).err();
        Some(visit)
    }

    /// Why it has ended; `None` if only for its length.
    pub fn stop(&self) -> Option<Stop> {
        self.stop
    }

    fn step(
        &mut self,
        rip: VirtAddr,
        read: &mut dyn FnMut(VirtAddr) -> Result<u64, VirtError>,
    ) -> Result<(), Stop> {
        // On a stack of the kernel's, code of the lower half is what the kernel jumped to: its tables say
        // nothing of how.
        let rsp = self.registers.rsp().unwrap_or(0);
        let is_astray = rip.0 >> 63 == 0 && rsp >> 63 != 0;
        let by_tables = match self.images.at(rip.0).filter(|_| !is_astray) {
            Some(image) => by_tables(image, &self.registers, self.is_interrupted, read),
            None => Err(Stop::NoTable(rip)),
        };
        self.is_guess = false;
        let caller = match by_tables {
            Err(Stop::NoTable(_)) => self.without_table(rip, read)?,
            other => other?,
        };
        self.entry = caller.entry;
        self.registers = caller.registers;
        self.is_interrupted = caller.is_interrupted;
        Ok(())
    }

    /// A step where no table helps. Code that jumped to where no code is has left a return address
    /// on its stack, if it was a call; else there is RBP.
    fn without_table(
        &mut self,
        rip: VirtAddr,
        read: &mut dyn FnMut(VirtAddr) -> Result<u64, VirtError>,
    ) -> Result<Caller, Stop> {
        if self.is_interrupted
            && let Some(rsp) = self.registers.rsp()
            && let Ok(word) = read(VirtAddr(rsp))
            && let Some(image) = self.images.at(word)
            && image.has_table(word.wrapping_sub(1))
        {
            return Ok(Caller {
                registers: self.registers.returned(rsp.wrapping_add(8), word),
                is_interrupted: false,
                entry: None,
            });
        }
        self.is_guess = true;
        by_frame_pointer(&self.registers, read).map_err(|why| match why {
            Stop::Outermost => why,
            // What is missing is the table; that RBP does not help either is no news.
            _ => Stop::NoTable(rip),
        })
    }
}
