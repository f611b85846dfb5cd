//! Indexes of made-up lists, held against the lists themselves.

use crate::Index;
use crate::build::{Context, Flat, NOBODY, Named, Place, Row, encode, seal};
use crate::index::Refused;
use crate::index::format::{AT_COUNTS, AT_WIDTHS, Part};
use crate::index::table::Table;

/// Numbers that look random and are the same in every run (splitmix64).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }

    fn small(&mut self, limit: usize) -> u32 {
        self.below(limit as u64) as u32
    }

    /// Lines and columns near each other, and now and then far out of the short forms.
    fn place(&mut self, files: usize) -> Place {
        match self.below(12) {
            0 => Place::default(),
            1 => Place {
                file: 1 + self.small(files),
                line: self.small(200_000),
                column: self.small(60_000),
            },
            _ => Place {
                file: 1,
                line: 40 + self.small(30),
                column: 1 + self.small(100),
            },
        }
    }
}

/// A list with everything in it that a list may have.
fn made_up(seed: u64) -> Flat {
    let mut random = Random(seed);
    let mut flat = Flat::default();
    flat.names.push(String::new());
    for number in 0..20 + random.below(60) {
        let kind =
            ["core::iter::Map", "<T as kernel::Größe>", "a::b", ""][random.below(4) as usize];
        flat.names.push(format!("{kind}::f{number}"));
    }
    for number in 0..1 + random.below(20) {
        flat.files.push(format!("/ringwalk/src/{number}/mod.rs"));
    }
    let base = random.below(1 << 40);
    let mut at = base;
    let (names, files) = (flat.names.len(), flat.files.len());
    for _ in 0..1 + random.below(12) {
        let bytes = 1 + random.below(3000);
        flat.symbols.push(Named {
            address: at,
            bytes,
            name: 1 + random.small(names - 1),
            is_code: random.below(5) > 0,
        });
        at += bytes + random.below(3) * random.below(50);
    }
    at = base;
    for _ in 0..random.below(600) {
        let symbol = flat
            .symbols
            .iter()
            .find(|symbol| (symbol.address..symbol.address + symbol.bytes).contains(&at));
        let root = symbol
            .filter(|symbol| symbol.is_code)
            .map_or(NOBODY, |symbol| symbol.name);
        // Contexts of this function, or a new one inside one of them.
        let own: Vec<u32> = (1..=flat.contexts.len() as u32)
            .filter(|context| flat.contexts[*context as usize - 1].root == root)
            .collect();
        let mut context = match own.is_empty() {
            true => 0,
            false => own[random.below(own.len() as u64) as usize],
        };
        if random.below(3) == 0 && depth(&flat, context) < 60 {
            flat.contexts.push(Context {
                parent: context,
                root,
                function: 1 + random.small(names - 1),
                call: random.place(files),
            });
            context = flat.contexts.len() as u32;
        } else if random.below(4) == 0 {
            context = 0;
        }
        flat.rows.push(Row {
            address: at,
            root,
            context,
            place: random.place(files),
        });
        let next = at + 1 + random.below(3) * random.below(30);
        // A row never holds for two functions.
        let edge = flat
            .symbols
            .iter()
            .flat_map(|symbol| [symbol.address, symbol.address + symbol.bytes]);
        at = edge
            .filter(|edge| (at + 1..next).contains(edge))
            .min()
            .unwrap_or(next);
    }
    flat
}

fn depth(flat: &Flat, mut context: u32) -> usize {
    let mut depth = 0;
    while context != 0 {
        depth += 1;
        context = flat.contexts[context as usize - 1].parent;
    }
    depth
}

