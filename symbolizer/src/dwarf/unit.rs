//! The functions of a unit, and the calls inlined into them, as a tree.

use gimli::{AttributeValue, DebugInfoOffset, UnitOffset, UnitRef};

use super::budget::Budget;
use super::lines::Lines;
use super::{Error, Slice};

/// A function, or a call of one that was inlined.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Node {
    /// Its entry in the debug information.
    pub(crate) entry: UnitOffset,
    /// The node it was inlined into; none for a function.
    pub(crate) parent: Option<usize>,
    /// Where the function begins; of an inlined call, nothing.
    pub(crate) start: Option<u64>,
    pub(crate) call_file: Option<u64>,
    pub(crate) call_line: u32,
    pub(crate) call_column: u32,
}

/// From here on the node is the innermost one, up to the next span.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) start: u64,
    pub(crate) node: Option<usize>,
}

/// What is known of a unit once it has been read.
#[derive(Debug)]
pub(crate) struct Unit<'data> {
    pub(crate) nodes: Vec<Node>,
    pub(crate) spans: Vec<Span>,
    pub(crate) lines: Option<Lines<'data>>,
}

impl<'data> Unit<'data> {
    /// Its lines are those of `unit`; its functions may be elsewhere.
    pub(super) fn read(
        unit: UnitRef<'_, Slice<'data>>,
        entries: UnitRef<'_, Slice<'data>>,
        budget: &Budget,
    ) -> Result<Self, Error> {
        let lines = match unit.line_program.clone() {
            Some(program) => Some(Lines::read(program, budget)?),
            None => None,
        };
        let (nodes, ranges) = tree(entries, budget)?;
        Ok(Unit {
            nodes,
            spans: spans(ranges),
            lines,
        })
    }

    /// The innermost node at an address.
    pub(crate) fn node_at(&self, address: u64) -> Option<usize> {
        let after = self.spans.partition_point(|span| span.start <= address);
        self.spans.get(after.checked_sub(1)?)?.node
    }
}

/// A range of addresses, and the node it belongs to.
struct Owned {
    begin: u64,
    end: u64,
    node: usize,
}

/// Every function with code, and everything inlined, outer before inner.
fn tree(unit: UnitRef<'_, Slice<'_>>, budget: &Budget) -> Result<(Vec<Node>, Vec<Owned>), Error> {
    let mut nodes = Vec::new();
    let mut ranges = Vec::new();
    // The nodes that enclose what is being read, and how deep in the tree of entries they are.
    let mut open: Vec<(isize, usize)> = Vec::new();
    let mut entries = unit.entries_raw(None)?;
    while !entries.is_empty() {
        let offset = entries.next_offset();
        let depth = entries.next_depth();
        let Some(abbreviation) = entries.read_abbreviation()? else {
            continue;
        };
        budget.spend(1)?;
        while open.last().is_some_and(|(outer, _)| *outer >= depth) {
            open.pop();
        }
        let is_function = abbreviation.tag() == gimli::DW_TAG_subprogram;
        if !is_function && abbreviation.tag() != gimli::DW_TAG_inlined_subroutine {
            entries.skip_attributes(abbreviation.attributes())?;
            continue;
        }
        let index = nodes.len();
        let mut node = Node {
            entry: offset,
            // A function inside another one was not inlined into it.
            parent: open.last().filter(|_| !is_function).map(|(_, node)| *node),
            start: None,
            call_file: None,
            call_line: 0,
            call_column: 0,
        };
        let mut place = Place::default();
        for spec in abbreviation.attributes() {
            let attribute = entries.read_attribute(*spec)?;
            let number = || {
                attribute
                    .udata_value()
                    .and_then(|number| u32::try_from(number).ok())
                    .unwrap_or(0)
            };
            match attribute.name() {
                gimli::DW_AT_low_pc => place.low = unit.attr_address(attribute.value())?,
                gimli::DW_AT_high_pc => match attribute.value() {
                    AttributeValue::Udata(bytes) => place.bytes = Some(bytes),
                    address => place.high = unit.attr_address(address)?,
                },
                gimli::DW_AT_ranges => place.list = unit.attr_ranges_offset(attribute.value())?,
                gimli::DW_AT_call_file => {
                    node.call_file = match attribute.value() {
                        AttributeValue::FileIndex(file) => Some(file),
                        other => other.udata_value(),
                    };
                }
                gimli::DW_AT_call_line => node.call_line = number(),
                gimli::DW_AT_call_column => node.call_column = number(),
                _ => {}
            }
        }
        let first = ranges.len();
        place.each(unit, budget, |begin, end| {
            ranges.push(Owned {
                begin,
                end,
                node: index,
            });
        })?;
        if is_function {
            let lowest = ranges
                .get(first..)
                .unwrap_or_default()
                .iter()
                .map(|range| range.begin)
                .min();
            node.start = place.low.or(lowest);
        }
        nodes.push(node);
        open.push((depth, index));
    }
    Ok((nodes, ranges))
}

