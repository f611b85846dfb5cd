//! Names from the debug information of an ELF file, as it is: for the host.
//!
//! Units are read the first time an address in them is asked for. The answers follow
//! `llvm-symbolizer`: the chain of calls comes from the tree of entries, the place of the innermost
//! one from the line table, and the name of the outermost one from the symbol table if it has one.

mod budget;
mod elf;
mod error;
mod lines;
mod split;
mod unit;
mod units;

pub use elf::{Elf, Symbol};
pub use error::Error;
pub(crate) use lines::Row;
pub use split::SplitOff;
pub(crate) use unit::Unit;

use budget::Budget;
use units::Units;

type Slice<'data> = gimli::EndianSlice<'data, gimli::RunTimeEndian>;

/// More calls than this inlined into each other are cut off.
const DEEPEST: usize = 256;
/// How many entries in other units a name may be referred on through.
const MOST_REFERENCES: usize = 16;

/// A function that an address is in, or into which that function was inlined.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// Its name as the linker knows it.
    pub function: Option<String>,
    /// Where it begins, unless it was inlined.
    pub start: Option<u64>,
    /// The path of the source file.
    pub file: Option<String>,
    /// The line, from 1; 0 if the compiler says that it belongs to none.
    pub line: u32,
    /// The column, from 1; 0 if it is not known.
    pub column: u32,
}

/// The debug information of a file.
#[derive(Debug)]
pub struct Debug<'elf> {
    elf: &'elf Elf<'elf>,
    dwarf: gimli::Dwarf<Slice<'elf>>,
    units: Units<'elf>,
    budget: Budget,
}

impl<'elf> Debug<'elf> {
    /// Reads the list of units.
    ///
    /// # Errors
    ///
    /// It asks for more work than its size explains. Damaged units are left out and [named](Self::damaged).
    pub fn read(elf: &'elf Elf<'elf>) -> Result<Self, Error> {
        Self::read_with(elf, &[], &mut |_, _| {})
    }

