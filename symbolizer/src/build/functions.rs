//! What the rows and contexts of each function are about: its file, its places, its calls.

use std::collections::HashMap;

use super::flat::{Flat, NOBODY, Place};
use super::packed::{TooMany, index, number};

/// What one function needs to be described.
#[derive(Default)]
pub(super) struct Function {
    pub(super) name: u32,
    pub(super) file: u32,
    /// The first line of what is in that file: the others count from it.
    pub(super) line: u32,
    /// The frequent ones first.
    pub(super) places: Vec<Place>,
    pub(super) place_numbers: HashMap<Place, usize>,
    /// What it calls inline, and where.
    pub(super) calls: Vec<(u32, Place)>,
    pub(super) call_numbers: HashMap<(u32, Place), usize>,
}

/// Which function encloses a context's code: that of the context, or the one that is there as such.
pub(super) fn function_of(flat: &Flat, context: u32, root: u32) -> u32 {
    match flat.contexts.get(index(context.wrapping_sub(1))) {
        Some(inner) if context > 0 => inner.function,
        _ => root,
    }
}

/// Functions sorted by their files, and the number each name got.
pub(super) fn functions(flat: &Flat) -> Result<(Vec<Function>, Vec<u32>), TooMany> {
    let mut functions: Vec<Function> = Vec::new();
    for name in 0..number(flat.names.len()) {
        functions.push(Function {
            name,
            ..Function::default()
        });
    }
    let mut places: Vec<HashMap<Place, usize>> = vec![HashMap::new(); functions.len()];
    for row in &flat.rows {
        let function = function_of(flat, row.context, row.root);
        if let Some(places) = places.get_mut(index(function)) {
            let count = places.entry(row.place).or_default();
            *count = count.saturating_add(1);
        }
    }
    for context in &flat.contexts {
        let caller = function_of(flat, context.parent, context.root);
        let call = (context.function, context.call);
        if let Some(function) = functions.get_mut(index(caller))
            && !function.call_numbers.contains_key(&call)
        {
            function.call_numbers.insert(call, function.calls.len());
            function.calls.push(call);
        }
    }
    for (function, counts) in functions.iter_mut().zip(places) {
        let mut sorted: Vec<(Place, usize)> = counts.into_iter().collect();
        sorted.sort_by_key(|(place, count)| {
            (
                std::cmp::Reverse(*count),
                place.line,
                place.column,
                place.file,
            )
        });
        function.file = usual_file(&sorted, &function.calls);
        let places = sorted.iter().map(|(place, _)| place);
        let all = places.chain(function.calls.iter().map(|(_, place)| place));
        let own = all.filter(|place| place.file == function.file && place.line != 0);
        function.line = own.map(|place| place.line).min().unwrap_or(0);
        for (number, (place, _)) in sorted.into_iter().enumerate() {
            function.place_numbers.insert(place, number);
            function.places.push(place);
        }
    }
    // The one of unclaimed addresses keeps its number.
    functions.sort_by_key(|function| match function.name {
        NOBODY => (0, 0, 0),
        name => (function.file, function.line, name),
    });
    if functions.len() > usize::from(u16::MAX) {
        return Err(TooMany("functions"));
    }
    if flat.files.len() > usize::from(u16::MAX) {
        return Err(TooMany("files"));
    }
    let mut numbers = vec![0; functions.len()];
    for (new, function) in functions.iter_mut().enumerate() {
        if function.name == NOBODY {
            function.file = 0;
        }
        if let Some(place) = numbers.get_mut(index(function.name)) {
            *place = number(new);
        }
    }
    Ok((functions, numbers))
}

/// The file that most of a function is in; of equals the first.
fn usual_file(places: &[(Place, usize)], calls: &[(u32, Place)]) -> u32 {
    let mut counts: HashMap<u32, usize> = HashMap::new();
    let with_line = places
        .iter()
        .filter(|(place, _)| place.line != 0)
        .map(|(place, count)| (place.file, *count));
    for (file, count) in with_line.chain(calls.iter().map(|(_, place)| (place.file, 1))) {
        let sum = counts.entry(file).or_default();
        *sum = sum.saturating_add(count);
    }
    let most = counts
        .into_iter()
        .max_by_key(|(file, count)| (*count, std::cmp::Reverse(*file)));
    let first = places.first().map(|(place, _)| place.file);
    most.map(|(file, _)| file).or(first).unwrap_or(0)
}
