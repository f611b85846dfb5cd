//! An ELF file: its sections, uncompressed, its symbols, its build id.

use std::borrow::Cow;

use object::read::elf::{ElfFile32, ElfFile64};
use object::{
    CompressionFormat, Endianness, Object, ObjectKind, ObjectSection as _, ObjectSymbol as _,
    SectionFlags, SymbolFlags, SymbolSection,
};

use super::Error;

/// The most a compressed section may grow to, however little it takes in the file.
const LARGEST: u64 = 1 << 32;
/// DEFLATE cannot do better than 1032 to 1; Zstandard can, but no debug information does.
const BEST_RATIO: u64 = 1100;

/// What is in a file, as far as names are concerned.
#[derive(Debug)]
pub struct Elf<'data> {
    pub(super) sections: Vec<Section<'data>>,
    /// Sorted by address, at most one for each.
    pub(crate) symbols: Vec<Symbol<'data>>,
    pub(crate) code: Vec<core::ops::Range<u64>>,
    /// Every section that is in memory, and where.
    placed: Vec<(&'data str, u64)>,
    pub(super) endian: gimli::RunTimeEndian,
    build_id: Vec<u8>,
    is_32_bit: bool,
}

/// The sections that names and lines come from.
const WANTED: [&str; 23] = [
    ".debug_abbrev",
    ".debug_addr",
    ".debug_aranges",
    ".debug_info",
    ".debug_line",
    ".debug_line_str",
    ".debug_ranges",
    ".debug_rnglists",
    ".debug_str",
    ".debug_str_offsets",
    // What was split off has these.
    ".debug_abbrev.dwo",
    ".debug_info.dwo",
    ".debug_line.dwo",
    ".debug_rnglists.dwo",
    ".debug_str.dwo",
    ".debug_str_offsets.dwo",
    ".debug_cu_index",
    ".debug_tu_index",
    // Nothing is read of these; but a package is damaged if one is missing that its index knows.
    ".debug_loc.dwo",
    ".debug_loclists.dwo",
    ".debug_macinfo.dwo",
    ".debug_macro.dwo",
    ".debug_types.dwo",
];

/// The name under which a section is wanted. Old linkers compressed `.debug_x` into `.zdebug_x`.
fn wanted(name: &str) -> Option<&'static str> {
    let plain = name
        .strip_prefix(".debug_")
        .or(name.strip_prefix(".zdebug_"))?;
    WANTED
        .into_iter()
        .find(|wanted| wanted.strip_prefix(".debug_") == Some(plain))
}

#[derive(Debug)]
pub(super) struct Section<'data> {
    name: &'static str,
    bytes: Cow<'data, [u8]>,
}

/// A name that the linker gave an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Symbol<'data> {
    /// Where it begins.
    pub address: u64,
    /// How long it is; 0 if the file does not say.
    pub bytes: u64,
    /// As it is in the file.
    pub name: &'data str,
    /// Whether it names code, not data.
    pub is_code: bool,
}

impl Symbol<'_> {
    /// Whether an address lies in it, as far as it is known to reach.
    pub(crate) fn contains(&self, address: u64) -> bool {
        match address.checked_sub(self.address) {
            Some(distance) => self.bytes == 0 || distance < self.bytes,
            None => false,
        }
    }
}

impl<'data> Elf<'data> {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// It is no ELF file, is damaged, or is not linked.
    pub fn read(data: &'data [u8]) -> Result<Self, Error> {
        Self::read_as(data, false)
    }

    /// Reads a file that debug information was split off into: a `.dwo`, or a `.dwp` with many of them.
    ///
    /// # Errors
    ///
    /// It is no ELF file, or is damaged.
    pub fn read_split(data: &'data [u8]) -> Result<Self, Error> {
        Self::read_as(data, true)
    }

    fn read_as(data: &'data [u8], is_split: bool) -> Result<Self, Error> {
        let class = data.get(4).copied();
        if data.starts_with(b"!<arch>\n") || data.starts_with(b"!<thin>\n") {
            return Err(Error::Archive);
        }
        if data.get(..4) != Some(b"\x7fELF") {
            return Err(Error::NotElf);
        }
        match class {
            Some(2) => Self::of(&ElfFile64::<Endianness, _>::parse(data)?, data, is_split),
            _ => Self::of(&ElfFile32::<Endianness, _>::parse(data)?, data, is_split),
        }
    }

