//! What the linker called a build.

use object::Endianness;
use object::elf::{FileHeader64, NT_GNU_BUILD_ID};
use object::read::elf::{FileHeader as _, ProgramHeader as _};

/// The build id of an ELF file of a 64-bit machine, by its notes as they are loaded; `None` if it has
/// none, or is no such file. An index of it [is of](crate::Index::is_of) this build.
pub fn build_id(file: &[u8]) -> Option<&[u8]> {
    let header = FileHeader64::<Endianness>::parse(file).ok()?;
    let endian = header.endian().ok()?;
    for segment in header.program_headers(endian, file).ok()? {
        let Ok(Some(mut notes)) = segment.notes(endian, file) else {
            continue;
        };
        while let Ok(Some(note)) = notes.next() {
            if note.name() == b"GNU" && note.n_type(endian) == NT_GNU_BUILD_ID {
                return Some(note.desc());
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_elf_file_has_none() {
        for file in [&b""[..], b"\x7fELF", &[0; 4096]] {
            assert_eq!(build_id(file), None);
        }
    }
}
