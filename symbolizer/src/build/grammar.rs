//! Texts made short: what occurs often is given a name of its own.
//!
//! Names of generic functions repeat each other endlessly. This is the Re-Pair scheme: the most
//! frequent pair of symbols becomes a new symbol, until no pair is frequent enough. Expanding a
//! symbol again takes a table and a small stack.

use std::collections::{BinaryHeap, HashMap};

use super::fields::bits;
use super::packed::{index, number};
use crate::index::format::{DEEPEST_SYMBOL, MOST_SYMBOLS};

/// A pair that occurs less often saves nothing: its rule takes three bytes and a half.
const AT_LEAST: usize = 3;

/// Texts as symbols.
#[derive(Debug, Default)]
pub(super) struct Compressed {
    /// What each symbol stands for, as the index has it.
    pub(super) grammar: Vec<[u32; 2]>,
    /// How many bits the second number of each has.
    pub(super) bits: u8,
    /// How many symbols take one byte.
    pub(super) short: u8,
    /// The symbols of each text, already as bytes.
    pub(super) texts: Vec<Vec<u8>>,
}

/// What a symbol stands for.
#[derive(Clone, Copy, Debug)]
enum Rule {
    Character(char),
    Pair(u32, u32),
}

/// No symbol: between two texts, and where a symbol was taken out.
const NONE: u32 = u32::MAX;

struct Pairs {
    /// All texts, one behind the other, each followed by [`NONE`].
    symbols: Vec<u32>,
    rules: Vec<Rule>,
    depths: Vec<usize>,
    /// Where each pair was seen to begin; checked when it is used.
    places: HashMap<(u32, u32), Vec<usize>>,
    queue: BinaryHeap<(usize, (u32, u32))>,
}

pub(super) fn compress(texts: &[&str]) -> Compressed {
    let mut pairs = Pairs::new(texts);
    while let Some(pair) = pairs.most_frequent() {
        pairs.replace(pair);
    }
    pairs.finish()
}

impl Pairs {
    fn new(texts: &[&str]) -> Self {
        let mut rules = Vec::new();
        let mut numbers: HashMap<char, u32> = HashMap::new();
        let mut symbols = Vec::new();
        for text in texts {
            for character in text.chars() {
                let number = *numbers.entry(character).or_insert_with(|| {
                    rules.push(Rule::Character(character));
                    number(rules.len().saturating_sub(1))
                });
                symbols.push(number);
            }
            symbols.push(NONE);
        }
        let mut pairs = Pairs {
            depths: vec![1; rules.len()],
            symbols,
            rules,
            places: HashMap::new(),
            queue: BinaryHeap::new(),
        };
        for at in 0..pairs.symbols.len() {
            pairs.note(at);
        }
        let counts: Vec<_> = pairs
            .places
            .iter()
            .map(|(pair, places)| (places.len(), *pair))
            .collect();
        pairs.queue.extend(counts);
        pairs
    }

    fn get(&self, at: usize) -> u32 {
        self.symbols.get(at).copied().unwrap_or(NONE)
    }

    /// The next symbol of the same text.
    fn after(&self, at: usize) -> Option<usize> {
        // What was taken out is marked with how far to go on: see `replace`.
        let mut next = at.checked_add(1)?;
        loop {
            match self.get(next) {
                NONE => return None,
                HOLE => next = next.checked_add(1)?,
                _ => return Some(next),
            }
        }
    }

    fn before(&self, at: usize) -> Option<usize> {
        let mut previous = at.checked_sub(1)?;
        loop {
            match self.get(previous) {
                NONE => return None,
                HOLE => previous = previous.checked_sub(1)?,
                _ => return Some(previous),
            }
        }
    }

    /// Remembers the pair that begins here, and says which it is.
    fn note(&mut self, at: usize) -> Option<(u32, u32)> {
        let first = self.get(at);
        if first == NONE || first == HOLE {
            return None;
        }
        let pair = (first, self.get(self.after(at)?));
        self.places.entry(pair).or_default().push(at);
        Some(pair)
    }