    /// The same with the files that parts of it were [split off](Self::split_off) into, and for a big file:
    /// `progress` hears how much of how much is done.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn read_with(
        elf: &'elf Elf<'elf>,
        split: &'elf [Elf<'elf>],
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Self, Error> {
        let load = |id: gimli::SectionId| -> Result<Slice<'elf>, Error> {
            Ok(Slice::new(elf.section(id.name()), elf.endian))
        };
        let dwarf = gimli::Dwarf::load(load)?;
        let all = split.iter().map(Elf::debug_bytes);
        let budget = Budget::new(all.fold(elf.debug_bytes(), u64::saturating_add));
        let units = Units::read(&dwarf, split, &budget, progress)?;
        Ok(Debug {
            elf,
            dwarf,
            units,
            budget,
        })
    }

    /// The file.
    #[must_use]
    pub fn elf(&self) -> &'elf Elf<'elf> {
        self.elf
    }

    /// What could not be read of the list of units.
    #[must_use]
    pub fn damaged(&self) -> &[Error] {
        &self.units.damaged
    }

    /// Where parts of the debug information are that were split off, and that were not among the files it was
    /// read with: functions and what is inlined. Lines and symbols are here all the same.
    #[must_use]
    pub fn split_off(&self) -> Vec<SplitOff> {
        let missing = self.units.units.iter().filter(|unit| unit.split.is_none());
        let named = missing.filter_map(|unit| {
            let name = unit.header.dwo_name().ok()??;
            let name = self.dwarf.attr_string(&unit.header, name).ok()?;
            let folder = unit.header.comp_dir.as_ref();
            Some(SplitOff {
                file: name.to_string_lossy().into_owned(),
                folder: folder.map(|folder| folder.to_string_lossy().into_owned()),
            })
        });
        named.collect()
    }

    /// Who is at an address, innermost first. Empty if nothing is known.
    ///
    /// # Errors
    ///
    /// The unit that covers the address is damaged.
    pub fn frames(&self, address: u64) -> Result<Vec<Frame>, Error> {
        let mut frames = match self.find(address)? {
            Some(found) => self.frames_in(&found)?,
            None => Vec::new(),
        };
        self.name_outermost(address, &mut frames);
        Ok(frames)
    }

    /// The symbol table knows better how the function is called.
    fn name_outermost(&self, address: u64, frames: &mut Vec<Frame>) {
        let Some(symbol) = self.elf.symbol_at(address).filter(|symbol| symbol.is_code) else {
            return;
        };
        if frames.is_empty() {
            frames.push(Frame::default());
        }
        if let Some(outermost) = frames.last_mut() {
            outermost.function = Some(symbol.name.to_owned());
            outermost.start = Some(symbol.address);
        }
    }

    /// The node and the row of an address.
    pub(crate) fn find(&self, address: u64) -> Result<Option<Found<'_, 'elf>>, Error> {
        // Functions that the linker left out are said to begin at 0, where there is nothing.
        if !self.elf.code().iter().any(|range| range.contains(&address)) {
            return Ok(None);
        }
        let mut best: Option<Found<'_, 'elf>> = None;
        let mut damage = None;
        for index in self.units.at(address) {
            self.budget.spend(1)?;
            let unit = match self.unit(index) {
                Ok(unit) => unit,
                Err(why) => {
                    damage = Some(why);
                    continue;
                }
            };
            let found = Found {
                index,
                unit,
                node: unit.node_at(address),
                row: unit
                    .lines
                    .as_ref()
                    .and_then(|lines| lines.at(address))
                    .copied(),
            };
            if found.node.is_some() {
                return Ok(Some(found));
            }
            if found.row.is_some() {
                best.get_or_insert(found);
            }
        }
        match (best, damage) {
            (None, Some(why)) => Err(why),
            (best, _) => Ok(best),
        }
    }

    fn frames_in(&self, found: &Found<'_, 'elf>) -> Result<Vec<Frame>, Error> {
        let mut frames = Vec::new();
        let path = |file| self.path(found.index, file);
        let mut place = found.row.map(|row| (path(row.file), row.line, row.column));
        let mut at = found.node;
        while let Some(node) = at.and_then(|index| found.unit.nodes.get(index)) {
            if frames.len() >= DEEPEST {
                break;
            }
            let (file, line, column) = place.take().unwrap_or_default();
            frames.push(Frame {
                function: self.name(found.index, node.entry)?,
                start: node.start,
                file,
                line,
                column,
            });
            place = Some((
                node.call_file.and_then(path),
                node.call_line,
                node.call_column,
            ));
            at = node.parent;
        }
        if let (true, Some((file, line, column))) = (frames.is_empty(), place) {
            frames.push(Frame {
                file,
                line,
                column,
                ..Frame::default()
            });
        }
        Ok(frames)
    }

    /// How many units there are.
    pub(crate) fn unit_count(&self) -> usize {
        self.units.units.len()
    }

    /// A unit, with its tree and its lines.
    pub(crate) fn unit(&self, index: usize) -> Result<&Unit<'elf>, Error> {
        match self.units.units.get(index) {
            Some(unit) => unit.read(&self.dwarf, &self.budget),
            None => Err(Error::TooMuch),
        }
    }

    /// The path of a file of a unit.
    pub(crate) fn path(&self, unit: usize, file: u64) -> Option<String> {
        let unit_ref = self.units.units.get(unit)?.header.unit_ref(&self.dwarf);
        self.unit(unit).ok()?.lines.as_ref()?.path(unit_ref, file)
    }

    /// The name of the function that an entry is about.
    pub(crate) fn name(
        &self,
        unit: usize,
        entry: gimli::UnitOffset,
    ) -> Result<Option<String>, Error> {
        let Some(lazy) = self.units.units.get(unit) else {
            return Ok(None);
        };
        let mut at = (lazy, entry);
        let mut plain = None;
        for _ in 0..MOST_REFERENCES {
            self.budget.spend(1)?;
            let (lazy, entry) = at;
            let name = unit::name(lazy.entries(&self.dwarf), entry)?;
            plain = name.found.or(plain);
            // What was split off refers to nothing outside of it.
            let elsewhere = name.elsewhere.filter(|_| lazy.split.is_none());
            match elsewhere.and_then(|offset| self.units.holding(offset)) {
                Some(next) => at = next,
                None => break,
            }
        }
        Ok(plain.map(|name| name.to_string_lossy().into_owned()))
    }
}

/// Where an address is in a unit.
pub(crate) struct Found<'debug, 'elf> {
    pub(crate) index: usize,
    pub(crate) unit: &'debug Unit<'elf>,
    pub(crate) node: Option<usize>,
    pub(crate) row: Option<Row>,
}

/// A name as people write it: demangled, without hashes.
#[must_use]
pub fn demangle(name: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(name))
}
