//! Making an index from debug information.

mod encode;
mod fields;
mod flat;
mod functions;
mod grammar;
mod packed;
mod places;
mod row_codes;

use std::fmt;

use crate::dwarf::{Debug, Elf, Error};
pub use encode::{encode, seal};
pub use flat::{Context, ContextId, Flat, NOBODY, Named, Place, Row};
pub use packed::TooMany;

/// Why there is no index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BuildError {
    /// The file cannot be read.
    File(Error),
    /// There is too much in it.
    TooMany(TooMany),
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BuildError::File(why) => write!(f, "{why}"),
            BuildError::TooMany(why) => write!(f, "{why}"),
        }
    }
}

impl std::error::Error for BuildError {}

impl From<Error> for BuildError {
    fn from(why: Error) -> Self {
        BuildError::File(why)
    }
}

impl From<TooMany> for BuildError {
    fn from(why: TooMany) -> Self {
        BuildError::TooMany(why)
    }
}

/// The index of an ELF file, given its bytes. The same file gives the same bytes.
///
/// # Errors
///
/// The file cannot be read, or has more of something than there is room for.
pub fn index(file: &[u8]) -> Result<Vec<u8>, BuildError> {
    let elf = Elf::read(file)?;
    let debug = Debug::read(&elf)?;
    let flat = flat::flatten(&debug)?;
    Ok(encode(&flat, elf.build_id())?)
}
