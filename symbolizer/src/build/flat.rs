//! Everything the debug information says about code, as one list by address.
//!
//! Every address at which any answer could change is asked once; what lies between two of them has
//! the same answer. So the index says what [`Debug`] says, by the way it is made.

use std::collections::{BTreeSet, HashMap};

use crate::dwarf::{Debug, Error, Symbol, demangle};
use crate::index::format::DEEPEST;

/// The calls that enclose an address: a number of [`Flat::contexts`], counted from 1; 0 is the
/// function itself, with nothing inlined. A parent always has a lower number.
pub type ContextId = u32;

/// The function of addresses that no function claims.
pub const NOBODY: u32 = 0;

/// A call that was inlined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Context {
    /// The call this one is inside of.
    pub parent: ContextId,
    /// The function that all of it is inside of: a number of [`Flat::names`].
    pub root: u32,
    /// What was called: a number of [`Flat::names`].
    pub function: u32,
    /// Where it was called.
    pub call: Place,
}

/// A place in the sources.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// A number of [`Flat::files`], counted from 1; 0 is none.
    pub file: u32,
    /// From 1; 0 is none.
    pub line: u32,
    /// From 1; 0 is not known.
    pub column: u32,
}

/// The answer for all addresses from here to the next row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The first of them.
    pub address: u64,
    /// The function that is there as such: a number of [`Flat::names`].
    pub root: u32,
    /// What is inlined there.
    pub context: ContextId,
    /// The place, in the innermost of the functions.
    pub place: Place,
}

/// A function that is there as such, or a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named {
    /// Where it begins.
    pub address: u64,
    /// How long it is; 0 is up to the next.
    pub bytes: u64,
    /// A number of [`Flat::names`].
    pub name: u32,
    /// Whether it is a function.
    pub is_code: bool,
}

impl Row {
    fn nothing(address: u64) -> Self {
        Row {
            address,
            root: NOBODY,
            context: 0,
            place: Place::default(),
        }
    }
}

/// The symbol an address lies in, by the same rule as [`crate::dwarf::Elf::symbol_at`].
fn symbol_at(symbols: &[Named], address: u64) -> Option<&Named> {
    let after = symbols.partition_point(|symbol| symbol.address <= address);
    let symbol = symbols.get(after.checked_sub(1)?)?;
    let distance = address.checked_sub(symbol.address)?;
    (symbol.bytes == 0 || distance < symbol.bytes).then_some(symbol)
}

/// Everything that an index says.
#[derive(Debug, Default)]
pub struct Flat {
    /// Names of functions and variables, demangled; the first one is empty.
    pub names: Vec<String>,
    /// Paths of source files.
    pub files: Vec<String>,
    /// Inlined calls.
    pub contexts: Vec<Context>,
    /// Sorted by address, no two neighbours the same.
    pub rows: Vec<Row>,
    /// Sorted by address.
    pub symbols: Vec<Named>,
}

/// Numbers for texts, in the order in which they come.
#[derive(Default)]
struct Numbers(HashMap<String, u32>);

impl Numbers {
    fn of(&mut self, text: String, list: &mut Vec<String>) -> u32 {
        *self.0.entry(text).or_insert_with_key(|text| {
            list.push(text.clone());
            u32::try_from(list.len().saturating_sub(1)).unwrap_or(u32::MAX)
        })
    }
}

struct Flattener<'debug, 'elf> {
    debug: &'debug Debug<'elf>,
    flat: Flat,
    names: Numbers,
    files: Numbers,
    /// What has been asked before: by unit and node, by unit and file.
    contexts: HashMap<(usize, usize, u32), ContextId>,
    interned: HashMap<Context, ContextId>,
    entries: HashMap<(usize, gimli::UnitOffset), u32>,
    paths: HashMap<(usize, u64), u32>,
}

pub(super) fn flatten(debug: &Debug<'_>) -> Result<Flat, Error> {
    let mut work = Flattener {
        debug,
        flat: Flat::default(),
        names: Numbers::default(),
        files: Numbers::default(),
        contexts: HashMap::new(),
        interned: HashMap::new(),
        entries: HashMap::new(),
        paths: HashMap::new(),
    };
    work.names.of(String::new(), &mut work.flat.names);
    work.symbols()?;
    work.rows()?;
    Ok(work.flat)
}

impl Flattener<'_, '_> {
    /// The symbols of the file, and functions that have none.
    fn symbols(&mut self) -> Result<(), Error> {
        let mut symbols: Vec<Named> = Vec::new();
        for symbol in self.debug.elf().symbols() {
            let name = self.name_of_symbol(symbol);
            symbols.push(Named {
                address: symbol.address,
                bytes: symbol.bytes,
                name,
                is_code: symbol.is_code,
            });
        }
        for index in 0..self.debug.unit_count() {
            let Ok(unit) = self.debug.unit(index) else {
                continue;
            };
            let ends = unit.spans.iter().skip(1).map(|span| span.start);
            for (span, end) in unit.spans.iter().zip(ends) {
                let mut at = span.node.and_then(|node| unit.nodes.get(node));
                while let Some(inner) = at.and_then(|node| node.parent) {
                    at = unit.nodes.get(inner);
                }
                let Some(node) = at else { continue };
                if !self.is_code(span.start) || self.debug.elf().symbol_at(span.start).is_some() {
                    continue;
                }
                let name = self.name_of_entry(index, node.entry)?;
                let start = node.start.unwrap_or(span.start);
                let known = symbols.iter_mut().find(|symbol| symbol.address == start);
                match known {
                    Some(symbol) => symbol.bytes = symbol.bytes.max(end.saturating_sub(start)),
                    None => symbols.push(Named {
                        address: start,
                        bytes: end.saturating_sub(start),
                        name,
                        is_code: true,
                    }),
                }
            }
        }
        symbols.sort_by_key(|symbol| symbol.address);
        self.flat.symbols = symbols;
        Ok(())
    }

