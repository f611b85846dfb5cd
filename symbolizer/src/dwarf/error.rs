use std::fmt;

/// Why a file has no answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// It does not begin like an ELF file.
    NotElf,
    /// It is an archive of object files.
    Archive,
    /// It is an object file, whose addresses the linker has yet to choose.
    NotLinked,
    /// It is an ELF file that cannot be read.
    Elf(object::read::Error),
    /// Its debug information cannot be read.
    Dwarf(gimli::Error),
    /// It asks for far more work than its size explains.
    TooMuch,
}

impl From<object::read::Error> for Error {
    fn from(why: object::read::Error) -> Self {
        Error::Elf(why)
    }
}

impl From<gimli::Error> for Error {
    fn from(why: gimli::Error) -> Self {
        Error::Dwarf(why)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NotElf => f.write_str("not an ELF file"),
            Error::Archive => {
                f.write_str("an archive of object files, which are not linked yet; not an ELF file")
            }
            Error::NotLinked => {
                f.write_str("an object file, which is not linked yet: its addresses mean nothing")
            }
            Error::Elf(why) => write!(f, "a damaged ELF file: {why}"),
            Error::Dwarf(why) => write!(f, "damaged debug information: {why}"),
            Error::TooMuch => {
                f.write_str("the file asks for far more work than its size explains; it is damaged")
            }
        }
    }
}

impl std::error::Error for Error {}
