//! The list of units: where each is, and which addresses it says it covers.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::sync::Arc;

use gimli::{Abbreviations, DebugAbbrevOffset, DebugInfoOffset, UnitType};

use super::budget::Budget;
use super::split::{self, SplitUnit};
use super::unit::{Place, Unit};
use super::{Elf, Error, Slice};

/// A unit, read the first time it is asked.
#[derive(Debug)]
pub(super) struct Lazy<'data> {
    pub(super) header: gimli::Unit<Slice<'data>>,
    /// The rest of it, from a file of its own.
    pub(super) split: Option<SplitUnit<'data>>,
    offset: DebugInfoOffset,
    body: OnceCell<Result<Unit<'data>, Error>>,
}

impl<'data> Lazy<'data> {
    pub(super) fn read(
        &self,
        dwarf: &gimli::Dwarf<Slice<'data>>,
        budget: &Budget,
    ) -> Result<&Unit<'data>, Error> {
        self.body
            .get_or_init(|| Unit::read(self.header.unit_ref(dwarf), self.entries(dwarf), budget))
            .as_ref()
            .map_err(Clone::clone)
    }

    /// Where its functions are.
    pub(super) fn entries<'a>(
        &'a self,
        dwarf: &'a gimli::Dwarf<Slice<'data>>,
    ) -> gimli::UnitRef<'a, Slice<'data>> {
        match &self.split {
            Some(split) => split.unit_ref(),
            None => self.header.unit_ref(dwarf),
        }
    }
}

/// Addresses of a unit.
#[derive(Clone, Copy, Debug)]
struct Covered {
    begin: u64,
    end: u64,
    unit: usize,
    /// The furthest end of this range and all before it: where a search backwards may stop.
    furthest: u64,
}

#[derive(Debug, Default)]
pub(super) struct Units<'data> {
    pub(super) units: Vec<Lazy<'data>>,
    covered: Vec<Covered>,
    /// Units whose header could not be read.
    pub(super) damaged: Vec<Error>,
}

impl<'data> Units<'data> {
    pub(super) fn read(
        dwarf: &gimli::Dwarf<Slice<'data>>,
        files: &'data [Elf<'data>],
        budget: &Budget,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Self, Error> {
        // The headers are one half, what they cover the other.
        let whole = bytes(gimli::Section::reader(&dwarf.debug_info).len());
        let of = whole.saturating_mul(2);
        let mut found = Units::default();
        let mut known: HashMap<DebugAbbrevOffset, Arc<Abbreviations>> = HashMap::new();
        let mut headers = dwarf.units();
        loop {
            let header = match headers.next() {
                Ok(Some(header)) => header,
                Ok(None) => break,
                // Without the length of one, nobody knows where the next begins.
                Err(why) => {
                    found.damaged.push(why.into());
                    break;
                }
            };
            budget.spend(1)?;
            let is_type = matches!(
                header.type_(),
                UnitType::Type { .. } | UnitType::SplitType { .. }
            );
            let (false, Some(offset)) = (is_type, header.debug_info_offset()) else {
                continue;
            };
            progress(bytes(offset.0), of);
            let abbreviations = match known.get(&header.debug_abbrev_offset()) {
                Some(abbreviations) => Arc::clone(abbreviations),
                None => {
                    let at = header.debug_abbrev_offset();
                    budget.spend(table_bytes(dwarf, at))?;
                    match dwarf.abbreviations(&header) {
                        Ok(read) => {
                            known.insert(at, Arc::clone(&read));
                            read
                        }
                        Err(why) => {
                            found.damaged.push(why.into());
                            continue;
                        }
                    }
                }
            };
            match gimli::Unit::new_with_abbreviations(dwarf, header, abbreviations) {
                Ok(unit) => {
                    if let Some(program) = &unit.line_program {
                        let header = program.header();
                        let entries = header
                            .file_names()
                            .len()
                            .saturating_add(header.include_directories().len());
                        budget.spend(u64::try_from(entries).unwrap_or(u64::MAX))?;
                    }
                    found.units.push(Lazy {
                        split: split::find(files, dwarf, &unit, budget)?,
                        header: unit,
                        offset,
                        body: OnceCell::new(),
                    });
                }
                Err(why) => found.damaged.push(why.into()),
            }
        }
        found.cover(dwarf, budget, &mut |offset| {
            progress(whole.saturating_add(bytes(offset)), of);
        })?;
        Ok(found)
    }

