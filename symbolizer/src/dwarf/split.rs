//! Debug information that was split off: functions and what is inlined are in `.dwo` files, one a unit, or all in a `.dwp`.
//!
//! What is left in the program says where: the name of the file, and a number that the unit there has, too. Addresses
//! and lines are read from the program.

use gimli::{DwarfPackage, DwoId};

use super::budget::Budget;
use super::elf::Elf;
use super::{Error, Slice};

/// What a unit says about where the rest of it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SplitOff {
    /// The file, as the unit calls it.
    pub file: String,
    /// Where the compiler ran, if it says so: the file's name may count from there.
    pub folder: Option<String>,
}

/// A unit as it is in a file of its own.
#[derive(Debug)]
pub(super) struct SplitUnit<'data> {
    dwarf: gimli::Dwarf<Slice<'data>>,
    unit: gimli::Unit<Slice<'data>>,
}

impl<'data> SplitUnit<'data> {
    pub(super) fn unit_ref(&self) -> gimli::UnitRef<'_, Slice<'data>> {
        self.unit.unit_ref(&self.dwarf)
    }
}

/// What was split off a unit, if one of these files has it. A damaged file has nothing.
pub(super) fn find<'data>(
    files: &'data [Elf<'data>],
    parent: &gimli::Dwarf<Slice<'data>>,
    unit: &gimli::Unit<Slice<'data>>,
    budget: &Budget,
) -> Result<Option<SplitUnit<'data>>, Error> {
    let Some(id) = unit.dwo_id else {
        return Ok(None);
    };
    for file in files {
        budget.spend(1)?;
        let dwarf = match file.is_package() {
            true => from_package(file, parent, id),
            false => alone(file, parent),
        };
        let Ok(Some(dwarf)) = dwarf else { continue };
        if let Some(found) = unit_of(dwarf, unit, id, budget)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

type Dwarf<'data> = gimli::Dwarf<Slice<'data>>;

fn section<'data>(file: &'data Elf<'data>, id: gimli::SectionId) -> Slice<'data> {
    let bytes = id.dwo_name().map_or(&[][..], |name| file.section(name));
    Slice::new(bytes, file.endian)
}

fn from_package<'data>(
    file: &'data Elf<'data>,
    parent: &Dwarf<'data>,
    id: DwoId,
) -> gimli::Result<Option<Dwarf<'data>>> {
    let load = |id| -> gimli::Result<_> { Ok(section(file, id)) };
    DwarfPackage::load(load, Slice::new(&[], file.endian))?.find_cu(id, parent)
}

fn alone<'data>(
    file: &'data Elf<'data>,
    parent: &Dwarf<'data>,
) -> gimli::Result<Option<Dwarf<'data>>> {
    let load = |id| -> gimli::Result<_> { Ok(section(file, id)) };
    let mut dwarf = gimli::Dwarf::load(load)?;
    dwarf.make_dwo(parent);
    Ok(Some(dwarf))
}

fn unit_of<'data>(
    dwarf: Dwarf<'data>,
    skeleton: &gimli::Unit<Slice<'data>>,
    id: DwoId,
    budget: &Budget,
) -> Result<Option<SplitUnit<'data>>, Error> {
    let mut headers = dwarf.units();
    while let Ok(Some(header)) = headers.next() {
        let at = header.debug_abbrev_offset();
        budget.spend(super::units::table_bytes(&dwarf, at))?;
        let Ok(mut unit) = gimli::Unit::new(&dwarf, header) else {
            continue;
        };
        if unit.dwo_id == Some(id) {
            unit.copy_relocated_attributes(skeleton);
            return Ok(Some(SplitUnit { dwarf, unit }));
        }
    }
    Ok(None)
}
