//! The programs in the ramdisk as files: laid out as the kernel wants them, named as tests need them.
//!
//! Nothing is booted here. What the programs do is in `booted`.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::LazyLock;

use object::LittleEndian;
use object::elf::{ET_EXEC, FileHeader64, PF_R, PF_W, PF_X, PT_DYNAMIC, PT_INTERP, PT_LOAD};
use object::read::elf::{FileHeader as _, ProgramHeader as _};
use symbolizer::Index;
use xtask::built::{self, Built};
use xtask::elf;
use xtask::programs::Programs;
use xtask::project::Project;

const PAGE: u64 = 4096;
/// Where programs are linked, and where what `map` hands out begins.
const PROGRAM: std::ops::Range<u64> = 0x40_0000..0x1000_0000_0000;
/// A BIOS reads every byte of the archive in real mode. Half of it is the kernel's index, which is a
/// third of what its debug information took in its file.
const ARCHIVE_BYTES: usize = 1 << 20;

static BUILT: LazyLock<Built> = LazyLock::new(|| built::prepare(&[]).expect("everything compiles"));
static PROGRAMS: LazyLock<&Programs> = LazyLock::new(|| &BUILT.programs);

/// A part of a file that is loaded.
#[derive(Clone, Copy, Debug)]
struct Load {
    first: u64,
    end: u64,
    flags: u32,
}

struct File {
    name: String,
    bytes: Vec<u8>,
}

impl File {
    fn header(&self) -> &FileHeader64<LittleEndian> {
        FileHeader64::parse(self.bytes.as_slice()).expect("an ELF file")
    }

    fn loads(&self) -> Vec<Load> {
        let headers = self
            .header()
            .program_headers(LittleEndian, self.bytes.as_slice());
        let headers = headers.expect("program headers");
        let loads = headers
            .iter()
            .filter(|header| header.p_type(LittleEndian) == PT_LOAD);
        loads
            .map(|header| Load {
                first: header.p_vaddr(LittleEndian),
                end: header.p_vaddr(LittleEndian) + header.p_memsz(LittleEndian),
                flags: header.p_flags(LittleEndian).0,
            })
            .collect()
    }

    fn is_code(&self, address: u64) -> bool {
        self.loads()
            .iter()
            .any(|load| load.flags & PF_X.0 != 0 && (load.first..load.end).contains(&address))
    }
}

/// The programs in the archive.
fn archive() -> Vec<File> {
    let files = whole_archive().into_iter();
    files.filter(|file| !file.name.contains('/')).collect()
}

/// What lies in the archive, as the kernel finds it: a header of 512 bytes before each file.
fn whole_archive() -> Vec<File> {
    let archive = std::fs::read(&BUILT.kernel.ramdisk).expect("an archive");
    let mut files = Vec::new();
    let mut rest = archive.as_slice();
    while let Some((header, behind)) = rest.split_at_checked(512) {
        if header[0] == 0 {
            break;
        }
        assert_eq!(&header[257..263], b"ustar\0");
        let text = |field: &[u8]| {
            let end = field
                .iter()
                .position(|byte| *byte == 0)
                .unwrap_or(field.len());
            String::from_utf8(field[..end].to_vec()).expect("ASCII")
        };
        let octal = |field: &[u8]| u64::from_str_radix(text(field).trim(), 8).expect("octal");
        let size = usize::try_from(octal(&header[124..136])).expect("a size");
        assert_eq!(
            octal(&header[136..148]),
            0,
            "a time would make every archive another"
        );
        assert_eq!(header[156], b'0', "a plain file");
        files.push(File {
            name: text(&header[..100]),
            bytes: behind[..size].to_vec(),
        });
        rest = &behind[size.next_multiple_of(512)..];
    }
    files
}

#[test]
fn the_archive_holds_every_program_once_in_order_and_is_small() {
    let names: Vec<String> = archive().into_iter().map(|file| file.name).collect();
    assert_eq!(names, PROGRAMS.names);
    assert!(names.is_sorted());
    let bytes = std::fs::metadata(&BUILT.kernel.ramdisk)
        .expect("an archive")
        .len();
    assert!(bytes <= ARCHIVE_BYTES as u64, "{bytes} bytes");
}

