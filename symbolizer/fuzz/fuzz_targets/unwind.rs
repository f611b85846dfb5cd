//! Any bytes as the segment that the unwind tables of an image lie in.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tests::damage::ask_tables;
use tests::random::Random;

fuzz_target!(|bytes: &[u8]| {
    ask_tables(bytes, &mut Random::new(bytes.len() as u64));
});