/// What the attributes of an entry say about its addresses.
#[derive(Default)]
pub(super) struct Place {
    pub(super) low: Option<u64>,
    pub(super) high: Option<u64>,
    pub(super) bytes: Option<u64>,
    pub(super) list: Option<gimli::RangeListsOffset>,
}

impl Place {
    /// Every range that is not empty.
    pub(super) fn each(
        &self,
        unit: UnitRef<'_, Slice<'_>>,
        budget: &Budget,
        mut visit: impl FnMut(u64, u64),
    ) -> Result<(), Error> {
        if let Some(list) = self.list {
            let mut list = unit.ranges(list)?;
            while let Some(range) = list.next()? {
                budget.spend(1)?;
                if range.begin < range.end {
                    visit(range.begin, range.end);
                }
            }
            return Ok(());
        }
        let Some(low) = self.low else { return Ok(()) };
        // The linker marks what it left out with an address from which nothing can be long.
        let end = self
            .high
            .or(self.bytes.and_then(|bytes| low.checked_add(bytes)));
        if let Some(end) = end.filter(|end| low < *end) {
            visit(low, end);
        }
        Ok(())
    }
}

/// Ranges, of which a later one covers earlier ones, cut into pieces that do not overlap.
fn spans(ranges: Vec<Owned>) -> Vec<Span> {
    // Boundaries in order; at each, which ranges begin and end. The active range with the highest
    // index is the innermost one, since outer entries come first.
    let mut edges: Vec<(u64, bool, usize)> = Vec::with_capacity(ranges.len().saturating_mul(2));
    for (index, range) in ranges.iter().enumerate() {
        edges.push((range.begin, true, index));
        edges.push((range.end, false, index));
    }
    edges.sort_unstable();
    let mut active = std::collections::BTreeSet::new();
    let mut spans: Vec<Span> = Vec::new();
    for (address, begins, index) in edges {
        match begins {
            true => active.insert(index),
            false => active.remove(&index),
        };
        let node = active
            .last()
            .and_then(|index| ranges.get(*index))
            .map(|range| range.node);
        match spans.last_mut() {
            Some(last) if last.start == address => last.node = node,
            _ => spans.push(Span {
                start: address,
                node,
            }),
        }
    }
    spans.dedup_by_key(|span| span.node);
    spans
}

/// How many entries a name may be referred on through.
const MOST_REFERENCES: usize = 16;

/// What an entry and those it refers to in the same unit say about a name.
pub(super) struct Name<'data> {
    pub(super) found: Option<Slice<'data>>,
    /// An entry, maybe of another unit, that may say it better.
    pub(super) elsewhere: Option<DebugInfoOffset>,
}

/// The name of an entry: as the linker knows it if possible, else as it is in the source.
pub(super) fn name<'data>(
    unit: UnitRef<'_, Slice<'data>>,
    entry: UnitOffset,
) -> Result<Name<'data>, Error> {
    let mut at = entry;
    let mut plain = None;
    for _ in 0..MOST_REFERENCES {
        let mut entries = unit.entries_raw(Some(at))?;
        let Some(abbreviation) = entries.read_abbreviation()? else {
            break;
        };
        let mut next = None;
        for spec in abbreviation.attributes() {
            let attribute = entries.read_attribute(*spec)?;
            match attribute.name() {
                gimli::DW_AT_linkage_name | gimli::DW_AT_MIPS_linkage_name => {
                    if let Ok(name) = unit.attr_string(attribute.value()) {
                        return Ok(Name {
                            found: Some(name),
                            elsewhere: None,
                        });
                    }
                }
                gimli::DW_AT_name if plain.is_none() => {
                    plain = unit.attr_string(attribute.value()).ok()
                }
                gimli::DW_AT_abstract_origin | gimli::DW_AT_specification => {
                    next = Some(attribute.value())
                }
                _ => {}
            }
        }
        match next {
            Some(AttributeValue::UnitRef(offset)) => at = offset,
            Some(AttributeValue::DebugInfoRef(offset)) => {
                return Ok(Name {
                    found: plain,
                    elsewhere: Some(offset),
                });
            }
            _ => break,
        }
    }
    Ok(Name {
        found: plain,
        elsewhere: None,
    })
}
