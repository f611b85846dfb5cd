//! Any bytes as an index of symbols, with the checksum made right: `target/symbols` has some to begin with.
#![no_main]

use libfuzzer_sys::fuzz_target;
use symbolizer::Index;
use tests::damage::ask_index;
use tests::random::Random;

fuzz_target!(|bytes: &[u8]| {
    let mut bytes = bytes.to_vec();
    symbolizer::build::seal(&mut bytes);
    if let Ok(index) = Index::open(&bytes) {
        ask_index(&index, &mut Random::new(bytes.len() as u64));
    }
});
