//! Opening an index, or saying why not.

use core::fmt;

use super::bytes::{u16_at, u32_at, u64_at};
use super::format::{
    AT_BASE, AT_BUILD_ID, AT_BUILD_ID_BYTES, AT_CRC, AT_LENGTH, AT_PARTS, AT_VERSION,
    BUILD_ID_BYTES, HEADER_BYTES, MAGIC, PARTS, Part, VERSION, checksum_of,
};

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
    /// A part of them lies outside of them.
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
                f.write_str("a damaged index of symbols: a part of it lies outside of it")
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
    build_id: &'a [u8],
    /// The link address that offsets count from.
    pub(super) base: u64,
    parts: [&'a [u8]; PARTS],
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
        let mut index = Index {
            build_id: whole
                .get(AT_BUILD_ID..AT_BUILD_ID + BUILD_ID_BYTES)?
                .get(..id_bytes)?,
            base: u64_at(whole, AT_BASE)?,
            parts: [&[]; PARTS],
        };
        for (position, (slot, part)) in index.parts.iter_mut().zip(Part::ALL).enumerate() {
            let at = AT_PARTS.checked_add(position.checked_mul(8)?)?;
            let start = usize::try_from(u32_at(whole, at)?).ok()?;
            let elements = usize::try_from(u32_at(whole, at.checked_add(4)?)?).ok()?;
            let bytes = elements.checked_mul(part.element_bytes())?;
            *slot = whole.get(start..start.checked_add(bytes)?)?;
        }
        Some(index)
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

    pub(super) fn part(&self, part: Part) -> &'a [u8] {
        self.parts.get(part as usize).copied().unwrap_or_default()
    }

    /// How many elements a part has.
    pub(super) fn count(&self, part: Part) -> usize {
        self.part(part).len() / part.element_bytes()
    }

    /// An element of a part.
    pub(super) fn element(&self, part: Part, number: usize) -> Option<&'a [u8]> {
        let at = number.checked_mul(part.element_bytes())?;
        self.part(part)
            .get(at..at.checked_add(part.element_bytes())?)
    }

    /// The last element of a sorted part, each of `N` bytes, whose first four are a number not above `most`.
    pub(super) fn last_not_above<const N: usize>(&self, part: Part, most: u32) -> Option<usize> {
        let (elements, _) = self.part(part).as_chunks::<N>();
        let after = elements.partition_point(|element| {
            u32_at(element.as_slice(), 0).is_some_and(|first| first <= most)
        });
        after.checked_sub(1)
    }
}
