//! What Tab offers in GDB: the shell's own offers, with the processes and snapshots of the kernel that is
//! looked at.

use machine::{Paging, PhysAddr, PhysMemory, ReadError};
use shell::Target;

use crate::memory::Memory;
use crate::outside::{Outside, as_check};
use crate::source::Source;

/// The words that could stand where a line ends. Where there is no kernel they are those that are always the same.
pub(crate) fn words(source: Box<dyn Source>, line: &str) -> Vec<String> {
    let line = as_check(line).unwrap_or_else(|| line.to_owned());
    let last = line.rsplit(char::is_whitespace).next().unwrap_or_default();
    let mut target: Box<dyn Target> = match Outside::look(Memory::new(source)) {
        Ok(kernel) => Box::new(kernel),
        Err(_) => Box::new(Nothing),
    };
    let mut found = Vec::new();
    let typed = shell::completions(&line, &mut *target, &mut |word| found.push(word.to_owned()));
    // What is completed may be a part of the last word, as behind `$`.
    let before = last.strip_suffix(typed).unwrap_or_default();
    found.iter().map(|word| format!("{before}{word}")).collect()
}

/// No kernel at all.
struct Nothing;

impl Target for Nothing {
    fn name(&self) -> &str {
        "nothing"
    }

    fn paging(&self) -> Paging {
        Paging {
            levels: 4,
            phys_bits: 52,
            nxe: true,
            gib_pages: true,
            pat: 0,
        }
    }

    fn memory(&mut self) -> &mut dyn PhysMemory {
        self
    }
}

impl PhysMemory for Nothing {
    fn read(&mut self, at: PhysAddr, _: &mut [u8]) -> Result<(), ReadError> {
        Err(ReadError::NoMemory { at })
    }
}