    fn cover(
        &mut self,
        dwarf: &gimli::Dwarf<Slice<'data>>,
        budget: &Budget,
        reached: &mut dyn FnMut(usize),
    ) -> Result<(), Error> {
        for (index, unit) in self.units.iter().enumerate() {
            reached(unit.offset.0);
            let mut ranges: Vec<(u64, u64)> = Vec::new();
            let own = place(unit.header.unit_ref(dwarf));
            let each = own.and_then(|place| {
                place.each(unit.header.unit_ref(dwarf), budget, |begin, end| {
                    ranges.push((begin, end))
                })
            });
            if each == Err(Error::TooMuch) {
                return Err(Error::TooMuch);
            }
            // A unit that does not say what it covers has to be read to know.
            if ranges.is_empty()
                && let Ok(body) = unit.read(dwarf, budget)
            {
                let ends = body.spans.iter().skip(1).map(|span| span.start);
                let spans = body.spans.iter().zip(ends);
                let code = spans.filter(|(span, _)| span.node.is_some());
                ranges.extend(code.map(|(span, end)| (span.start, end)));
                let sequences = body.lines.iter().flat_map(|lines| &lines.sequences);
                ranges.extend(sequences.map(|sequence| (sequence.start, sequence.end)));
            }
            self.covered
                .extend(ranges.into_iter().map(|(begin, end)| Covered {
                    begin,
                    end,
                    unit: index,
                    furthest: end,
                }));
        }
        self.covered.sort_by_key(|covered| covered.begin);
        let mut furthest = 0;
        for covered in &mut self.covered {
            furthest = furthest.max(covered.end);
            covered.furthest = furthest;
        }
        Ok(())
    }

    /// The units that say they cover an address.
    pub(super) fn at(&self, address: u64) -> impl Iterator<Item = usize> {
        let after = self
            .covered
            .partition_point(|covered| covered.begin <= address);
        let before = self.covered.get(..after).unwrap_or_default().iter().rev();
        before
            .take_while(move |covered| address < covered.furthest)
            .filter(move |covered| address < covered.end)
            .map(|covered| covered.unit)
    }

    /// The unit that an entry lies in.
    pub(super) fn holding(
        &self,
        entry: DebugInfoOffset,
    ) -> Option<(&Lazy<'data>, gimli::UnitOffset)> {
        let after = self.units.partition_point(|unit| unit.offset.0 <= entry.0);
        let unit = self.units.get(after.checked_sub(1)?)?;
        Some((unit, entry.to_unit_offset(&unit.header.header)?))
    }
}

fn bytes(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// What the first entry of a unit says about its addresses.
fn place(unit: gimli::UnitRef<'_, Slice<'_>>) -> Result<Place, Error> {
    let mut place = Place::default();
    let mut entries = unit.entries_raw(None)?;
    let Some(abbreviation) = entries.read_abbreviation()? else {
        return Ok(place);
    };
    for spec in abbreviation.attributes() {
        let attribute = entries.read_attribute(*spec)?;
        match attribute.name() {
            gimli::DW_AT_low_pc => place.low = unit.attr_address(attribute.value())?,
            gimli::DW_AT_high_pc => match attribute.value() {
                gimli::AttributeValue::Udata(bytes) => place.bytes = Some(bytes),
                address => place.high = unit.attr_address(address)?,
            },
            gimli::DW_AT_ranges => place.list = unit.attr_ranges_offset(attribute.value())?,
            _ => {}
        }
    }
    Ok(place)
}

/// How long a table of abbreviations is: gimli does not say what reading one costs.
pub(super) fn table_bytes(dwarf: &gimli::Dwarf<Slice<'_>>, at: DebugAbbrevOffset) -> u64 {
    use gimli::{Reader as _, Section as _};
    let mut rest = *dwarf.debug_abbrev.reader();
    if rest.skip(at.0).is_err() {
        return 0;
    }
    let whole = rest.len();
    let mut skim = || -> gimli::Result<()> {
        while rest.read_uleb128()? != 0 {
            rest.read_uleb128()?;
            rest.read_u8()?;
            loop {
                let name = rest.read_uleb128()?;
                let form = rest.read_uleb128()?;
                if form == u64::from(gimli::DW_FORM_implicit_const.0) {
                    rest.read_sleb128()?;
                }
                if name == 0 && form == 0 {
                    break;
                }
            }
        }
        Ok(())
    };
    // Where it is damaged, gimli stops as well.
    let _ = skim();
    u64::try_from(whole.saturating_sub(rest.len())).unwrap_or(u64::MAX)
}
