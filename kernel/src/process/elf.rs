//! Loading a program: a static ELF file for x86-64.
//!
//! The file is checked as if it came from an enemy: every offset, size and address is.

use machine::VirtAddr;
use object::Endianness;
use object::elf::{ET_EXEC, FileHeader64, PF_W, PF_X, PT_GNU_EH_FRAME, PT_LOAD};
use object::read::elf::{FileHeader as _, ProgramHeader as _};

use super::space::{Space, SpaceError};
use crate::memory::layout::PAGE;
use crate::memory::physmap;

/// The first address a program may be linked at: a null pointer with an offset stays unmapped.
const LOWEST: u64 = 0x1_0000;
/// The end of where a program may be linked.
const HIGHEST: u64 = 0x1000_0000_0000;

/// Why a file cannot be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LoadError {
    /// It is not a program we can run, and why.
    NotAProgram(&'static str),
    /// No frame is free.
    NoMemory,
}

impl From<SpaceError> for LoadError {
    fn from(why: SpaceError) -> Self {
        match why {
            SpaceError::NoMemory => LoadError::NoMemory,
            SpaceError::BadAddress => LoadError::NotAProgram("segments overlap or lie too high"),
        }
    }
}

/// Maps the file's segments into `space` with the rights they ask for; the entry point.
/// On an error the space holds part of them and is to be destroyed.
pub(crate) fn load(space: &mut Space, file: &[u8]) -> Result<VirtAddr, LoadError> {
    let bad = LoadError::NotAProgram;
    let header =
        FileHeader64::<Endianness>::parse(file).map_err(|_| bad("it is no 64-bit ELF file"))?;
    let endian = header
        .endian()
        .map_err(|_| bad("its byte order is unknown"))?;
    if endian != Endianness::Little || header.e_machine(endian) != object::elf::EM_X86_64 {
        return Err(bad("it is not for x86-64"));
    }
    if header.e_type(endian) != ET_EXEC {
        return Err(bad("it is not a static program"));
    }
    let segments = header
        .program_headers(endian, file)
        .map_err(|_| bad("its segments cannot be read"))?;
    let entry = header.e_entry(endian);
    let mut entry_is_code = false;
    for segment in segments
        .iter()
        .filter(|segment| segment.p_type(endian) == PT_LOAD)
    {
        let flags = segment.p_flags(endian);
        let (write, execute) = (flags.contains(PF_W), flags.contains(PF_X));
        if write && execute {
            return Err(bad("a segment is both writable and executable"));
        }
        let data = segment
            .data(endian, file)
            .map_err(|()| bad("a segment ends beyond the file"))?;
        let (start, bytes) = (segment.p_vaddr(endian), segment.p_memsz(endian));
        let end = start
            .checked_add(bytes)
            .ok_or(bad("a segment wraps around"))?;
        if start < LOWEST || end > HIGHEST || data.len() as u64 > bytes {
            return Err(bad("a segment lies where none may be"));
        }
        entry_is_code |= execute && (start..end).contains(&entry);
        load_segment(space, start, end, data, write, execute)?;
    }
    if entry_is_code {
        Ok(VirtAddr(entry))
    } else {
        Err(bad("its entry point is not in its code"))
    }
}

fn load_segment(
    space: &mut Space,
    start: u64,
    end: u64,
    data: &[u8],
    write: bool,
    execute: bool,
) -> Result<(), LoadError> {
    let mut page = start & !(PAGE - 1);
    while page < end {
        let frame = space.add_page(page, write, execute)?;
        // What of the file lies in this page.
        let skip = start.saturating_sub(page);
        let from = page.saturating_sub(start).min(data.len() as u64);
        let to = (page + PAGE).saturating_sub(start).min(data.len() as u64);
        let bytes = data.get(from as usize..to as usize).unwrap_or_default();
        if !physmap::write_user_frame(frame, skip as usize, bytes) {
            return Err(LoadError::NotAProgram("a segment does not fit its pages"));
        }
        page += PAGE;
    }
    Ok(())
}

/// The unwind tables of a program that [`load`] has accepted.
pub(crate) fn unwind_tables(file: &'static [u8]) -> Option<unwinder::Image<'static>> {
    let header = FileHeader64::<Endianness>::parse(file).ok()?;
    let endian = header.endian().ok()?;
    let segments = header.program_headers(endian, file).ok()?;
    let tables = segments
        .iter()
        .find(|segment| segment.p_type(endian) == PT_GNU_EH_FRAME)?;
    let at = tables.p_vaddr(endian);
    let holder = segments.iter().find(|segment| {
        let start = segment.p_vaddr(endian);
        let end = start.saturating_add(segment.p_filesz(endian));
        segment.p_type(endian) == PT_LOAD && (start..end).contains(&at)
    })?;
    let bytes = holder.data(endian, file).ok()?;
    unwinder::Image::new(bytes, holder.p_vaddr(endian), at, 0).ok()
}