    fn rows(&mut self) -> Result<(), Error> {
        let mut edges = BTreeSet::new();
        for code in self.debug.elf().code() {
            edges.extend([code.start, code.end]);
        }
        for symbol in self
            .debug
            .elf()
            .symbols()
            .iter()
            .filter(|symbol| symbol.is_code)
        {
            edges.extend([symbol.address, symbol.address.saturating_add(symbol.bytes)]);
        }
        for index in 0..self.debug.unit_count() {
            // One bad unit is no reason to have nothing of the others.
            let Ok(unit) = self.debug.unit(index) else {
                continue;
            };
            edges.extend(unit.spans.iter().map(|span| span.start));
            for sequence in unit.lines.iter().flat_map(|lines| &lines.sequences) {
                edges.insert(sequence.end);
                edges.extend(sequence.rows.iter().map(|row| row.address));
            }
        }
        for address in edges {
            let row = match self.is_code(address) {
                true => self.row(address)?,
                false => Row::nothing(address),
            };
            let same = |last: &Row| {
                (last.root, last.context, last.place) == (row.root, row.context, row.place)
            };
            if !self.flat.rows.last().is_some_and(same) {
                self.flat.rows.push(row);
            }
        }
        Ok(())
    }

    fn is_code(&self, address: u64) -> bool {
        self.debug
            .elf()
            .code()
            .iter()
            .any(|range| range.contains(&address))
    }

    fn row(&mut self, address: u64) -> Result<Row, Error> {
        let mut row = Row::nothing(address);
        if let Some(symbol) = symbol_at(&self.flat.symbols, address).filter(|symbol| symbol.is_code)
        {
            row.root = symbol.name;
        }
        // A damaged unit has nothing to say about its addresses.
        let Ok(Some(found)) = self.debug.find(address) else {
            return Ok(row);
        };
        if let Some(place) = found.row {
            row.place = Place {
                file: self.file(found.index, place.file),
                line: place.line,
                column: place.column,
            };
        }
        if let Some(node) = found.node {
            row.context = self.context(found.index, node, row.root)?;
        }
        Ok(row)
    }

    fn context(&mut self, unit: usize, node: usize, root: u32) -> Result<ContextId, Error> {
        // From the inside to what is known, and back.
        let nodes = &self.debug.unit(unit)?.nodes;
        let mut path = Vec::new();
        let mut at = Some(node);
        let mut context = 0;
        while let Some(index) = at {
            if let Some(known) = self.contexts.get(&(unit, index, root)) {
                context = *known;
                break;
            }
            path.push(index);
            at = nodes.get(index).and_then(|node| node.parent);
        }
        // What is nested deeper than the index can say is left out.
        for index in path.into_iter().rev().take(DEEPEST) {
            let Some(node) = nodes.get(index) else {
                continue;
            };
            // The outermost one is the symbol's.
            if node.parent.is_some() {
                let call = Place {
                    file: node.call_file.map_or(0, |file| self.file(unit, file)),
                    line: node.call_line,
                    column: node.call_column,
                };
                let function = self.name_of_entry(unit, node.entry)?;
                context = self.intern(Context {
                    parent: context,
                    root,
                    function,
                    call,
                });
            }
            self.contexts.insert((unit, index, root), context);
        }
        Ok(context)
    }

    fn intern(&mut self, context: Context) -> ContextId {
        let list = &mut self.flat.contexts;
        *self.interned.entry(context).or_insert_with(|| {
            list.push(context);
            u32::try_from(list.len()).unwrap_or(0)
        })
    }

    fn file(&mut self, unit: usize, file: u64) -> u32 {
        if let Some(known) = self.paths.get(&(unit, file)) {
            return *known;
        }
        let number = match self.debug.path(unit, file) {
            Some(path) => self.files.of(path, &mut self.flat.files).saturating_add(1),
            None => 0,
        };
        self.paths.insert((unit, file), number);
        number
    }

    fn name_of_entry(&mut self, unit: usize, entry: gimli::UnitOffset) -> Result<u32, Error> {
        if let Some(known) = self.entries.get(&(unit, entry)) {
            return Ok(*known);
        }
        let name = self.debug.name(unit, entry)?.unwrap_or_default();
        let number = self.names.of(demangle(&name), &mut self.flat.names);
        self.entries.insert((unit, entry), number);
        Ok(number)
    }

    fn name_of_symbol(&mut self, symbol: &Symbol<'_>) -> u32 {
        self.names.of(demangle(symbol.name), &mut self.flat.names)
    }
}