    /// A pair that occurs often enough, and where: the most frequent one, and of equals always the
    /// same, so that the same texts give the same bytes.
    fn most_frequent(&mut self) -> Option<((u32, u32), Vec<usize>)> {
        while let Some((count, pair)) = self.queue.pop() {
            if count < AT_LEAST || self.rules.len() >= MOST_SYMBOLS {
                return None;
            }
            let mut places = self.places.remove(&pair).unwrap_or_default();
            places.sort_unstable();
            places.dedup();
            let mut free = 0;
            places.retain(|&at| {
                let Some(next) = self.after(at) else {
                    return false;
                };
                // In `aaa`, the second pair begins inside the first.
                let holds = at >= free && (self.get(at), self.get(next)) == pair;
                if holds {
                    free = next.saturating_add(1);
                }
                holds
            });
            let depth = |symbol: u32| self.depths.get(index(symbol)).copied().unwrap_or(0);
            if depth(pair.0).max(depth(pair.1)).saturating_add(1) >= DEEPEST_SYMBOL {
                continue;
            }
            if places.len() == count {
                return Some((pair, places));
            }
            // Others took some of them; its turn may come later.
            if places.len() >= AT_LEAST {
                self.queue.push((places.len(), pair));
                self.places.insert(pair, places);
            }
        }
        None
    }

    fn replace(&mut self, (pair, places): ((u32, u32), Vec<usize>)) {
        let depth = |symbol: u32| self.depths.get(index(symbol)).copied().unwrap_or(0);
        let deeper = depth(pair.0).max(depth(pair.1)).saturating_add(1);
        let symbol = number(self.rules.len());
        self.rules.push(Rule::Pair(pair.0, pair.1));
        self.depths.push(deeper);
        let mut touched = Vec::new();
        for at in places {
            let Some(next) = self.after(at) else { continue };
            if (self.get(at), self.get(next)) != pair {
                continue;
            }
            if let Some(place) = self.symbols.get_mut(at) {
                *place = symbol;
            }
            if let Some(place) = self.symbols.get_mut(next) {
                *place = HOLE;
            }
            touched.extend(self.note(at));
            if let Some(previous) = self.before(at) {
                touched.extend(self.note(previous));
            }
        }
        touched.sort_unstable();
        touched.dedup();
        for pair in touched {
            let count = self.places.get(&pair).map_or(0, Vec::len);
            self.queue.push((count, pair));
        }
    }

    /// Numbers the symbols anew, the frequent ones first: theirs take one byte.
    fn finish(self) -> Compressed {
        let mut uses = vec![0usize; self.rules.len()];
        for symbol in &self.symbols {
            if let Some(count) = uses.get_mut(index(*symbol)) {
                *count = count.saturating_add(1);
            }
        }
        let mut order: Vec<u32> = (0..number(self.rules.len())).collect();
        order.sort_by_key(|symbol| std::cmp::Reverse(uses.get(index(*symbol)).copied()));
        let mut renamed = vec![0u32; self.rules.len()];
        for (new, old) in order.iter().enumerate() {
            if let Some(place) = renamed.get_mut(index(*old)) {
                *place = number(new);
            }
        }
        let name = |symbol: u32| renamed.get(index(symbol)).copied().unwrap_or(0);
        let count = number(order.len());
        // Seven bits are the lower part of nearly every character.
        let bits = bits(count.saturating_sub(1)).max(7);
        let grammar = order.iter().filter_map(|old| self.rules.get(index(*old)));
        let grammar = grammar.map(|rule| match *rule {
            Rule::Character(character) => {
                let character = u32::from(character);
                let lower = character & (1u32 << bits).wrapping_sub(1);
                [count.saturating_add(character >> bits), lower]
            }
            Rule::Pair(first, second) => [name(first), name(second)],
        });
        // As many first bytes as it takes are those of two.
        let many = u32::from(u16::MAX).saturating_add(1).saturating_sub(count) / 255;
        let short = u8::try_from(many).unwrap_or(u8::MAX);
        let mut compressed = Compressed {
            grammar: grammar.collect(),
            bits,
            short,
            texts: Vec::new(),
        };
        let mut text = Vec::new();
        for symbol in self.symbols {
            match symbol {
                HOLE => {}
                NONE => compressed.texts.push(std::mem::take(&mut text)),
                symbol => {
                    let [low, high, ..] = match name(symbol).checked_sub(short.into()) {
                        None => {
                            let [only, ..] = name(symbol).to_le_bytes();
                            text.push(only);
                            continue;
                        }
                        Some(long) => long.to_le_bytes(),
                    };
                    text.extend([high.saturating_add(short), low]);
                }
            }
        }
        compressed
    }
}

/// Where the second symbol of a pair was, before the pair became one.
const HOLE: u32 = NONE - 1;
