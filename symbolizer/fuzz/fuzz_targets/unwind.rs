//! Any bytes as the segment that the unwind tables of an image lie in; or tables that were made up from a number,
//! changed here and there.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tests::damage::{ask_tables, unwind_tables};
use tests::random::Random;

fuzz_target!(|bytes: &[u8]| {
    let mut random = Random::new(bytes.len() as u64);
    let Some((1, rest)) = bytes.split_first() else {
        ask_tables(bytes, &mut random);
        return;
    };
    let (seed, changes) = rest.split_at(rest.len().min(4));
    let seed = seed.iter().fold(0, |seed, byte| seed << 8 | u64::from(*byte));
    let mut tables = unwind_tables(&mut Random::new(seed));
    for change in changes.chunks_exact(3) {
        let at = usize::from(change[0]) << 8 | usize::from(change[1]);
        let at = at % tables.len();
        tables[at] = change[2];
    }
    ask_tables(&tables, &mut random);
});
