//! A whole walk: from the innermost function up to the outermost, out of the kernel and into the
//! program.

use machine::{VirtAddr, VirtError};

use crate::{Image, Registers, Stop, by_frame_pointer, by_tables};

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

/// A walk up a stack.
#[derive(Clone, Debug)]
pub struct Walk<'a> {
    images: Images<'a>,
    registers: Registers,
    is_interrupted: bool,
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
        let image = match rip.0 >> 63 {
            0 => &self.images.program,
            _ => &self.images.kernel,
        };
        let by_tables = match image {
            Some(image) => by_tables(image, &self.registers, self.is_interrupted, read),
            None => Err(Stop::NoTable(rip)),
        };
        self.is_guess = matches!(by_tables, Err(Stop::NoTable(_)));
        let caller = match by_tables {
            Err(Stop::NoTable(_)) => {
                by_frame_pointer(&self.registers, read).map_err(|why| match why {
                    Stop::Outermost => why,
                    // What is missing is the table; that RBP does not help either is no news.
                    _ => Stop::NoTable(rip),
                })?
            }
            other => other?,
        };
        self.registers = caller.registers;
        self.is_interrupted = caller.is_interrupted;
        Ok(())
    }
}
