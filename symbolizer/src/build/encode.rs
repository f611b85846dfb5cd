//! The flat list as bytes: see `docs/symbols-index.md`.

use std::collections::HashMap;

use super::flat::{Context, Flat, Place};
use super::functions::{Function, function_of, functions};
use super::grammar::compress;
use super::packed::{TooMany, index, nibbles, number, u16_of, u24, varint, zigzag};
use crate::index::format::{
    AT_BASE, AT_BUILD_ID, AT_BUILD_ID_BYTES, AT_CRC, AT_LENGTH, AT_PARTS, AT_VERSION,
    BUILD_ID_BYTES, COLUMN_BITS, CONTEXTS_IN_A_GROUP, FUNCTIONS_IN_A_GROUP, HEADER_BYTES, IS_DATA,
    LONG_DISTANCE, MAGIC, NEW_CONTEXT, OTHER_CONTEXT, OTHER_PLACE, PARENT_CONTEXT, Part,
    ROWS_IN_A_BLOCK, SAME_CONTEXT, VERSION, WIDE_PLACE, checksum_of,
};

/// The parts as they grow.
struct Encoder<'flat> {
    flat: &'flat Flat,
    base: u64,
    /// By their final numbers.
    functions: Vec<Function>,
    /// The final number of the function with a name.
    numbers: Vec<u32>,
    wide: Vec<Place>,
    wide_numbers: HashMap<Place, u32>,
    parts: HashMap<u32, (Vec<u8>, u32)>,
}

/// The index of a list.
///
/// # Errors
///
/// There is more of something than an index has room for.
pub fn encode(flat: &Flat, build_id: &[u8]) -> Result<Vec<u8>, TooMany> {
    let starts = flat.symbols.iter().map(|symbol| symbol.address);
    let base = starts
        .chain(flat.rows.first().map(|row| row.address))
        .min()
        .unwrap_or(0);
    let (functions, numbers) = functions(flat)?;
    let mut encoder = Encoder {
        flat,
        base,
        functions,
        numbers,
        wide: Vec::new(),
        wide_numbers: HashMap::new(),
        parts: HashMap::new(),
    };
    encoder.symbols()?;
    encoder.rows()?;
    encoder.contexts()?;
    encoder.functions()?;
    encoder.texts_and_files()?;
    encoder.assemble(build_id)
}

