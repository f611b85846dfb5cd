//! Which section of a program an address lies in, as its file has it.

use object::Endianness;
use object::elf::{FileHeader64, SHF_ALLOC, SHF_EXECINSTR, SHF_WRITE};
use object::read::elf::{FileHeader as _, SectionHeader as _};

/// A section, and what a loader is to allow there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Section<'a> {
    /// `.rodata`.
    pub name: &'a str,
    /// Whether it may be written.
    pub is_writable: bool,
    /// Whether it is code.
    pub is_code: bool,
}

/// The section that is loaded at an address, of an ELF file of a 64-bit machine; `None` if there is none,
/// or it is no such file.
pub fn section_at(file: &[u8], address: u64) -> Option<Section<'_>> {
    let header = FileHeader64::<Endianness>::parse(file).ok()?;
    let endian = header.endian().ok()?;
    let sections = header.sections(endian, file).ok()?;
    let found = sections.iter().find(|section| {
        let distance = address.checked_sub(section.sh_addr(endian));
        let is_loaded = section.sh_flags(endian).contains(SHF_ALLOC);
        is_loaded && distance.is_some_and(|distance| distance < section.sh_size(endian))
    })?;
    let name = sections.section_name(endian, found).ok()?;
    let flags = found.sh_flags(endian);
    Some(Section {
        name: core::str::from_utf8(name).ok()?,
        is_writable: flags.contains(SHF_WRITE),
        is_code: flags.contains(SHF_EXECINSTR),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_elf_file_has_none() {
        for file in [&b""[..], b"\x7fELF", &[0; 4096]] {
            assert_eq!(section_at(file, 0), None);
        }
    }

    #[test]
    fn this_program_has_code_where_its_functions_are() {
        let file = std::fs::read(std::env::current_exe().expect("a name")).expect("readable");
        let header = FileHeader64::<Endianness>::parse(&*file).expect("an ELF file");
        let entry = header.e_entry(Endianness::Little);
        let section = section_at(&file, entry).expect("it begins somewhere");
        assert_eq!(
            section,
            Section {
                name: ".text",
                is_writable: false,
                is_code: true
            }
        );
        assert_eq!(section_at(&file, u64::MAX), None);
    }
}
