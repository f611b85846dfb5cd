//! Names as people write them, whoever compiled them.

use std::fmt;

use cpp_demangle::{DemangleOptions, Symbol};

use crate::dwarf;

/// The most a name may grow to. A few hundred bytes can stand for as much as one likes.
const LONGEST: usize = 1 << 16;

/// A name of Rust or of C++ as it is written there; any other as it is.
pub(super) fn demangle(name: &str) -> String {
    // Names of older Rust are names of C++, too.
    let ours = dwarf::demangle(name);
    if ours != name || !name.starts_with("_Z") {
        return ours;
    }
    let Ok(symbol) = Symbol::new(name) else {
        return ours;
    };
    let mut text = Bounded(String::new());
    match symbol.structured_demangle(&mut text, &DemangleOptions::default()) {
        Ok(()) => text.0,
        Err(_) => ours,
    }
}

struct Bounded(String);

impl fmt::Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.0.len().saturating_add(text.len()) > LONGEST {
            return Err(fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_each_language_are_as_written_there() {
        for (name, written) in [
            ("_Z5twiceIiET_S0_", "int twice<int>(int)"),
            ("_ZNK2ns1T3getEi", "ns::T::get(int) const"),
            ("_ZN4core3fmt5write17h0123456789abcdefE", "core::fmt::write"),
            ("main", "main"),
            ("_Zebra", "_Zebra"),
        ] {
            assert_eq!(demangle(name), written);
        }
    }
}