impl Encoder<'_> {
    fn put(&mut self, part: Part, bytes: &[u8], elements: u32) {
        let slot = self.parts.entry(part as u32).or_default();
        slot.0.extend_from_slice(bytes);
        slot.1 = slot.1.saturating_add(elements);
    }

    fn offset(&self, address: u64) -> Result<u32, TooMany> {
        address
            .checked_sub(self.base)
            .and_then(|offset| u32::try_from(offset).ok())
            .ok_or(TooMany("bytes of code"))
    }

    fn number_of(&self, name: u32) -> u32 {
        self.numbers.get(index(name)).copied().unwrap_or(0)
    }

    fn function_named(&self, name: u32) -> Option<&Function> {
        self.functions.get(index(self.number_of(name)))
    }

    fn symbols(&mut self) -> Result<(), TooMany> {
        for symbol in &self.flat.symbols {
            let bytes = u32::try_from(symbol.bytes)
                .ok()
                .filter(|bytes| bytes & IS_DATA == 0);
            let bytes = bytes.ok_or(TooMany("bytes in a symbol"))?;
            let flag = if symbol.is_code { 0 } else { IS_DATA };
            let mut element = Vec::new();
            element.extend(self.offset(symbol.address)?.to_le_bytes());
            element.extend((bytes | flag).to_le_bytes());
            element.extend(u16_of(self.number_of(symbol.name), "functions")?.to_le_bytes());
            self.put(Part::Symbols, &element, 1);
        }
        Ok(())
    }

    fn rows(&mut self) -> Result<(), TooMany> {
        let flat = self.flat;
        // `named` is the last context that a row named itself, not as the parent of another.
        let (mut context, mut named, mut newest, mut at) = (0u32, 0u32, 0u32, 0u32);
        for (position, row) in flat.rows.iter().enumerate() {
            let offset = self.offset(row.address)?;
            if position % ROWS_IN_A_BLOCK == 0 {
                let rows = self
                    .parts
                    .get(&(Part::Rows as u32))
                    .map_or(0, |(bytes, _)| bytes.len());
                let mut block = Vec::new();
                block.extend(offset.to_le_bytes());
                block.extend(u24(number(rows), "bytes of rows")?);
                block.extend(u24(context, "contexts")?);
                block.extend(u24(newest, "contexts")?);
                self.put(Part::Blocks, &block, 1);
                (at, named) = (offset, context);
            }
            let distance = offset.saturating_sub(at);
            let function = self.function_named(function_of(flat, row.context, row.root));
            let place = function.and_then(|function| function.place_numbers.get(&row.place));
            let place = number(place.copied().unwrap_or(0));
            let how = match row.context {
                same if same == context => SAME_CONTEXT,
                new if new == newest.saturating_add(1) => NEW_CONTEXT,
                outer if outer == parent_of(flat, context) => PARENT_CONTEXT,
                _ => OTHER_CONTEXT,
            };
            let short_distance = u8::try_from(distance)
                .unwrap_or(LONG_DISTANCE)
                .min(LONG_DISTANCE);
            let short_place = u8::try_from(place).unwrap_or(OTHER_PLACE).min(OTHER_PLACE);
            let mut bytes = vec![short_distance | how << 4 | short_place << 6];
            if short_distance == LONG_DISTANCE {
                varint(&mut bytes, distance.saturating_sub(LONG_DISTANCE.into()));
            }
            if how == OTHER_CONTEXT {
                let other = match row.context {
                    0 => 0,
                    other => zigzag(named, other).saturating_add(1),
                };
                varint(&mut bytes, other);
            }
            if short_place == OTHER_PLACE {
                varint(&mut bytes, place.saturating_sub(OTHER_PLACE.into()));
            }
            self.put(Part::Rows, &bytes, number(bytes.len()));
            if how == NEW_CONTEXT || how == OTHER_CONTEXT {
                named = row.context;
            }
            (context, newest, at) = (row.context, newest.max(row.context), offset);
        }
        Ok(())
    }

    fn contexts(&mut self) -> Result<(), TooMany> {
        let flat = self.flat;
        let mut records = Vec::new();
        for (position, context) in flat.contexts.iter().enumerate() {
            if position % CONTEXTS_IN_A_GROUP == 0 {
                let group = u24(number(records.len()), "bytes of contexts")?;
                self.put(Part::ContextGroups, &group, 1);
            }
            let own = number(position).saturating_add(1);
            let back = match context.parent {
                0 => 0,
                parent => own.saturating_sub(parent),
            };
            let caller = self.function_named(function_of(flat, context.parent, context.root));
            let call = caller
                .and_then(|caller| caller.call_numbers.get(&(context.function, context.call)));
            nibbles(&mut records, number(call.copied().unwrap_or(0)), back);
        }
        self.put(Part::Contexts, &records, number(records.len()));
        Ok(())
    }

    /// Places and calls of every function.
    fn functions(&mut self) -> Result<(), TooMany> {
        for position in 0..self.functions.len() {
            let Some(function) = self.functions.get_mut(position) else {
                break;
            };
            let (file, line) = (function.file, function.line);
            let places = std::mem::take(&mut function.places);
            let calls = std::mem::take(&mut function.calls);
            for place in &places {
                let bytes = self.place(*place, file, line)?;
                self.put(Part::Places, &bytes, 1);
            }
            for (callee, place) in &calls {
                let callee = u16_of(self.number_of(*callee), "functions")?;
                let bytes = [
                    &callee.to_le_bytes(),
                    self.place(*place, file, line)?.as_slice(),
                ]
                .concat();
                self.put(Part::Calls, &bytes, 1);
            }
            if let Some(function) = self.functions.get_mut(position) {
                (function.places, function.calls) = (places, calls);
            }
        }
        for place in std::mem::take(&mut self.wide) {
            let mut bytes = Vec::new();
            bytes.extend(u16_of(place.file, "files")?.to_le_bytes());
            bytes.extend(u16_of(place.column.min(u32::from(u16::MAX)), "columns")?.to_le_bytes());
            bytes.extend(u24(place.line, "lines in a file")?);
            self.put(Part::WidePlaces, &bytes, 1);
        }
        Ok(())
    }

    fn place(&mut self, place: Place, file: u32, first: u32) -> Result<[u8; 2], TooMany> {
        let below = place.line.checked_sub(first).filter(|_| place.file == file);
        let below = below.and_then(|below| u16::try_from(below).ok());
        let below = below.filter(|below| *below < WIDE_PLACE >> COLUMN_BITS);
        let column = u16::try_from(place.column)
            .ok()
            .filter(|column| column >> COLUMN_BITS == 0);
        if let (Some(below), Some(column)) = (below, column) {
            return Ok((below << COLUMN_BITS | column).to_le_bytes());
        }
        let next = number(self.wide.len());
        let wide = *self.wide_numbers.entry(place).or_insert_with(|| {
            self.wide.push(place);
            next
        });
        let wide = u16_of(wide, "unusual places")?;
        let place = WIDE_PLACE
            .checked_add(wide)
            .ok_or(TooMany("unusual places"))?;
        Ok(place.to_le_bytes())
    }

    fn texts_and_files(&mut self) -> Result<(), TooMany> {
        let flat = self.flat;
        let name = |name: u32| flat.names.get(index(name)).map_or("", String::as_str);
        let texts: Vec<&str> = self
            .functions
            .iter()
            .map(|function| name(function.name))
            .collect();
        let texts = texts
            .into_iter()
            .chain(flat.files.iter().map(String::as_str));
        let compressed = compress(&texts.collect::<Vec<_>>());
        for element in &compressed.grammar {
            self.put(Part::Grammar, &element.to_le_bytes(), 1);
        }
        let (names, files) = compressed
            .texts
            .split_at(self.functions.len().min(compressed.texts.len()));
        let (mut place, mut call) = (0u32, 0u32);
        let mut records = Vec::new();
        let mut groups = Vec::new();
        let mut line = 0;
        for (position, (function, name)) in self.functions.iter().zip(names).enumerate() {
            if position % FUNCTIONS_IN_A_GROUP == 0 {
                let mut group = Vec::new();
                group.extend(u24(number(records.len()), "bytes of names")?);
                group.extend(u24(place, "places")?);
                group.extend(u24(call, "calls")?);
                group.extend(u16_of(function.file, "files")?.to_le_bytes());
                groups.push(group);
                line = 0;
            }
            let (places, calls) = (number(function.places.len()), number(function.calls.len()));
            varint(&mut records, number(name.len()));
            nibbles(&mut records, places, calls);
            varint(&mut records, zigzag(line, function.line));
            records.extend(name);
            line = function.line;
            place = place.saturating_add(places);
            call = call.saturating_add(calls);
        }
        for group in groups {
            self.put(Part::Functions, &group, 1);
        }
        for (position, file) in files.iter().enumerate() {
            let own = number(position).saturating_add(1);
            let first = self
                .functions
                .partition_point(|function| function.file < own);
            let mut element = Vec::new();
            element.extend(u24(number(records.len()), "bytes of names")?);
            element.extend(u16_of(number(first), "functions")?.to_le_bytes());
            varint(&mut records, number(file.len()));
            records.extend(file);
            self.put(Part::Files, &element, 1);
        }
        self.put(Part::Texts, &records, number(records.len()));
        Ok(())
    }

    fn assemble(mut self, build_id: &[u8]) -> Result<Vec<u8>, TooMany> {
        if build_id.len() > BUILD_ID_BYTES {
            return Err(TooMany("bytes in the build id"));
        }
        let mut header = vec![0u8; HEADER_BYTES];
        let mut body = Vec::new();
        let mut set = |at: usize, bytes: &[u8]| {
            if let Some(place) = header.get_mut(at..at.saturating_add(bytes.len())) {
                place.copy_from_slice(bytes);
            }
        };
        set(0, &MAGIC);
        set(AT_VERSION, &VERSION.to_le_bytes());
        set(AT_BUILD_ID_BYTES, &[build_id.len().to_le_bytes()[0]]);
        set(AT_BUILD_ID, build_id);
        set(AT_BASE, &self.base.to_le_bytes());
        for (position, part) in Part::ALL.into_iter().enumerate() {
            let (bytes, elements) = self.parts.remove(&(part as u32)).unwrap_or_default();
            let offset = number(HEADER_BYTES.saturating_add(body.len()));
            let at = AT_PARTS.saturating_add(position.saturating_mul(8));
            set(at, &offset.to_le_bytes());
            set(at.saturating_add(4), &elements.to_le_bytes());
            body.extend(bytes);
        }
        let length =
            u32::try_from(HEADER_BYTES.saturating_add(body.len())).map_err(|_| TooMany("bytes"))?;
        set(AT_LENGTH, &length.to_le_bytes());
        let mut whole = [header, body].concat();
        seal(&mut whole);
        Ok(whole)
    }
}

/// Puts the right checksum into an index, for tests that damage one on purpose.
pub fn seal(index: &mut [u8]) {
    let checksum = checksum_of(index);
    if let Some(place) = index.get_mut(AT_CRC..AT_CRC.saturating_add(4)) {
        place.copy_from_slice(&checksum.to_le_bytes());
    }
}

fn parent_of(flat: &Flat, context: u32) -> u32 {
    match flat.contexts.get(index(context.wrapping_sub(1))) {
        Some(Context { parent, .. }) => *parent,
        // The function itself has none: nothing is this.
        None => u32::MAX,
    }
}
