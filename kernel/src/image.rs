//! The kernel's own ELF headers, which the linker leaves in the image: segments and build id.

use core::fmt::Write as _;

use heapless::String;
use machine::Rights;
use spin::Once;

use crate::memory::layout;

/// A loadable segment: offset from the image base, size in memory, and what it is for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment {
    pub(crate) address: u64,
    pub(crate) bytes: u64,
    pub(crate) name: &'static str,
    /// What its pages must allow: relro no longer to be written.
    pub(crate) rights: Rights,
}

static BUILD_ID: Once<String<12>> = Once::new();

const PT_LOAD: u32 = 1;
const PT_NOTE: u32 = 4;
const PT_GNU_EH_FRAME: u32 = 0x6474_e550;
const PT_GNU_RELRO: u32 = 0x6474_e552;

/// Where the image begins: the address of its ELF header.
pub(crate) fn base() -> u64 {
    headers().as_ptr() as u64
}

/// The unwind tables, which lie in the first segment; `None` if the linker left none.
#[expect(unsafe_code, reason = "the first segment as bytes")]
pub(crate) fn unwind_tables() -> Option<unwinder::Image<'static>> {
    let of = |wanted| program_headers().find(|header| header.0 == wanted);
    let (_, flags, start, bytes) = of(PT_LOAD)?;
    let (_, _, header, _) = of(PT_GNU_EH_FRAME)?;
    const WRITABLE: u32 = 1 << 1;
    if start != 0 || flags & WRITABLE != 0 {
        return None;
    }
    // SAFETY: the segment begins at the ELF header, which the linker's symbol names, and is
    // mapped in whole, read-only, for as long as the kernel runs.
    let segment = unsafe {
        core::slice::from_raw_parts(headers().as_ptr(), usize::try_from(bytes).unwrap_or(0))
    };
    unwinder::Image::new(segment, 0, header, base()).ok()
}

/// The ELF header and the program headers, as many as fit the first page.
#[expect(unsafe_code, reason = "the linker's symbol for the ELF header")]
fn headers() -> &'static [u8] {
    unsafe extern "C" {
        #[link_name = "__ehdr_start"]
        static HEADER: [u8; 4096];
    }
    // SAFETY: the linker places the headers at the start of the first segment, which is
    // read-only, longer than a page, and mapped for as long as the kernel runs.
    unsafe { &HEADER }
}

fn read_u64(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(
        bytes.get(at..at.checked_add(8)?)?.try_into().ok()?,
    ))
}

fn read_u32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(
        bytes.get(at..at.checked_add(4)?)?.try_into().ok()?,
    ))
}

/// The program headers: type, flags, virtual address, size in memory.
fn program_headers() -> impl Iterator<Item = (u32, u32, u64, u64)> {
    let headers = headers();
    let table = read_u64(headers, 32)
        .and_then(|at| usize::try_from(at).ok())
        .unwrap_or(0);
    let count = headers.get(56).copied().unwrap_or(0);
    (0..usize::from(count)).filter_map(move |index| {
        let at = table.checked_add(index.checked_mul(56)?)?;
        Some((
            read_u32(headers, at)?,
            read_u32(headers, at + 4)?,
            read_u64(headers, at + 16)?,
            read_u64(headers, at + 40)?,
        ))
    })
}

/// The segments as they are mapped: relro apart from the data it is part of.
pub(crate) fn segments() -> heapless::Vec<Segment, 8> {
    let mut out = heapless::Vec::new();
    for (kind, flags, address, bytes) in program_headers().filter(|header| header.0 == PT_LOAD) {
        let (name, rights) = match (flags & 1 != 0, flags & 2 != 0) {
            (true, _) => ("kernel text", layout::CODE),
            (false, false) => ("kernel rodata", layout::CONSTANTS),
            (false, true) if is_relro(address) => ("kernel relro", layout::CONSTANTS),
            (false, true) => ("kernel data", layout::DATA),
        };
        debug_assert_eq!(kind, PT_LOAD);
        let _ = out.push(Segment {
            address: base().wrapping_add(address),
            bytes,
            name,
            rights,
        });
    }
    out
}

fn is_relro(address: u64) -> bool {
    program_headers().any(|(kind, _, start, _)| kind == PT_GNU_RELRO && start == address)
}

/// The first twelve hex digits of the linker's build id; `unknown` if it left none.
pub(crate) fn build_id() -> &'static str {
    BUILD_ID.call_once(|| {
        let mut text = String::new();
        match build_id_bytes() {
            Some(bytes) => {
                for byte in bytes {
                    let _ = write!(text, "{byte:02x}");
                }
            }
            None => {
                let _ = text.push_str("unknown");
            }
        }
        text
    })
}

/// The descriptor of the GNU build-id note: name size, descriptor size, type 3, "GNU", bytes.
pub(crate) fn build_id_bytes() -> Option<[u8; 6]> {
    for (_, _, address, _) in program_headers().filter(|header| header.0 == PT_NOTE) {
        let at = usize::try_from(address).ok()?;
        let note = headers().get(at..)?;
        if read_u32(note, 8)? == 3 && note.get(12..16)? == b"GNU\0" {
            return note.get(16..22)?.try_into().ok();
        }
    }
    None
}
