//! Text that a process wrote: bytes that may be anything, in pieces that may end anywhere.
//!
//! What is not UTF-8 is shown as `\xNN`. Control characters are left to the output, which
//! escapes them whoever wrote them.

use core::fmt::{self, Write};
use core::str;

/// The pieces of one process's output, taken one after the other.
pub(crate) struct ForeignText {
    bytes: [u8; 256],
    /// How many bytes at the start are the beginning of a character.
    held: usize,
}

impl ForeignText {
    pub(crate) const fn new() -> Self {
        ForeignText {
            bytes: [0; 256],
            held: 0,
        }
    }

    /// Where the next piece goes; never empty.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.held..).unwrap_or_default()
    }

    /// Writes so many bytes that have been put there. A character whose end is missing waits
    /// for the next piece.
    ///
    /// # Errors
    ///
    /// Only those of `out`; the piece is then lost.
    pub(crate) fn write(&mut self, added: usize, out: &mut dyn Write) -> fmt::Result {
        let length = self.held.saturating_add(added);
        self.held = 0;
        let bytes = self.bytes.get(..length).unwrap_or(&self.bytes);
        let mut left = bytes.len();
        let mut torn = 0;
        for chunk in bytes.utf8_chunks() {
            out.write_str(chunk.valid())?;
            let invalid = chunk.invalid();
            left = left.saturating_sub(chunk.valid().len() + invalid.len());
            let lacks_its_end = str::from_utf8(invalid).is_err_and(|e| e.error_len().is_none());
            match left == 0 && lacks_its_end {
                true => torn = invalid.len(),
                false => escape(invalid, out)?,
            }
        }
        let end = bytes.len();
        self.bytes.copy_within(end.saturating_sub(torn)..end, 0);
        self.held = torn;
        Ok(())
    }

    /// Writes what is left when no more comes.
    ///
    /// # Errors
    ///
    /// Only those of `out`.
    pub(crate) fn finish(&mut self, out: &mut dyn Write) -> fmt::Result {
        let held = core::mem::take(&mut self.held);
        escape(self.bytes.get(..held).unwrap_or_default(), out)
    }
}

fn escape(bytes: &[u8], out: &mut dyn Write) -> fmt::Result {
    bytes
        .iter()
        .try_for_each(|byte| write!(out, "\\x{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(pieces: &[&[u8]]) -> String {
        let (mut text, mut foreign) = (String::new(), ForeignText::new());
        for piece in pieces {
            foreign.room()[..piece.len()].copy_from_slice(piece);
            foreign
                .write(piece.len(), &mut text)
                .expect("a string takes all");
        }
        foreign.finish(&mut text).expect("a string takes all");
        text
    }

    #[test]
    fn a_character_torn_between_two_pieces_is_whole_again() {
        assert_eq!(shown(&[b"\xe5", b"\xad", b"\x97!"]), "字!");
        assert_eq!(shown(&["é字".as_bytes()]), "é字");
    }

    #[test]
    fn what_is_no_character_is_shown_byte_by_byte() {
        assert_eq!(shown(&[b"a\xffb\xe5\xadc"]), "a\\xffb\\xe5\\xadc");
        assert_eq!(shown(&[b"end\xe5\xad"]), "end\\xe5\\xad");
        assert_eq!(shown(&[b"\xe5", b"\xe5\xad\x97"]), "\\xe5字");
    }

    proptest! {
        #[test]
        fn it_does_not_matter_where_the_pieces_end(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            cuts in proptest::collection::vec(1_usize..9, 200),
        ) {
            let (mut pieces, mut rest) = (Vec::new(), bytes.as_slice());
            for cut in cuts {
                let (piece, after) = rest.split_at(cut.min(rest.len()));
                pieces.push(piece);
                rest = after;
            }
            prop_assert_eq!(shown(&pieces), shown(&[&bytes]));
        }
    }
}
