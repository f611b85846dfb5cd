//! Where names come from: debug information, or an index made of it.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use super::demangle::demangle;
use super::progress::Progress;
use super::{Failure, apart};
use crate::Index;
use crate::dwarf::{Debug, Elf, Frame, SplitOff};

/// How many bytes are read before somebody hears of it.
const AT_ONCE: u64 = 1 << 24;

/// A file in memory.
pub(super) struct Loaded(Vec<u8>);

impl Loaded {
    pub(super) fn read(file: &Path) -> Result<Self, Failure> {
        let bytes = Self::bytes(file);
        let bytes = bytes.map_err(|why| format!("cannot read {}: {why}", file.display()))?;
        Ok(Loaded(bytes))
    }

    fn bytes(file: &Path) -> io::Result<Vec<u8>> {
        let mut open = File::open(file)?;
        let length = open.metadata()?.len();
        let mut progress = Progress::new(&format!("reading {}", file.display()), length);
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
        while open.by_ref().take(AT_ONCE).read_to_end(&mut bytes)? > 0 {
            progress.at(u64::try_from(bytes.len()).unwrap_or(length));
        }
        Ok(bytes)
    }

    /// The file as an ELF file, unless it is an index.
    pub(super) fn elf(&self, file: &Path) -> Result<Option<Elf<'_>>, Failure> {
        if self.0.starts_with(b"RWSYMBOL") {
            return Ok(None);
        }
        let elf = Elf::read(&self.0).map_err(|why| format!("{}: {why}", file.display()))?;
        Ok(Some(elf))
    }
}

impl Loaded {
    /// The file as what was split off another.
    pub(super) fn split(&self) -> Result<Elf<'_>, crate::dwarf::Error> {
        Elf::read_split(&self.0)
    }
}

/// Something that names addresses.
pub(super) enum Source<'a> {
    Debug(Box<Debug<'a>>),
    Index(Box<Index<'a>>),
}

/// An address with a name: `name+0x12`, and where in the sources.
pub(super) struct Short {
    pub(super) name: String,
    pub(super) place: Option<String>,
}

impl<'a> Source<'a> {
    pub(super) fn open(
        loaded: &'a Loaded,
        elf: Option<&'a Elf<'a>>,
        split: &'a [Elf<'a>],
        file: &Path,
    ) -> Result<Self, Failure> {
        let Some(elf) = elf else {
            let index =
                Index::open(&loaded.0).map_err(|why| format!("{}: {why}", file.display()))?;
            return Ok(Source::Index(Box::new(index)));
        };
        let mut progress = Progress::new("reading debug information", elf.debug_bytes());
        let debug = Debug::read_with(elf, split, &mut |done, of| {
            progress.at(elf
                .debug_bytes()
                .saturating_mul(done)
                .checked_div(of)
                .unwrap_or(0));
        });
        drop(progress);
        let debug = debug.map_err(|why| format!("{}: {why}", file.display()))?;
        Ok(Source::Debug(Box::new(debug)))
    }

    /// The parts that were split off, and that it was not opened with.
    pub(super) fn split_off(&self) -> Vec<SplitOff> {
        match self {
            Source::Debug(debug) => debug.split_off(),
            Source::Index(_) => Vec::new(),
        }
    }

    /// Says what is not known, and why, a line each.
    pub(super) fn warn(&self, file: &Path) {
        let Source::Debug(debug) = self else { return };
        for why in debug.damaged() {
            eprintln!("symbolize: {}: a part is left out: {why}", file.display());
        }
        if debug.elf().debug_bytes() == 0 {
            eprintln!(
                "symbolize: {} has no debug information: only symbols are known",
                file.display()
            );
        }
        if let Some(missing) = apart::missing(file, &debug.split_off()) {
            eprintln!("symbolize: {missing}");
        }
    }

    /// Where a section of the file begins.
    pub(super) fn start_of(&self, section: &str) -> Option<u64> {
        match self {
            Source::Debug(debug) => debug.elf().start_of(section),
            Source::Index(_) => None,
        }
    }

    /// How many characters an address has, `0x` included.
    pub(super) fn width(&self) -> usize {
        match self {
            Source::Debug(debug) if debug.elf().is_32_bit() => 10,
            _ => 18,
        }
    }

    /// The build id, in hex.
    pub(super) fn build_id(&self) -> String {
        let bytes = match self {
            Source::Debug(debug) => debug.elf().build_id(),
            Source::Index(index) => index.build_id(),
        };
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Who is at an address, innermost first. An index has no names that are not demangled.
    pub(super) fn frames(&self, address: u64, demangled: bool) -> Result<Vec<Frame>, Failure> {
        let mut frames = match self {
            Source::Debug(debug) => debug.frames(address)?,
            Source::Index(index) => index
                .lookup(address)
                .into_iter()
                .flat_map(|found| {
                    let start = found.symbol.map(|symbol| symbol.address);
                    found.frames.map(move |frame| Frame {
                        function: Some(frame.function.to_string()).filter(|name| !name.is_empty()),
                        start: start.filter(|_| !frame.is_inlined),
                        file: Some(frame.file.to_string()).filter(|path| !path.is_empty()),
                        line: frame.line,
                        column: frame.column,
                    })
                })
                .collect(),
        };
        if demangled {
            for name in frames
                .iter_mut()
                .filter_map(|frame| frame.function.as_mut())
            {
                *name = demangle(name);
            }
        }
        Ok(frames)
    }

    /// The function or variable at an address, if it lies in one whose end is known or begins there.
    ///
    /// Of an address that a call returns to it is the call's place, and the offset that of the return.
    pub(super) fn short(&self, address: u64, is_return: bool) -> Option<Short> {
        let asked = address;
        let address = address.checked_sub(is_return.into())?;
        let (name, start, is_code) = match self {
            Source::Debug(debug) => {
                let symbol = debug.elf().symbol_at(address)?;
                let is_known = symbol.bytes > 0 || symbol.is_code || symbol.address == address;
                is_known.then(|| (demangle(symbol.name), symbol.address, symbol.is_code))?
            }
            Source::Index(index) => {
                let symbol = index.lookup(address)?.symbol?;
                (symbol.name.to_string(), symbol.address, symbol.is_code)
            }
        };
        let place = self
            .frames(address, false)
            .ok()
            .filter(|_| is_code)
            .and_then(|frames| {
                let frame = frames.into_iter().next()?;
                Some(format!("{}:{}", frame.file?, frame.line))
            });
        Some(Short {
            name: match asked.checked_sub(start) {
                None | Some(0) => name,
                Some(offset) => format!("{name}+{offset:#x}"),
            },
            place,
        })
    }
}
