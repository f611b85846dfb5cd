//! What is known of an address, and how it is written.

use core::fmt;

use super::frames::Frames;
use super::text::Text;

/// What is known of an address.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    /// The address, as the linker numbers them.
    pub address: u64,
    /// The function or the variable it lies in.
    pub symbol: Option<Symbol<'a>>,
    /// Who is there, innermost first; of a variable nobody.
    pub frames: Frames<'a>,
}

/// Something that has an address and a name.
#[derive(Clone, Copy, Debug)]
pub struct Symbol<'a> {
    /// Where it begins, as the linker numbers addresses.
    pub address: u64,
    /// How long it is; 0 if nobody says.
    pub bytes: u64,
    /// Its name, demangled.
    pub name: Text<'a>,
    /// Whether it is a function; else it is a variable.
    pub is_code: bool,
    /// Which function has its name.
    pub(super) function: u16,
}

/// A function that an address is in, or one that function was inlined into.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// Its name, demangled; empty if nobody knows it.
    pub function: Text<'a>,
    /// The path of the source file; empty if nobody knows it.
    pub file: Text<'a>,
    /// The line, from 1; 0 if the compiler says that it belongs to none.
    pub line: u32,
    /// The column, from 1; 0 if nobody knows it.
    pub column: u32,
    /// Whether it was inlined into the frame that comes next.
    pub is_inlined: bool,
    /// How far into the function the address is, unless it was inlined.
    pub offset: Option<u64>,
}

/// `name+0x12`, or the place if nobody knows the name.
impl fmt::Display for Found<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.symbol {
            Some(symbol) => write!(
                f,
                "{}{}",
                symbol.name,
                Offset(self.address.checked_sub(symbol.address))
            ),
            None => match self.frames.last() {
                Some(frame) => write!(f, "{frame}"),
                None => f.write_str("?"),
            },
        }
    }
}

/// `name+0x12 at file:line:column`. Of a line that belongs to none, only the file is named.
impl fmt::Display for Frame<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.function.is_empty() {
            true => f.write_str("?")?,
            false => write!(f, "{}{}", self.function, Offset(self.offset))?,
        }
        if !self.file.is_empty() {
            write!(f, " at {}", self.file)?;
        }
        if self.line != 0 {
            write!(f, ":{}", self.line)?;
            if self.column != 0 {
                write!(f, ":{}", self.column)?;
            }
        }
        Ok(())
    }
}

/// How far behind a symbol.
struct Offset(Option<u64>);

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None | Some(0) => Ok(()),
            Some(offset) => write!(f, "+{offset:#x}"),
        }
    }
}