#[test]
fn every_program_is_linked_at_a_fixed_place_and_needs_no_loader() {
    for file in archive() {
        let name = &file.name;
        let header = file.header();
        assert_eq!(header.e_type(LittleEndian), ET_EXEC, "{name}");
        let all = header.program_headers(LittleEndian, file.bytes.as_slice());
        for segment in all.expect("program headers") {
            let kind = segment.p_type(LittleEndian);
            assert!(kind != PT_DYNAMIC && kind != PT_INTERP, "{name}: {kind:#x}");
        }
        let loads = file.loads();
        assert_eq!(
            loads.first().map(|load| load.first),
            Some(PROGRAM.start),
            "{name}"
        );
        for load in &loads {
            assert!(load.end <= PROGRAM.end, "{name}: {load:x?}");
        }
        assert!(file.is_code(header.e_entry(LittleEndian)), "{name}: entry");
    }
}

#[test]
fn no_page_of_a_program_is_writable_and_executable_or_has_rights_of_two_segments() {
    for file in archive() {
        let mut end = 0;
        for load in file.loads() {
            let (name, flags) = (&file.name, load.flags);
            assert!(flags & PF_R.0 != 0, "{name}: {load:x?}");
            assert!(
                flags & (PF_W.0 | PF_X.0) != PF_W.0 | PF_X.0,
                "{name}: {load:x?}"
            );
            assert!(load.first / PAGE * PAGE >= end, "{name}: {load:x?}");
            end = load.end.next_multiple_of(PAGE);
        }
    }
}

#[test]
fn no_debug_information_is_on_the_disk_but_symbols_are_and_what_unwinding_needs() {
    for file in archive() {
        let name = &file.name;
        let sections = file.header().sections(LittleEndian, file.bytes.as_slice());
        let sections = sections.expect("sections");
        let names: BTreeSet<&[u8]> = sections
            .iter()
            .filter_map(|section| sections.section_name(LittleEndian, section).ok())
            .collect();
        for there in [".symtab", ".eh_frame"] {
            assert!(names.contains(there.as_bytes()), "{name}: {there}");
        }
        for gone in [".debug_info", ".debug_line", ".dynamic", ".rela.dyn"] {
            assert!(!names.contains(gone.as_bytes()), "{name}: {gone}");
        }
    }
}

#[test]
fn every_program_and_the_kernel_have_an_index_of_their_own_build() {
    let files = whole_archive();
    let named = |name: &str| {
        let wanted = format!("symbols/{name}");
        files.iter().find(|file| file.name == wanted).expect(name)
    };
    let programs = PROGRAMS
        .names
        .iter()
        .map(|name| (name.as_str(), PROGRAMS.folder.join(name)));
    let kernel = ("kernel", BUILT.kernel.whole.clone());
    for (name, whole) in programs.chain([kernel]) {
        let index = Index::open(&named(name).bytes).expect(name);
        let build_id: String = index
            .build_id()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let expected = elf::build_id(&whole).expect(name);
        assert!(
            build_id.starts_with(&expected),
            "{name}: {build_id} {expected}"
        );
    }
    assert_eq!(files.len(), 2 * PROGRAMS.names.len() + 1);
}

#[test]
fn programs_that_fault_name_the_instruction_that_does() {
    let mut count = 0;
    for file in archive() {
        let named = file.name.starts_with("fault-") || ["endless", "mapper"].contains(&&*file.name);
        let whole = PROGRAMS.folder.join(&file.name);
        let address = elf::symbol(&whole, "fault_here");
        assert_eq!(address.is_some(), named, "{}", file.name);
        if let Some(address) = address {
            assert!(file.is_code(address), "{}: {address:#x}", file.name);
            count += 1;
        }
    }
    assert!(count > 20, "{count} programs");
}

#[test]
fn the_instruction_at_the_end_of_the_last_page_has_no_page_behind_it() {
    let name = "fault-page-end";
    let file = archive()
        .into_iter()
        .find(|file| file.name == name)
        .expect(name);
    let address = elf::symbol(&PROGRAMS.folder.join(name), "fault_here").expect("a symbol");
    let behind = address.next_multiple_of(PAGE);
    assert_eq!(behind - address, 4);
    for load in file.loads() {
        assert!(load.end <= behind, "{load:x?}");
    }
}

#[test]
fn the_page_about_programs_lists_each_of_them() {
    let page = Project::find().root().join("docs/programs.md");
    let text = std::fs::read_to_string(&page).expect("docs/programs.md");
    let listed: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split(['`', ' ']).next())
        .collect();
    let programs: BTreeSet<&str> = PROGRAMS.names.iter().map(String::as_str).collect();
    assert_eq!(listed, programs);
}

#[test]
fn a_symbol_that_is_not_there_is_none_and_so_is_one_in_no_file() {
    let hello = PROGRAMS.folder.join("hello");
    assert!(elf::symbol(&hello, "_start").is_some());
    assert_eq!(elf::symbol(&hello, "fault_here"), None);
    assert_eq!(elf::symbol(Path::new("/nowhere"), "_start"), None);
}
