//! Where everything is in an index. `docs/symbols-index.md` says the same in words.

use crc::{CRC_32_ISO_HDLC, Crc, Table};

/// The first bytes of every index.
pub(crate) const MAGIC: [u8; 8] = *b"RWSYMBOL";
/// The version this code reads and writes.
pub(crate) const VERSION: u16 = 4;
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
/// How many bits of a place are its column.
pub(crate) const AT_COLUMN_BITS: usize = 41;
/// How many symbols of texts take one byte.
pub(crate) const AT_SHORT_SYMBOLS: usize = 42;
pub(crate) const AT_BASE: usize = 44;
/// From which value on a place is a number of a wide one.
pub(crate) const AT_WIDE_FROM: usize = 52;
/// How many elements each part has, and then how many bits each field of the packed parts.
pub(crate) const AT_COUNTS: usize = 56;
pub(crate) const AT_WIDTHS: usize = AT_COUNTS + PARTS * 4;
/// The longest build id there is room for.
pub(crate) const BUILD_ID_BYTES: usize = 20;
/// The header: everything above.
pub(crate) const HEADER_BYTES: usize = AT_WIDTHS + FIELDS;

/// The parts behind the header, in this order. The first nine are packed: an element is some fields of
/// so many bits each as the header says, one behind the other.
#[cfg(feature = "std")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// What a symbol of a text stands for. The first one, so that a text can be read by who knows only where it is.
    Grammar,
    /// Functions that are there as such, and variables.
    Symbols,
    /// Where each block of rows begins.
    Blocks,
    /// Where each group of contexts begins.
    ContextGroups,
    /// Which function calls which, and where.
    Calls,
    /// Lines and columns of a function.
    Places,
    /// Those that do not fit there.
    WidePlaces,
    /// Where every fourth function's record, calls and places begin, and its file.
    Functions,
    /// Source files, and which functions are in each.
    Files,
    /// What the first byte of a row stands for.
    RowCodes,
    /// Which context and which place hold from which address on.
    Rows,
    /// Inlined calls, as they are nested.
    Contexts,
    /// Records of functions, and names of files.
    Texts,
}

pub(crate) const PARTS: usize = 13;
/// How many fields the packed parts have together.
pub(crate) const FIELDS: usize = 23;
/// The most bits of a field.
pub(crate) const WIDEST: u8 = 32;
/// Behind the last part: so that a field can be read with the seven bytes that follow it.
pub(crate) const PADDING: usize = 7;

#[cfg(feature = "std")]
impl Part {
    pub(crate) const ALL: [Part; PARTS] = [
        Part::Grammar,
        Part::Symbols,
        Part::Blocks,
        Part::ContextGroups,
        Part::Calls,
        Part::Places,
        Part::WidePlaces,
        Part::Functions,
        Part::Files,
        Part::RowCodes,
        Part::Rows,
        Part::Contexts,
        Part::Texts,
    ];

    /// How many fields an element of a packed part has; 0 of another.
    pub(crate) const fn fields(self) -> usize {
        match self {
            Part::Symbols | Part::Blocks | Part::Functions => 4,
            Part::WidePlaces => 3,
            Part::Calls | Part::Files | Part::Grammar => 2,
            Part::ContextGroups | Part::Places => 1,
            Part::RowCodes | Part::Rows | Part::Contexts | Part::Texts => 0,
        }
    }
}

/// How many rows a block has, and how many contexts and functions share an element of
/// [`Part::ContextGroups`] and [`Part::Functions`].
pub(crate) const ROWS_IN_A_BLOCK: usize = 48;
pub(crate) const CONTEXTS_IN_A_GROUP: usize = 8;
pub(crate) const FUNCTIONS_IN_A_GROUP: usize = 4;

/// How deep inlined calls may be nested. Deeper ones are left out.
pub(crate) const DEEPEST: usize = 64;

/// Two small numbers in a byte, each of which goes on in a varint if it has this value.
pub(crate) const LONG_NIBBLE: u8 = 15;

/// The most bits of a place.
pub(crate) const PLACE_BITS: u8 = 20;

/// A code of a row has two bytes: 5 bits of distance, 5 of context, 6 of place. A field that has all bits set,
/// and a context of [`OTHER_CONTEXT`], goes on in a varint.
pub(crate) const ROW_CODE_BYTES: usize = 2;
pub(crate) const LONG_DISTANCE: u16 = 31;
pub(crate) const CONTEXT_SHIFT: u32 = 5;
pub(crate) const LONGEST_CONTEXT: u16 = 31;
pub(crate) const PLACE_SHIFT: u32 = 10;
pub(crate) const LONG_PLACE: u16 = 63;

/// How the context changes from row to row. From [`NEAR_CONTEXT`] on, what another would have in its varint: 0 for
/// none, or 1 and how far it is from the last one that no row reached as a parent. So rows can be passed without
/// looking at contexts.
pub(crate) const SAME_CONTEXT: u16 = 0;
pub(crate) const NEW_CONTEXT: u16 = 1;
pub(crate) const PARENT_CONTEXT: u16 = 2;
pub(crate) const OTHER_CONTEXT: u16 = 3;
pub(crate) const NEAR_CONTEXT: u16 = 4;

/// The most symbols that texts are made of.
#[cfg(feature = "std")]
pub(crate) const MOST_SYMBOLS: usize = 1 << 15;
/// How deep symbols may be nested.
pub(crate) const DEEPEST_SYMBOL: usize = 24;
/// The longest text, in bytes of UTF-8.
pub(crate) const LONGEST_TEXT: usize = 8192;
