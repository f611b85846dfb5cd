//! Names: which function and which source line an address belongs to, and back.

use core::fmt;

use machine::VirtAddr;
use symbolizer::index::{Found, Refused, Symbol};
use symbolizer::{Index, Section};

use super::Pid;

/// Access to the names in the code that the target runs.
///
/// An image is code in one piece that was linked together: the kernel, or a program. Names
/// come from an index that was made with it, which is plain bytes: looking something up allocates
/// nothing, takes no lock and is bounded, so it may be done in a fault.
pub trait Symbols {
    /// The kernel.
    ///
    /// # Errors
    ///
    /// Its index is missing or refused.
    fn kernel(&self) -> Result<Image<'_>, NoSymbols>;

    /// The program of a process, alive or dead.
    ///
    /// # Errors
    ///
    /// There is no such process, or its program has no index that fits it.
    fn program(&self, pid: Pid) -> Result<Image<'_>, NoSymbols>;

    /// A program by its name, for processes that are no more.
    ///
    /// # Errors
    ///
    /// There is no such program, or it has no index that fits it.
    fn named(&self, program: &str) -> Result<Image<'_>, NoSymbols>;

    /// The section that an address of a program lies in, by its file.
    fn section(&self, program: &str, address: VirtAddr) -> Option<Section<'_>>;
}

/// Code that was linked together, and where it is.
#[derive(Clone, Copy, Debug)]
pub struct Image<'a> {
    /// `kernel`, or the name of the program.
    pub name: &'a str,
    /// What must be added to an address of the linker's to get the one where the code runs. Of an
    /// image that runs where it was linked, 0.
    pub base: u64,
    /// Its names, by the linker's addresses.
    pub index: Index<'a>,
}

impl<'a> Image<'a> {
    /// The linker's address of the place where something runs.
    pub fn link(&self, address: VirtAddr) -> Option<u64> {
        address.0.checked_sub(self.base)
    }

    /// Where something runs.
    pub fn run(&self, link: u64) -> VirtAddr {
        VirtAddr(self.base.wrapping_add(link))
    }

    /// What is at an address where code runs.
    pub fn describe(&self, address: VirtAddr) -> Option<Found<'a>> {
        self.index.lookup(self.link(address)?)
    }

    /// The function or variable that an address lies in. A label without a size names what is right
    /// there, and nothing behind it.
    pub fn symbol(&self, address: VirtAddr) -> Option<SymbolAt<'a>> {
        let link = self.link(address)?;
        let symbol = self.index.symbol_at(link)?;
        let offset = link.checked_sub(symbol.address)?;
        (symbol.bytes > 0 || offset == 0).then_some(SymbolAt { symbol, offset })
    }

    /// Who made the call that returns to an address.
    pub fn describe_call(&self, return_address: VirtAddr) -> Option<Found<'a>> {
        self.index.lookup_call(self.link(return_address)?)
    }
}

/// A function or a variable, and a place in it.
#[derive(Clone, Copy, Debug)]
pub struct SymbolAt<'a> {
    /// Which.
    pub symbol: Symbol<'a>,
    /// How far behind its beginning.
    pub offset: u64,
}

/// `name+0x12`.
impl fmt::Display for SymbolAt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.symbol.name)?;
        match self.offset {
            0 => Ok(()),
            offset => write!(f, "+{offset:#x}"),
        }
    }
}

/// Why an image has no names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoSymbols {
    /// It was started without them.
    Missing,
    /// What is there cannot be used.
    Refused(Refused),
    /// No process has this pid.
    NoProcess,
}

impl fmt::Display for NoSymbols {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoSymbols::Missing => f.write_str("no index of symbols was given to this boot"),
            NoSymbols::Refused(why) => write!(f, "{why}"),
            NoSymbols::NoProcess => f.write_str("there is no such process"),
        }
    }
}