/// What the list says about an address: names and places, innermost first.
fn expected(flat: &Flat, address: u64) -> Vec<(String, String, u32, u32)> {
    let symbol = flat
        .symbols
        .iter()
        .rev()
        .find(|symbol| symbol.address <= address);
    let symbol = symbol.filter(|symbol| address - symbol.address < symbol.bytes);
    let row = flat.rows.iter().rev().find(|row| row.address <= address);
    let mut frames = Vec::new();
    let (Some(row), false) = (row, symbol.is_some_and(|symbol| !symbol.is_code)) else {
        return frames;
    };
    let name = |name: u32| flat.names[name as usize].clone();
    let file = |place: Place| match place.file {
        0 => String::new(),
        file => flat.files[file as usize - 1].clone(),
    };
    let (mut context, mut place) = (row.context, row.place);
    while context != 0 {
        let inner = flat.contexts[context as usize - 1];
        frames.push((name(inner.function), file(place), place.line, place.column));
        (context, place) = (inner.parent, inner.call);
    }
    if !frames.is_empty() || row.root != NOBODY || place != Place::default() {
        frames.push((name(row.root), file(place), place.line, place.column));
    }
    frames
}

#[test]
fn an_index_says_what_its_list_says() {
    for seed in 0..300 {
        let flat = made_up(seed);
        let bytes = encode(&flat, &[7; 20]).expect("it fits");
        let index = Index::open(&bytes).expect("whole");
        for row in &flat.rows {
            for address in [row.address, row.address + 1] {
                // Behind a row that was the last one of a function, the list says nothing.
                let holds = flat.rows.iter().rev().find(|row| row.address <= address);
                let symbol = |at: u64| {
                    flat.symbols
                        .iter()
                        .rev()
                        .find(|symbol| symbol.address <= at)
                        .filter(|symbol| at - symbol.address < symbol.bytes)
                        .map(|symbol| symbol.address)
                };
                if holds.is_some_and(|row| symbol(row.address) != symbol(address)) {
                    continue;
                }
                let found: Vec<_> = index
                    .lookup(address)
                    .into_iter()
                    .flat_map(|found| found.frames)
                    .map(|frame| {
                        (
                            frame.function.to_string(),
                            frame.file.to_string(),
                            frame.line,
                            frame.column,
                        )
                    })
                    .collect();
                assert_eq!(
                    found,
                    expected(&flat, address),
                    "seed {seed}, address {address:#x}"
                );
            }
        }
        for symbol in &flat.symbols {
            let found = index.symbol_at(symbol.address).expect("it is there");
            assert!(
                found.name.is(&flat.names[symbol.name as usize]),
                "{found:?}"
            );
            assert_eq!((found.bytes, found.is_code), (symbol.bytes, symbol.is_code));
        }
    }
}

#[test]
fn the_same_list_gives_the_same_bytes() {
    let bytes = |seed| encode(&made_up(seed), &[1, 2, 3]).expect("it fits");
    assert_eq!(bytes(5), bytes(5));
    assert_ne!(bytes(5), bytes(6));
}

#[test]
fn an_index_is_refused_for_what_is_wrong_with_it() {
    let whole = encode(&made_up(1), &[0xab; 20]).expect("it fits");
    let refused = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = whole.clone();
        change(&mut bytes);
        Index::open(&bytes).expect_err("it is damaged").to_string()
    };
    assert_eq!(refused(&|bytes| bytes.clear()), "not an index of symbols");
    assert_eq!(refused(&|bytes| bytes[0] = b'r'), "not an index of symbols");
    assert_eq!(
        refused(&|bytes| bytes[8] = 1),
        "an index of symbols of version 1; version 4 is known here"
    );
    let short = refused(&|bytes| bytes.truncate(bytes.len() - 1));
    assert_eq!(
        short,
        format!(
            "a damaged index of symbols: {} bytes of {}",
            whole.len() - 1,
            whole.len()
        )
    );
    assert!(refused(&|bytes| *bytes.last_mut().expect("a byte") ^= 1).contains("its checksum is"));
    // Even the bytes that nothing is in are part of it.
    assert!(refused(&|bytes| bytes[10] = 1).contains("its checksum is"));
    // More elements than there is room for, fewer, fields that are too wide, and elements of no bits at all.
    let groups =
        AT_WIDTHS + Part::Grammar.fields() + Part::Symbols.fields() + Part::Blocks.fields();
    for (at, value) in [
        (AT_COUNTS + 3, 0xff),
        (AT_COUNTS, whole[AT_COUNTS] - 1),
        (AT_WIDTHS, 33),
        (groups, 0),
    ] {
        let outside = refused(&|bytes| {
            bytes[at] = value;
            seal(bytes);
        });
        assert_eq!(
            outside,
            "a damaged index of symbols: its parts are not as long as it is"
        );
    }

    let index = Index::open(&whole).expect("whole");
    assert_eq!(index.is_of(&[0xab; 20]), Ok(()));
    assert_eq!(index.is_of(&[0xab; 6]), Ok(()));
    let foreign = index.is_of(&[0xcd; 20]).expect_err("another build");
    assert_eq!(
        foreign.to_string(),
        "the index of symbols is of build abababababab, not cdcdcdcdcdcd"
    );
    assert!(matches!(index.is_of(&[]), Err(Refused::Foreign { .. })));
}

