//! The flat list as bytes: see `docs/symbols-index.md`.

use std::collections::HashMap;

use super::fields::Packed;
use super::flat::{Context, Flat, Place};
use super::functions::{Function, function_of, functions};
use super::grammar::compress;
use super::packed::{TooMany, index, nibbles, number, varint, zigzag};
use super::places::{Places, Use};
use super::row_codes::{Change, Codes, Turn};
use crate::index::format::{
    AT_BASE, AT_BUILD_ID, AT_BUILD_ID_BYTES, AT_COLUMN_BITS, AT_COUNTS, AT_CRC, AT_LENGTH,
    AT_SHORT_SYMBOLS, AT_VERSION, AT_WIDE_FROM, AT_WIDTHS, BUILD_ID_BYTES, CONTEXTS_IN_A_GROUP,
    FUNCTIONS_IN_A_GROUP, HEADER_BYTES, MAGIC, NEW_CONTEXT, PADDING, PARENT_CONTEXT, Part,
    ROWS_IN_A_BLOCK, VERSION, checksum_of,
};

/// The parts as they grow.
struct Encoder<'flat> {
    flat: &'flat Flat,
    base: u64,
    /// By their final numbers.
    functions: Vec<Function>,
    /// The final number of the function with a name.
    numbers: Vec<u32>,
    column_bits: u8,
    wide_from: u32,
    short_symbols: u8,
    packed: HashMap<u32, Packed>,
    plain: HashMap<u32, (Vec<u8>, u32)>,
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
        column_bits: 0,
        wide_from: 0,
        short_symbols: 0,
        packed: HashMap::new(),
        plain: HashMap::new(),
    };
    encoder.symbols()?;
    encoder.rows()?;
    encoder.contexts();
    encoder.functions()?;
    encoder.texts_and_files();
    encoder.assemble(build_id)
}

