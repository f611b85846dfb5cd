//! Opening an index, or saying why not.

use core::fmt;

use super::bytes::{u16_at, u32_at, u64_at};
use super::format::{
    AT_BASE, AT_BUILD_ID, AT_BUILD_ID_BYTES, AT_COLUMN_BITS, AT_COUNTS, AT_CRC, AT_LENGTH,
    AT_VERSION, AT_WIDE_FROM, AT_WIDTHS, BUILD_ID_BYTES, HEADER_BYTES, MAGIC, PADDING, PLACE_BITS,
    ROW_CODE_BYTES, VERSION, checksum_of,
};
use super::table::Table;

/// Why bytes are not taken for the index of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// They do not begin like an index.
    NotAnIndex,
    /// They are of another version.
    Version {
        /// Theirs.
        found: u16,
        /// Ours.
        known: u16,
    },
    /// There are fewer of them, or more, than they say themselves.
    Length {
        /// How many there should be.
        said: u64,
        /// How many there are.
        found: u64,
    },
    /// They are not what was written.
    Checksum {
        /// What was written gives this.
        said: u32,
        /// What is there gives this.
        found: u32,
    },
    /// Their parts are shorter or longer than they are.
    Parts,
    /// They are the index of another build.
    Foreign {
        /// The build they are of.
        index: BuildId,
        /// The build that was asked about.
        image: BuildId,
    },
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::NotAnIndex => f.write_str("not an index of symbols"),
            Refused::Version { found, known } => {
                write!(
                    f,
                    "an index of symbols of version {found}; version {known} is known here"
                )
            }
            Refused::Length { said, found } => {
                write!(f, "a damaged index of symbols: {found} bytes of {said}")
            }
            Refused::Checksum { said, found } => write!(
                f,
                "a damaged index of symbols: its checksum is {found:08x}, not {said:08x}"
            ),
            Refused::Parts => {
                f.write_str("a damaged index of symbols: its parts are not as long as it is")
            }
            Refused::Foreign { index, image } => {
                write!(f, "the index of symbols is of build {index}, not {image}")
            }
        }
    }
}

impl core::error::Error for Refused {}

/// What the linker calls a build; the first bytes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BuildId([u8; 6], u8);

impl BuildId {
    fn of(bytes: &[u8]) -> Self {
        let mut id = BuildId([0; 6], 0);
        for (place, byte) in id.0.iter_mut().zip(bytes) {
            *place = *byte;
            id.1 = id.1.saturating_add(1);
        }
        id
    }
}

impl fmt::Display for BuildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.1 == 0 {
            return f.write_str("unknown");
        }
        self.0
            .iter()
            .take(self.1.into())
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// An index that has been found whole.
#[derive(Clone, Copy)]
pub struct Index<'a> {
    /// All of it: texts are read from there.
    pub(super) whole: &'a [u8],
    /// Where in it the texts begin.
    pub(super) texts: usize,
    build_id: &'a [u8],
    /// The link address that offsets count from.
    pub(super) base: u64,
    /// How many bits of a place are its column, and from where on it is a number of a wide one.
    pub(super) column_bits: u8,
    pub(super) wide_from: u32,
    pub(super) symbols: Table<'a, 4>,
    pub(super) blocks: Table<'a, 4>,
    pub(super) context_groups: Table<'a, 1>,
    pub(super) calls: Table<'a, 2>,
    pub(super) places: Table<'a, 1>,
    pub(super) wide_places: Table<'a, 3>,
    pub(super) functions: Table<'a, 4>,
    pub(super) files: Table<'a, 2>,
    pub(super) row_codes: &'a [u8],
    pub(super) rows: &'a [u8],
    pub(super) contexts: &'a [u8],
}

impl fmt::Debug for Index<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Index(build {})", BuildId::of(self.build_id))
    }
}

