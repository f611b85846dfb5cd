//! Where everything is in an index. `docs/symbols-index.md` says the same in words.

use crc::{CRC_32_ISO_HDLC, Crc, Table};

/// The first bytes of every index.
pub(crate) const MAGIC: [u8; 8] = *b"RWSYMBOL";
/// The version this code reads and writes.
pub(crate) const VERSION: u16 = 2;
/// The checksum. The table is small: a kernel carries it.
const CRC: Crc<u32, Table<1>> = Crc::<u32, Table<1>>::new(&CRC_32_ISO_HDLC);

/// The checksum over everything but itself.
pub(crate) fn checksum_of(index: &[u8]) -> u32 {
    let mut digest = CRC.digest();
    digest.update(index.get(..AT_CRC).unwrap_or_default());
    digest.update(index.get(AT_CRC + 4..).unwrap_or_default());
    digest.finalize()
}

pub(crate) const AT_VERSION: usize = 8;
pub(crate) const AT_LENGTH: usize = 12;
pub(crate) const AT_CRC: usize = 16;
pub(crate) const AT_BUILD_ID_BYTES: usize = 20;
pub(crate) const AT_BUILD_ID: usize = 21;
pub(crate) const AT_BASE: usize = 44;
pub(crate) const AT_PARTS: usize = 52;
/// The longest build id there is room for.
pub(crate) const BUILD_ID_BYTES: usize = 20;
/// The header: the fields above, and an offset and a number of elements for each part.
pub(crate) const HEADER_BYTES: usize = AT_PARTS + PARTS * 8;

/// The parts behind the header, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Functions that are there as such, and variables.
    Symbols,
    /// Where each block of rows begins.
    Blocks,
    /// Which context and which place hold from which address on.
    Rows,
    /// Where each group of contexts begins.
    ContextGroups,
    /// Inlined calls, as they are nested.
    Contexts,
    /// Which function calls which, and where.
    Calls,
    /// Lines and columns of a function.
    Places,
    /// Those that do not fit there.
    WidePlaces,
    /// Where every fourth function's record, calls and places begin, and its file.
    Functions,
    /// Records of functions, and names of files.
    Texts,
    /// Source files, and which functions are in each.
    Files,
    /// What a symbol of a text stands for.
    Grammar,
}

pub(crate) const PARTS: usize = 12;

impl Part {
    pub(crate) const ALL: [Part; PARTS] = [
        Part::Symbols,
        Part::Blocks,
        Part::Rows,
        Part::ContextGroups,
        Part::Contexts,
        Part::Calls,
        Part::Places,
        Part::WidePlaces,
        Part::Functions,
        Part::Texts,
        Part::Files,
        Part::Grammar,
    ];

    /// How many bytes an element has.
    pub(crate) const fn element_bytes(self) -> usize {
        match self {
            Part::Symbols => SYMBOL_BYTES,
            Part::Blocks => BLOCK_BYTES,
            Part::Rows | Part::Contexts | Part::Texts => 1,
            Part::Places => 2,
            Part::ContextGroups => 3,
            Part::Calls | Part::Grammar => 4,
            Part::WidePlaces => WIDE_PLACE_BYTES,
            Part::Functions => FUNCTION_GROUP_BYTES,
            Part::Files => FILE_BYTES,
        }
    }
}

/// How many bytes the elements have that are searched.
pub(crate) const SYMBOL_BYTES: usize = 10;
pub(crate) const BLOCK_BYTES: usize = 13;
pub(crate) const WIDE_PLACE_BYTES: usize = 7;
pub(crate) const FILE_BYTES: usize = 5;
pub(crate) const FUNCTION_GROUP_BYTES: usize = 11;

/// How many rows a block has, and how many contexts and functions share an element of
/// [`Part::ContextGroups`] and [`Part::Functions`].
pub(crate) const ROWS_IN_A_BLOCK: usize = 64;
pub(crate) const CONTEXTS_IN_A_GROUP: usize = 8;
pub(crate) const FUNCTIONS_IN_A_GROUP: usize = 4;

/// How deep inlined calls may be nested. Deeper ones are left out.
pub(crate) const DEEPEST: usize = 64;

/// The bit of a symbol's size that says it is a variable.
pub(crate) const IS_DATA: u32 = 1 << 31;

/// Two small numbers in a byte, each of which goes on in a varint if it has this value.
pub(crate) const LONG_NIBBLE: u8 = 15;

/// A place is 16 bits: the column in the lower ones, how far below the function's first line in the
/// upper ones; from this value on the rest is a number of a wide place.
pub(crate) const COLUMN_BITS: u32 = 7;
pub(crate) const WIDE_PLACE: u16 = 0xd000;

/// The first byte of a row: 4 bits of distance, 2 of context, 2 of place. Another context is 0 for
/// none, or 1 and how far it is from the last one that no row reached as a parent: so rows can be passed
/// without looking at contexts.
pub(crate) const LONG_DISTANCE: u8 = 15;
#[cfg(feature = "std")]
pub(crate) const SAME_CONTEXT: u8 = 0;
pub(crate) const NEW_CONTEXT: u8 = 1;
pub(crate) const PARENT_CONTEXT: u8 = 2;
pub(crate) const OTHER_CONTEXT: u8 = 3;
pub(crate) const OTHER_PLACE: u8 = 3;

/// The bit of an element of the grammar that says it is a character.
pub(crate) const IS_CHARACTER: u32 = 1 << 31;
/// How many bits a symbol of a text has, at most.
pub(crate) const SYMBOL_BITS: u32 = 15;
/// How deep symbols may be nested.
pub(crate) const DEEPEST_SYMBOL: usize = 24;
/// The longest text, in bytes of UTF-8.
pub(crate) const LONGEST_TEXT: usize = 8192;
