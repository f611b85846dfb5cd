//! Any bytes as an ELF file with debug information. `target/fixtures` has some to begin with.
#![no_main]

use libfuzzer_sys::fuzz_target;
use symbolizer::Index;
use tests::damage::ask_file;
use tests::random::Random;

fuzz_target!(|bytes: &[u8]| {
    ask_file(bytes, &mut Random::new(bytes.len() as u64));
    if let Ok(index) = symbolizer::build::index(bytes) {
        assert!(Index::open(&index).is_ok());
    }
});