impl Encoder<'_> {
    fn put(&mut self, part: Part, bytes: &[u8], elements: usize) {
        let slot = self.plain.entry(part as u32).or_default();
        slot.0.extend_from_slice(bytes);
        slot.1 = slot.1.saturating_add(number(elements));
    }

    fn pack(&mut self, part: Part, element: &[u32]) {
        self.packed(part).push(element);
    }

    fn packed(&mut self, part: Part) -> &mut Packed {
        let new = || Packed::new(part.fields());
        self.packed.entry(part as u32).or_insert_with(new)
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
            let bytes = u32::try_from(symbol.bytes);
            let element = [
                self.offset(symbol.address)?,
                bytes.map_err(|_| TooMany("bytes in a symbol"))?,
                u32::from(!symbol.is_code),
                self.number_of(symbol.name),
            ];
            self.pack(Part::Symbols, &element);
        }
        Ok(())
    }

    fn rows(&mut self) -> Result<(), TooMany> {
        let flat = self.flat;
        let mut changes = Vec::new();
        let mut blocks = Vec::new();
        // `named` is the last context that a row named itself, not as the parent of another.
        let (mut context, mut named, mut newest, mut at) = (0u32, 0u32, 0u32, 0u32);
        for (position, row) in flat.rows.iter().enumerate() {
            let offset = self.offset(row.address)?;
            if position % ROWS_IN_A_BLOCK == 0 {
                blocks.push([offset, 0, context, newest]);
                (at, named) = (offset, context);
            }
            let function = self.function_named(function_of(flat, row.context, row.root));
            let place = function.and_then(|function| function.place_numbers.get(&row.place));
            let turn = match row.context {
                same if same == context => Turn::SAME,
                new if new == newest.saturating_add(1) => Turn::Plain(NEW_CONTEXT),
                outer if outer == parent_of(flat, context) => Turn::Plain(PARENT_CONTEXT),
                0 => Turn::Other(0),
                other => Turn::Other(zigzag(named, other).saturating_add(1)),
            };
            changes.push(Change {
                distance: offset.saturating_sub(at),
                context: turn,
                place: number(place.copied().unwrap_or(0)),
            });
            if matches!(turn, Turn::Plain(NEW_CONTEXT) | Turn::Other(_)) {
                named = row.context;
            }
            (context, newest, at) = (row.context, newest.max(row.context), offset);
        }
        let codes = Codes::new(&changes);
        let mut rows = Vec::new();
        for (block, changes) in blocks.iter_mut().zip(changes.chunks(ROWS_IN_A_BLOCK)) {
            let [_, place, ..] = block;
            *place = number(rows.len());
            for change in changes {
                codes.write(change, &mut rows);
            }
            self.pack(Part::Blocks, block);
        }
        self.put(Part::RowCodes, &codes.bytes(), codes.count());
        self.put(Part::Rows, &rows, rows.len());
        Ok(())
    }

    fn contexts(&mut self) {
        let flat = self.flat;
        let mut records = Vec::new();
        for (position, context) in flat.contexts.iter().enumerate() {
            if position % CONTEXTS_IN_A_GROUP == 0 {
                self.pack(Part::ContextGroups, &[number(records.len())]);
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
        self.put(Part::Contexts, &records, records.len());
    }

    /// Places and calls of every function.
    fn functions(&mut self) -> Result<(), TooMany> {
        let mut places = Vec::new();
        let mut calls = Vec::new();
        for function in &self.functions {
            let of = |place: &Place| Use::new(*place, function.file, function.line);
            places.extend(function.places.iter().map(of));
            for (callee, place) in &function.calls {
                calls.push((self.number_of(*callee), of(place)));
            }
        }
        let all = places.iter().chain(calls.iter().map(|(_, place)| place));
        let form = Places::new(&all.copied().collect::<Vec<_>>())?;
        for place in places {
            self.pack(Part::Places, &[form.value(place)]);
        }
        for (callee, place) in calls {
            self.pack(Part::Calls, &[callee, form.value(place)]);
        }
        for place in &form.wide {
            self.pack(Part::WidePlaces, &[place.file, place.column, place.line]);
        }
        (self.column_bits, self.wide_from) = (form.column_bits, form.wide_from);
        Ok(())
    }

    fn texts_and_files(&mut self) {
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
            self.pack(Part::Grammar, element);
        }
        self.packed(Part::Grammar).widen(1, compressed.bits);
        self.short_symbols = compressed.short;
        let (names, files) = compressed
            .texts
            .split_at(self.functions.len().min(compressed.texts.len()));
        let (mut place, mut call) = (0u32, 0u32);
        let mut records = Vec::new();
        let mut groups = Vec::new();
        let mut line = 0;
        for (position, (function, name)) in self.functions.iter().zip(names).enumerate() {
            if position % FUNCTIONS_IN_A_GROUP == 0 {
                groups.push([number(records.len()), place, call, function.file]);
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
            self.pack(Part::Functions, &group);
        }
        for (position, file) in files.iter().enumerate() {
            let own = number(position).saturating_add(1);
            let first = self
                .functions
                .partition_point(|function| function.file < own);
            self.pack(Part::Files, &[number(records.len()), number(first)]);
            varint(&mut records, number(file.len()));
            records.extend(file);
        }
        self.put(Part::Texts, &records, records.len());
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
        set(AT_COLUMN_BITS, &[self.column_bits]);
        set(AT_SHORT_SYMBOLS, &[self.short_symbols]);
        set(AT_WIDE_FROM, &self.wide_from.to_le_bytes());
        let mut widths = Vec::new();
        let mut counts = Vec::new();
        for part in Part::ALL {
            let count = match part.fields() {
                0 => {
                    let (bytes, count) = self.plain.remove(&(part as u32)).unwrap_or_default();
                    body.extend(bytes);
                    count
                }
                _ => {
                    let packed = self.packed(part);
                    widths.extend_from_slice(packed.widths());
                    body.extend(packed.bytes());
                    packed.count()?
                }
            };
            counts.extend(count.to_le_bytes());
        }
        body.extend([0; PADDING]);
        set(AT_COUNTS, &counts);
        set(AT_WIDTHS, &widths);
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