    fn of<'file, O: Object<'data>>(
        file: &'file O,
        data: &'data [u8],
        is_split: bool,
    ) -> Result<Self, Error> {
        // In what was split off there is nothing for a linker to do.
        if file.kind() == ObjectKind::Relocatable && !is_split {
            return Err(Error::NotLinked);
        }
        let mut elf = Elf {
            sections: Vec::new(),
            symbols: Vec::new(),
            code: Vec::new(),
            placed: Vec::new(),
            endian: match file.is_little_endian() {
                true => gimli::RunTimeEndian::Little,
                false => gimli::RunTimeEndian::Big,
            },
            is_32_bit: !file.is_64(),
            build_id: file.build_id()?.unwrap_or_default().to_vec(),
        };
        // Sections may overlap, and a damaged file may say so of thousands.
        let mut room = LARGEST.min(
            u64::try_from(data.len())
                .unwrap_or(0)
                .saturating_mul(BEST_RATIO),
        );
        for section in file.sections() {
            let SectionFlags::Elf { sh_flags, .. } = section.flags() else {
                continue;
            };
            let end = section.address().saturating_add(section.size());
            if sh_flags.contains(object::elf::SHF_EXECINSTR) {
                elf.code.push(section.address()..end);
            }
            let Ok(name) = section.name() else { continue };
            if sh_flags.contains(object::elf::SHF_ALLOC) {
                elf.placed.push((name, section.address()));
            }
            let Some(wanted) = wanted(name) else { continue };
            if elf.sections.iter().any(|section| section.name == wanted) {
                continue;
            }
            let compressed = section.compressed_data()?;
            if compressed.format != CompressionFormat::None {
                let most = u64::try_from(compressed.data.len())
                    .unwrap_or(0)
                    .saturating_mul(BEST_RATIO);
                if compressed.uncompressed_size > most.min(room) {
                    return Err(Error::TooMuch);
                }
                room -= compressed.uncompressed_size;
            }
            elf.sections.push(Section {
                name: wanted,
                bytes: compressed.decompress()?,
            });
        }
        elf.code.sort_by_key(|range| range.start);
        elf.symbols = symbols(file);
        Ok(elf)
    }

    /// The linker's build id; empty if it left none.
    #[must_use]
    pub fn build_id(&self) -> &[u8] {
        &self.build_id
    }

    /// Whether addresses have 32 bits.
    #[must_use]
    pub fn is_32_bit(&self) -> bool {
        self.is_32_bit
    }

    /// How many bytes of debug information there are, uncompressed.
    #[must_use]
    pub fn debug_bytes(&self) -> u64 {
        let sizes = self.sections.iter().map(|section| section.bytes.len());
        sizes
            .map(|bytes| u64::try_from(bytes).unwrap_or(u64::MAX))
            .fold(0, u64::saturating_add)
    }

    /// Whether many files of split debug information were put into this one.
    pub(super) fn is_package(&self) -> bool {
        !self.section(".debug_cu_index").is_empty()
    }

    /// Where code is, sorted.
    #[must_use]
    pub fn code(&self) -> &[core::ops::Range<u64>] {
        &self.code
    }

    /// Where a section begins.
    #[must_use]
    pub fn start_of(&self, section: &str) -> Option<u64> {
        let found = self.placed.iter().find(|(name, _)| *name == section);
        found.map(|(_, address)| *address)
    }

    /// Every named address, sorted, at most one name for each.
    #[must_use]
    pub fn symbols(&self) -> &[Symbol<'data>] {
        &self.symbols
    }

    /// The symbol an address lies in.
    #[must_use]
    pub fn symbol_at(&self, address: u64) -> Option<&Symbol<'data>> {
        let after = self
            .symbols
            .partition_point(|symbol| symbol.address <= address);
        let symbol = self.symbols.get(after.checked_sub(1)?)?;
        symbol.contains(address).then_some(symbol)
    }

    pub(super) fn section(&self, name: &str) -> &[u8] {
        let found = self.sections.iter().find(|section| section.name == name);
        found.map_or(&[], |section| &section.bytes)
    }
}

/// The symbols that a name may be taken from. Of several at an address the longest one is kept, and
/// of equals the last: so does `llvm-symbolizer`.
fn symbols<'data, O: Object<'data>>(file: &O) -> Vec<Symbol<'data>> {
    let mut symbols: Vec<Symbol<'data>> = Vec::new();
    let allocated = |index| {
        let section = file.section_by_index(index).ok()?;
        match section.flags() {
            SectionFlags::Elf { sh_flags, .. } => Some(sh_flags),
            _ => None,
        }
        .filter(|flags| flags.contains(object::elf::SHF_ALLOC))
    };
    for symbol in file.symbols() {
        let SymbolSection::Section(index) = symbol.section() else {
            continue;
        };
        let (Some(section), SymbolFlags::Elf { st_info, .. }) = (allocated(index), symbol.flags())
        else {
            continue;
        };
        let kind = st_info.st_type();
        use object::elf::{STT_FUNC, STT_GNU_IFUNC, STT_NOTYPE, STT_OBJECT};
        if ![STT_NOTYPE, STT_FUNC, STT_OBJECT, STT_GNU_IFUNC].contains(&kind) {
            continue;
        }
        let Ok(name) = symbol.name() else { continue };
        if name.is_empty() {
            continue;
        }
        symbols.push(Symbol {
            address: symbol.address(),
            bytes: symbol.size(),
            name,
            is_code: kind != STT_OBJECT && section.contains(object::elf::SHF_EXECINSTR),
        });
    }
    symbols.sort_by_key(|symbol| (symbol.address, symbol.bytes));
    // `dedup_by` keeps the first of equals, and we want the last.
    symbols.reverse();
    symbols.dedup_by_key(|symbol| symbol.address);
    symbols.reverse();
    symbols
}
