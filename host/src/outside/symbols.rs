//! Names, by the indexes in the kernel's ramdisk.

use machine::VirtAddr;
use shell::{Image, NoSymbols, Pid, Symbols};
use symbolizer::{Index, Section, build_id, section_at};

use super::{Outside, leak};

const BLOCK: u64 = 512;
/// More than any file in it has.
const LONGEST: u64 = 64 << 20;

impl Outside {
    /// A file of the ramdisk, a POSIX ustar archive.
    pub(super) fn file(&self, name: &str) -> Option<&'static [u8]> {
        if let Some(known) = self.files.borrow().get(name) {
            return *known;
        }
        let file = self.read_file(name);
        self.files.borrow_mut().insert(name.to_owned(), file);
        file
    }

    fn read_file(&self, wanted: &str) -> Option<&'static [u8]> {
        let archive = self.found.header.ramdisk;
        let mut at = 0u64;
        while at.checked_add(BLOCK)? <= archive.count {
            let header: [u8; BLOCK as usize] = self.record(archive.at.checked_add(at)?)?;
            let name = header.get(..100)?.split(|byte| *byte == 0).next()?;
            if name.is_empty() || header.get(257..262)? != b"ustar" {
                return None;
            }
            let size = octal(header.get(124..136)?)?;
            let start = at.checked_add(BLOCK)?;
            let end = start.checked_add(size)?;
            if end > archive.count {
                return None;
            }
            if name == wanted.as_bytes() && size <= LONGEST {
                return self.bytes(archive.at.checked_add(start)?, size);
            }
            at = start.checked_add(size.checked_next_multiple_of(BLOCK)?)?;
        }
        None
    }

    fn bytes(&self, at: u64, count: u64) -> Option<&'static [u8]> {
        let mut bytes = vec![0; usize::try_from(count).ok()?];
        let mut memory = self.memory.borrow_mut();
        let (paging, root) = (self.found.paging, self.found.master);
        let va = VirtAddr(at);
        machine::read_virt(&mut *memory, &paging, root, va, &mut bytes).ok()?;
        Some(Vec::leak(bytes))
    }

    fn index(&self, name: &str, build: &[u8]) -> Result<Index<'static>, NoSymbols> {
        let file = self.file(&format!("symbols/{name}"));
        let index = Index::open(file.ok_or(NoSymbols::Missing)?).map_err(NoSymbols::Refused)?;
        index.is_of(build).map_err(NoSymbols::Refused)?;
        Ok(index)
    }
}

fn octal(field: &[u8]) -> Option<u64> {
    let digits = field.iter().take_while(|byte| !matches!(byte, 0 | b' '));
    let digits: Vec<u8> = digits.copied().collect();
    u64::from_str_radix(std::str::from_utf8(&digits).ok()?, 8).ok()
}

/// The bytes that a text of hexadecimal digits says.
fn bytes_of(hex: &str) -> Vec<u8> {
    let digits: Vec<u32> = hex.chars().map_while(|digit| digit.to_digit(16)).collect();
    let pairs = digits.chunks_exact(2);
    pairs
        .map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit))
        .filter_map(|byte| u8::try_from(byte).ok())
        .collect()
}

impl Symbols for Outside {
    fn kernel(&self) -> Result<Image<'_>, NoSymbols> {
        Ok(Image {
            name: "kernel",
            base: self.found.header.image,
            index: self.index("kernel", &bytes_of(&self.build))?,
        })
    }

    fn program(&self, pid: Pid) -> Result<Image<'_>, NoSymbols> {
        let (_, process) = self.process(pid).ok_or(NoSymbols::NoProcess)?;
        self.named(process.name.text())
    }

    fn named(&self, program: &str) -> Result<Image<'_>, NoSymbols> {
        let file = self.file(program).ok_or(NoSymbols::Missing)?;
        Ok(Image {
            name: leak(program),
            base: 0,
            index: self.index(program, build_id(file).unwrap_or_default())?,
        })
    }

    fn section(&self, program: &str, address: VirtAddr) -> Option<Section<'_>> {
        section_at(self.file(program)?, address.0)
    }
}
