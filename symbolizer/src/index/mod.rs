//! The index: everything the debug information says about code, as a table of bytes.
//!
//! Reading it needs no allocator and takes no lock, and every loop has a bound. What an index says is
//! what the debug information said: it is made by asking [`crate::dwarf`] at every address at
//! which the answer could change. The format is described in `docs/symbols-index.md`.

mod bytes;
pub(crate) mod format;
mod found;
mod frames;
mod functions;
mod grammar;
mod lookup;
mod open;
mod rows;
mod search;
mod table;
mod text;
mod window;

#[cfg(all(test, feature = "std"))]
mod tests;

pub use found::{Found, Frame, Symbol};
pub use frames::Frames;
pub use open::{Index, Refused};
pub use search::Stretch;
pub use text::Text;
