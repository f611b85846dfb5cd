//! The names of functions and lines, for the shell and for reports of faults.
//!
//! The indexes lie in the ramdisk beside the programs: plain bytes that nobody writes to. What is here
//! allocates nothing and takes no lock, so that a report may ask whatever else is broken.

use core::fmt;

use machine::VirtAddr;
use shell::{Image, NoSymbols, Pid, Sources, Symbols};
use spin::Once;
use symbolizer::{Index, Section, build_id, section_at};

use crate::image;
use crate::process::{self, ramdisk};

/// The kernel's own index, or why there is none.
static KERNEL: Once<Result<Index<'static>, NoSymbols>> = Once::new();

/// Opens the kernel's index. Until then the kernel has no names.
pub(crate) fn init() {
    KERNEL.call_once(|| open("kernel", &image::build_id_bytes().unwrap_or_default()));
}

/// The kernel's image.
pub(crate) fn kernel() -> Result<Image<'static>, NoSymbols> {
    let index = KERNEL.get().copied().unwrap_or(Err(NoSymbols::Missing))?;
    Ok(Image {
        name: "kernel",
        base: image::base(),
        index,
    })
}

/// The image of a program, by the name of its file. It runs where it was linked.
pub(crate) fn program(name: &str) -> Result<Image<'static>, NoSymbols> {
    let file = ramdisk::program(name).ok_or(NoSymbols::Missing)?;
    Ok(Image {
        name: file.name,
        base: 0,
        index: open(file.name, build_id(file.content).unwrap_or_default())?,
    })
}

/// The function that a kernel address is in, in the middle of a line; nothing if nobody knows.
pub(crate) struct Within(pub(crate) VirtAddr);

impl fmt::Display for Within {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match kernel().ok().and_then(|image| image.describe(self.0)) {
            Some(found) => write!(f, ", in {found}"),
            None => Ok(()),
        }
    }
}

fn open(name: &str, build_id: &[u8]) -> Result<Index<'static>, NoSymbols> {
    let file = ramdisk::symbols(name).ok_or(NoSymbols::Missing)?;
    let index = Index::open(file.content).map_err(NoSymbols::Refused)?;
    index.is_of(build_id).map_err(NoSymbols::Refused)?;
    Ok(index)
}

impl Sources for LiveSymbols {
    fn text(&self, path: &str) -> Option<&[u8]> {
        ramdisk::source(path)
    }
}

/// The names that the shell may ask for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LiveSymbols;

impl Symbols for LiveSymbols {
    fn kernel(&self) -> Result<Image<'_>, NoSymbols> {
        kernel()
    }

    fn program(&self, pid: Pid) -> Result<Image<'_>, NoSymbols> {
        program(&process::program_of(pid).ok_or(NoSymbols::NoProcess)?)
    }

    fn named(&self, name: &str) -> Result<Image<'_>, NoSymbols> {
        program(name)
    }

    fn section(&self, program: &str, address: VirtAddr) -> Option<Section<'_>> {
        section_at(ramdisk::program(program)?.content, address.0)
    }
}