#[test]
fn what_follows_an_index_is_left_alone() {
    let mut bytes = encode(&made_up(2), &[1]).expect("it fits");
    bytes.extend([0; 100]);
    assert!(Index::open(&bytes).is_ok());
}

#[test]
fn a_text_is_searched_as_a_string_would_be() {
    let mut flat = made_up(3);
    let name = "<alpha::Größe<u8> as beta::Beta>::grow::{closure#0}";
    flat.names[1] = name.to_owned();
    flat.symbols[0].name = 1;
    let bytes = encode(&flat, &[1]).expect("it fits");
    let index = Index::open(&bytes).expect("whole");
    let text = index
        .symbol_at(flat.symbols[0].address)
        .expect("it is there")
        .name;
    for wanted in [
        "",
        "alpha",
        "Größe",
        "aa",
        "{closure#0}",
        "<alpha",
        "Beta>::grow",
        "beta::beta",
        "#0}x",
    ] {
        assert_eq!(text.contains(wanted), name.contains(wanted), "{wanted}");
        assert_eq!(text.ends_with(wanted), name.ends_with(wanted), "{wanted}");
        assert!(!text.is(wanted), "{wanted}");
    }
    assert!(text.is(name) && text.contains(name) && text.ends_with(name));
}

#[test]
fn fields_of_any_width_are_read_where_they_are() {
    // Twelve bits and four: 0xabc and 0xd, 0x123 and 0x4.
    let bytes = [0xbc, 0xda, 0x23, 0x41, 0, 0, 0, 0, 0, 0, 0];
    let (table, length) = Table::<2>::open(&bytes, 2, &[12, 4]).expect("it fits");
    assert_eq!(length, 4);
    let element = |number| {
        let fields = (table.get(number, 0), table.get(number, 1));
        let whole = table.element(number);
        let field = |field| whole.and_then(|whole| table.field(whole, field));
        assert_eq!((field(0), field(1)), fields);
        fields
    };
    assert_eq!(element(0), (Some(0xabc), Some(0xd)));
    assert_eq!(element(1), (Some(0x123), Some(0x4)));
    assert_eq!(element(9), (None, None));
    assert_eq!(table.get(0, 2), None);
    // Three of ten bits, sorted: 0x001, 0x155 and 0x3ff.
    let bytes = [0x01, 0x54, 0xf5, 0x3f, 0, 0, 0, 0, 0, 0, 0];
    let (table, _) = Table::<1>::open(&bytes, 3, &[10]).expect("it fits");
    let last = [0, 1, 0x154, 0x155, 0x3fe, 0x3ff, 0x400].map(|most| table.last_not_above(most));
    let expected = [None, Some(0), Some(0), Some(1), Some(1), Some(2), Some(2)];
    assert_eq!(last, expected);
    assert!(Table::<2>::open(&bytes, 2, &[12, 33]).is_none());
    assert!(Table::<2>::open(&bytes, 3, &[12, 4]).is_none());
    assert!(Table::<2>::open(&bytes, 1, &[0, 0]).is_none());
}