impl<'a> Index<'a> {
    /// Takes bytes for an index. What follows it is left alone.
    ///
    /// # Errors
    ///
    /// They are none, or are damaged.
    pub fn open(bytes: &'a [u8]) -> Result<Self, Refused> {
        if bytes.get(..MAGIC.len()) != Some(&MAGIC) {
            return Err(Refused::NotAnIndex);
        }
        let found = bytes.len();
        let too_short = Refused::Length {
            said: HEADER_BYTES as u64,
            found: found as u64,
        };
        let version = u16_at(bytes, AT_VERSION).ok_or(too_short)?;
        if version != VERSION {
            return Err(Refused::Version {
                found: version,
                known: VERSION,
            });
        }
        let said = u32_at(bytes, AT_LENGTH).ok_or(too_short)?;
        let whole = usize::try_from(said)
            .ok()
            .and_then(|said| bytes.get(..said));
        let whole = whole.ok_or(Refused::Length {
            said: said.into(),
            found: found as u64,
        })?;
        let checksum = u32_at(whole, AT_CRC).ok_or(too_short)?;
        let computed = checksum_of(whole);
        if checksum != computed {
            return Err(Refused::Checksum {
                said: checksum,
                found: computed,
            });
        }
        Self::parts(whole).ok_or(Refused::Parts)
    }

    fn parts(whole: &'a [u8]) -> Option<Self> {
        let id_bytes = usize::from(*whole.get(AT_BUILD_ID_BYTES)?);
        let column_bits = *whole.get(AT_COLUMN_BITS)?;
        let mut parts = Parts {
            counts: whole.get(AT_COUNTS..AT_WIDTHS)?,
            widths: whole.get(AT_WIDTHS..HEADER_BYTES)?,
            rest: whole.get(HEADER_BYTES..)?,
        };
        // The texts find their grammar themselves.
        parts.table::<2>()?;
        let mut index = Index {
            whole,
            texts: 0,
            build_id: whole
                .get(AT_BUILD_ID..AT_BUILD_ID + BUILD_ID_BYTES)?
                .get(..id_bytes)?,
            base: u64_at(whole, AT_BASE)?,
            column_bits,
            wide_from: u32_at(whole, AT_WIDE_FROM)?,
            symbols: parts.table()?,
            blocks: parts.table()?,
            context_groups: parts.table()?,
            calls: parts.table()?,
            places: parts.table()?,
            wide_places: parts.table()?,
            functions: parts.table()?,
            files: parts.table()?,
            row_codes: parts.bytes(ROW_CODE_BYTES)?,
            rows: parts.bytes(1)?,
            contexts: parts.bytes(1)?,
        };
        index.texts = whole.len().checked_sub(parts.rest.len())?;
        parts.bytes(1)?;
        (column_bits <= PLACE_BITS && parts.rest.len() == PADDING).then_some(index)
    }

    /// What the linker called the build that this was made from.
    #[must_use]
    pub fn build_id(&self) -> &'a [u8] {
        self.build_id
    }

    /// Refuses an index of another build. Of a build without an id, nothing can be told.
    ///
    /// # Errors
    ///
    /// The ids differ in what both have of them.
    pub fn is_of(&self, build_id: &[u8]) -> Result<(), Refused> {
        let common = self.build_id.len().min(build_id.len());
        let is_same = common > 0 && self.build_id.get(..common) == build_id.get(..common);
        match is_same {
            true => Ok(()),
            false => Err(Refused::Foreign {
                index: BuildId::of(self.build_id),
                image: BuildId::of(build_id),
            }),
        }
    }
}

/// What has not been taken apart yet, part by part.
struct Parts<'a> {
    counts: &'a [u8],
    widths: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Parts<'a> {
    fn count(&mut self) -> Option<usize> {
        let (count, rest) = self.counts.split_first_chunk()?;
        self.counts = rest;
        usize::try_from(u32::from_le_bytes(*count)).ok()
    }

    fn table<const N: usize>(&mut self) -> Option<Table<'a, N>> {
        let count = self.count()?;
        let (widths, others) = self.widths.split_at_checked(N)?;
        let (table, length) = Table::open(self.rest, count, widths)?;
        self.widths = others;
        self.rest = self.rest.get(length..)?;
        Some(table)
    }

    fn bytes(&mut self, each: usize) -> Option<&'a [u8]> {
        let length = self.count()?.checked_mul(each)?;
        let (bytes, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(bytes)
    }
}
