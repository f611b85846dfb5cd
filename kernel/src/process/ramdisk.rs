//! The programs and the indexes of symbols: a POSIX ustar archive that the bootloader puts into memory.
//!
//! An index is named `symbols/NAME`, and what has no folder is a program. `boot/fault` names a stage of boot
//! at which the kernel faults on purpose. `sources/PATH` is a source file.

use exported::List;
use spin::Once;

static ARCHIVE: Once<&'static [u8]> = Once::new();

/// One file of the archive.
#[derive(Clone, Copy, Debug)]
pub(crate) struct File {
    pub(crate) name: &'static str,
    pub(crate) content: &'static [u8],
}

/// Remembers where the archive is: `bytes` from `start`, as the bootloader mapped it. Without
/// one there are no programs.
pub(crate) fn init(start: u64, bytes: u64) {
    let (Ok(start), Ok(bytes)) = (usize::try_from(start), usize::try_from(bytes)) else {
        return;
    };
    let pointer = core::ptr::with_exposed_provenance::<u8>(start);
    ARCHIVE.call_once(|| {
        // SAFETY: the bootloader mapped the ramdisk there, the master table keeps it for ever,
        // its frames are marked as the ramdisk's, and nobody writes to them.
        unsafe { core::slice::from_raw_parts(pointer, bytes) }
    });
}

/// For whoever looks from outside: the bytes of the archive.
pub(crate) fn exported() -> List {
    let archive = ARCHIVE.get().copied().unwrap_or_default();
    List {
        at: archive.as_ptr() as u64,
        count: archive.len() as u64,
    }
}

/// Every file, in the archive's order. An archive that is damaged ends where the damage is.
fn files() -> impl Iterator<Item = File> {
    let archive = ARCHIVE.get().copied().unwrap_or_default();
    let mut at = 0usize;
    core::iter::from_fn(move || {
        loop {
            let header = archive.get(at..at.checked_add(512)?)?;
            let name = text(header.get(..100)?)?;
            if name.is_empty() || header.get(257..262)? != b"ustar" {
                return None;
            }
            let size = octal(header.get(124..136)?)?;
            let start = at.checked_add(512)?;
            let content = archive.get(start..start.checked_add(size)?)?;
            at = start.checked_add(size.checked_next_multiple_of(512)?)?;
            // '0' and NUL are plain files.
            if matches!(header.get(156), Some(b'0' | 0)) {
                return Some(File { name, content });
            }
        }
    })
}

/// Where the indexes are.
const SYMBOLS: &str = "symbols/";
/// What names a stage of boot.
const FAULT: &str = "boot/fault";

/// Every program, in the archive's order.
pub(crate) fn programs() -> impl Iterator<Item = File> {
    files().filter(|file| !file.name.contains('/'))
}

/// The program with this name.
pub(crate) fn program(name: &str) -> Option<File> {
    programs().find(|file| file.name == name)
}

/// The index of the kernel or of a program.
pub(crate) fn symbols(name: &str) -> Option<File> {
    files().find(|file| file.name.strip_prefix(SYMBOLS) == Some(name))
}

/// The path of the repository, as the indexes have it.
const REPOSITORY: &str = "/ringwalk/";
/// Where the sources are.
const SOURCES: &str = "sources/";

/// Whether the sources are there.
pub(crate) fn has_sources() -> bool {
    files().any(|file| file.name.starts_with(SOURCES))
}

/// The source file with this path.
pub(crate) fn source(path: &str) -> Option<&'static [u8]> {
    let wanted = path.strip_prefix(REPOSITORY)?;
    let file = files().find(|file| file.name.strip_prefix(SOURCES) == Some(wanted))?;
    Some(file.content)
}

/// The stage of boot at which a fault is planted.
pub(crate) fn planted_fault() -> Option<&'static str> {
    let file = files().find(|file| file.name == FAULT)?;
    core::str::from_utf8(file.content).ok().map(str::trim)
}

fn text(field: &'static [u8]) -> Option<&'static str> {
    let end = field
        .iter()
        .position(|&byte| byte == 0)
        .unwrap_or(field.len());
    core::str::from_utf8(field.get(..end)?).ok()
}

fn octal(field: &[u8]) -> Option<usize> {
    let mut value = 0usize;
    for &byte in field.iter().take_while(|&&byte| byte != 0 && byte != b' ') {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit < 8)?;
        value = value.checked_mul(8)?.checked_add(usize::from(digit))?;
    }
    Some(value)
}
