//! Framed output: what a program at the other end of the serial line reads.
//!
//! After `framing on`, each line received is answered by one frame:
//!
//! ```text
//! @begin SEQ COMMAND-LINE-AS-RECEIVED
//! |an output line
//! !an error line
//! @end SEQ lines=N crc=XXXXXXXX status=ok|failed|interrupted
//! ```
//!
//! SEQ counts from 1. `lines` counts the `|` and `!` lines, and `crc` is CRC-32/ISO-HDLC
//! over them: each with its marker and one `\n`, no CR. Control characters other than the
//! line feed are written `\xNN`. Whatever else is seen between frames is not the shell's.

mod line;

pub use line::{Checksum, Line};

/// The version of the protocol, as announced by `@framed`.
pub const VERSION: u32 = 1;
